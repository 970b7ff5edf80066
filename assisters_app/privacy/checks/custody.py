"""What is never kept, or never as it is: numbers of cards (policy 1.3), claims of addresses (1.7), keys (5.3)."""

from datetime import timedelta

from sqlalchemy import text

from assisters_app.accounts.client import NEEDED, client_of
from assisters_app.base import cards
from assisters_app.base.clock import now
from assisters_app.base.db import SCHEMA, Tx
from assisters_app.base.settings import settings
from assisters_app.keys import secret
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.promises import Broken

LATE = timedelta(days=2)  # the nightly shortening may fail once
OF_CARDS = ("card_number", "number", "pan", "cvc", "cvv", "expiry", "iban")
STRANGER, CLAIMED = "203.0.113.9", "198.51.100.9"  # RFC 5737: nobody's


@promises.check("1.3", says="No column is there for the number of a card; one typed elsewhere is taken out.")
async def no_card_is_kept(tx: Tx) -> str:  # noqa: ARG001 (it reads the tables' shape)
    """Look at the names of all columns, and try what takes numbers out."""
    columns = [column for column, _ in inventory.marked_columns()]
    for column in columns:
        if column.name in OF_CARDS and str(column.type) not in ("INTEGER", "BIGINT"):
            raise Broken(f"{column.table.name}.{column.name} looks like a place for cards.")
    if cards.taken_out("4242 4242 4242 4242") != cards.TAKEN_OUT:
        raise Broken("The number of a card would be kept where somebody types it.")
    return f"{len(columns)} columns, none of them for cards"


@promises.check("1.7", says="An address that a stranger claims to have is not believed, and old ones are shortened.")
async def claimed_addresses_are_not_believed(tx: Tx) -> str:
    """Ask as a stranger would, and look for whole addresses that are older than security needs them."""
    if client_of(STRANGER, CLAIMED).ip != STRANGER:
        raise Broken("Somebody outside is believed when they name another address.")
    if everyone := [str(network) for network in settings().trusted_proxies if network.prefixlen == 0]:
        raise Broken(f"Every address is trusted as a proxy of ours ({everyone[0]}).")
    shortened = "host(network(set_masklen(ip::inet, CASE family(ip::inet) WHEN 4 THEN 24 ELSE 48 END)))"
    old = text(
        f"SELECT count(*) FROM session WHERE created_at < :before AND ip <> '' AND ip <> {shortened}"  # noqa: S608 (constants)
    )
    if whole := (await tx.sql(old, {"before": now() - NEEDED - LATE})).scalar_one():
        raise Broken(f"{whole} addresses are whole though they are older than a month.")
    return "a stranger's claim changed nothing; no whole address is older than security needs it"


@promises.check("5.3", says="Of an API key the database holds a keyed hash and its first twelve characters, no more.")
async def keys_are_hashes(tx: Tx) -> str:
    """Read the shape of what is stored of every key."""
    shapes = text(
        f"SELECT count(*), count(*) FILTER (WHERE digest !~ '^[0-9a-f]{{64}}$' OR length(prefix) > {secret.SHOWN_SIZE} "  # noqa: S608 (constants)
        "OR (previous_digest IS NOT NULL AND previous_digest !~ '^[0-9a-f]{64}$')) "
        f"FROM {SCHEMA}.api_key"
    )
    every, odd = tuple((await tx.sql(shapes)).one())
    if odd:
        raise Broken(f"Of {odd} keys more is stored than a hash and a beginning.")
    if len(secret.ALPHABET) ** secret.SECRET_SIZE < 2**256:
        raise Broken("A key holds less than 256 random bits.")
    return f"{every} keys, each a hash"
