"""Where a request comes from, believing nobody who is not a proxy of ours; and forgetting it in time.

    client_of(peer, forwarded_for, user_agent) -> Client
    forwarded_for(headers) -> str

`peer` is the address of the socket's other end, `forwarded_for` the X-Forwarded-For header ("" when there is none).
"""

import functools
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import text

from assisters_app.base import cards, jobs
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.settings import settings

USER_AGENT_SIZE = 300
NEEDED = timedelta(days=30)  # policy 1.7: how long security needs to know the address itself


@dataclass(frozen=True, slots=True)
class Client:
    """The far end of a request: its address ("" when unknown) and what its browser calls itself."""

    ip: str = ""
    user_agent: str = ""

    @property
    def place(self) -> str:
        """What attempts are counted by: the address; of IPv6 its /64, for whoever has one has all of them."""
        return str(ipaddress.ip_network((self.ip, 64), strict=False)) if ":" in self.ip else self.ip


def client_of(peer: str, forwarded_for: str = "", user_agent: str = "") -> Client:
    """Return who is asking.

    X-Forwarded-For is read from its right end, for as long as the one who added an entry is a proxy of ours
    (`TRUSTED_PROXIES`): everything further left was written by a stranger.
    """
    hops = [*(hop.strip() for hop in forwarded_for.split(",")), peer] if forwarded_for else [peer]
    address = ""
    for hop in reversed(hops):
        read = _address(hop)
        if read is None:
            break
        address = str(read)
        if not any(read in network for network in settings().trusted_proxies):
            break
    printable = user_agent if user_agent.isprintable() else "".join(filter(str.isprintable, user_agent))
    return Client(address, cards.taken_out(printable[:USER_AGENT_SIZE]))


def forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """Return all X-Forwarded-For headers as one: some proxies add theirs below the one that a stranger sent."""
    return ", ".join(value.decode("latin-1") for name, value in headers if name == b"x-forwarded-for")


@jobs.job("accounts.shorten-addresses", every="17 3 * * *")
async def shorten_addresses() -> None:
    """Cut the addresses that security no longer needs: to a /24 of IPv4, a /48 of IPv6, which fit many households."""
    async with transaction() as tx:
        for table in ("session", "trail_entry"):
            await (await tx.connection()).execute(text(SHORTEN.format(table=table)), {"before": now() - NEEDED})


SHORTEN = """
    UPDATE {table} SET ip = host(network(set_masklen(ip::inet, CASE family(ip::inet) WHEN 4 THEN 24 ELSE 48 END)))
    WHERE created_at < :before AND ip <> ''
      AND ip <> host(network(set_masklen(ip::inet, CASE family(ip::inet) WHEN 4 THEN 24 ELSE 48 END)))
"""


@functools.lru_cache(maxsize=1_024)
def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
