"""The edges of the installation: who receives data (policy 3), how it travels (5.1), where to, under which terms (8).

Every check here looks at the settings and connections of this very process, not at what was meant to be set.
"""

import asyncio
import ssl
from urllib.parse import urlsplit

from assisters_app.base.db import Tx
from assisters_app.base.settings import settings
from assisters_app.privacy import promises
from assisters_app.privacy.policies import policy
from assisters_app.privacy.processors import (
    ADEQUATE,
    PROCESSORS,
    countries,
    misplaced,
    received_by,
    services,
    upstreams,
)
from assisters_app.privacy.promises import Broken

PATIENCE = 2.0  # seconds for one handshake with our own edge
HTTPS = 443


@promises.check(
    "3.0",
    *(f"3.{number}" for number in range(1, 6)),
    says="The registry of companies is section 3 word for word, and each that a stored column goes to is in it.",
)
async def recipients_are_those_of_section_3(tx: Tx) -> str:  # noqa: ARG001 (it reads marks)
    """Compare registry, marks and policy."""
    wrong = [sentence for sentence in policy.differences() if "receives data" in sentence or "registry" in sentence]
    if wrong:
        raise Broken(wrong[0])
    return f"{len(PROCESSORS)} companies, as listed"


@promises.check(
    "3.0",
    *(f"3.{number}" for number in range(1, 6)),
    says="Each outside service is set to the company that section 3 names for it, or runs on machines of ours.",
)
async def services_are_where_section_3_says(tx: Tx) -> str:  # noqa: ARG001 (it reads settings)
    """Look at every address in the settings."""
    wrong = misplaced()
    if wrong:
        raise Broken(f"{wrong[0].setting} names {wrong[0].host}, which section 3 does not.")
    own = sum(service.ours for service in services())
    return f"{own} of {len(services())} services run on machines of ours, the others where section 3 says"


@promises.check("3.5", "1.8", says="No stored column is marked as going to Sentry.")
async def sentry_receives_no_column(tx: Tx) -> str:  # noqa: ARG001 (it reads marks)
    """Read the marks."""
    if names := received_by("sentry"):
        raise Broken(f"Sentry is marked as receiving {names[0]}.")
    return "none is"


@promises.check("5.1", says="Each address of ours refuses TLS 1.2 and answers over TLS 1.3.")
async def our_address_speaks_tls_1_3_only(tx: Tx) -> str:  # noqa: ARG001 (it shakes hands)
    """Shake hands twice with each, as a visitor would: with the pages', and with the API's where it has its own."""
    addresses = [urlsplit(one) for one in (settings().public_url, settings().api_url) if one]
    if addresses[0].scheme != "https":
        return "This copy is for development: it is reached on its own machine alone, and nothing crosses a network."
    for address in addresses:
        host, port = str(address.hostname), address.port or HTTPS
        whose = "Our address" if len(addresses) == 1 else host
        if await shakes_hands(host, port, ssl.TLSVersion.TLSv1_2):
            raise Broken(f"{whose} accepts TLS 1.2.")
        if not await shakes_hands(host, port, ssl.TLSVersion.TLSv1_3):
            raise Broken(f"{whose} does not answer over TLS 1.3.")
    return "1.2 is refused, 1.3 is answered"


async def shakes_hands(host: str, port: int, version: ssl.TLSVersion) -> bool:
    """Say whether a handshake of exactly this version succeeds within PATIENCE, whoever's certificate is shown."""
    terms = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    terms.check_hostname, terms.verify_mode = False, ssl.CERT_NONE
    terms.minimum_version = terms.maximum_version = version
    try:
        async with asyncio.timeout(PATIENCE):
            _, writer = await asyncio.open_connection(host, port, ssl=terms, server_hostname=host)
    except (OSError, TimeoutError):  # ssl.SSLError among them
        return False
    writer.transport.abort()
    return True


@promises.check("5.1", says="Connections of ours that leave the machine are encrypted: database, cache, mail, models.")
async def connections_that_leave_are_encrypted(tx: Tx) -> str:
    """Look at this very connection to the database, and at the addresses of the others."""
    outside = [service for service in services() if not service.ours]
    if any(service.setting == "DATABASE_URL" for service in outside) and not await _encrypted(tx):
        raise Broken("The connection to the database is not encrypted.")
    s = settings()
    plain = {"REDIS_URL": s.redis_url, "SMTP_URL": s.smtp_url}
    plain |= {setting: place.base_url for setting, place in upstreams().items()}
    plain |= {"SUPABASE_URL": s.supabase_url or "", "SENTRY_DSN": s.sentry_dsn or ""}
    plain |= {"STRIPE_API_BASE": s.stripe_api_base or ""}
    for service in outside:
        if plain.get(service.setting, "").split("://")[0] in ("redis", "smtp", "http"):
            raise Broken(f"{service.setting} speaks to {service.host} without encryption.")
    return f"{len(outside)} leave the machine, all encrypted" if outside else "none leaves the machine"


async def _encrypted(tx: Tx) -> bool:
    raw = await (await tx.connection()).get_raw_connection()
    connection = raw.driver_connection
    return bool(connection is not None and connection.pgconn.ssl_in_use)


@promises.check("8.1", says="Section 8 and the list of companies name the same countries.")
async def countries_are_those_of_the_registry(tx: Tx) -> str:  # noqa: ARG001 (it reads the policy)
    """Compare the wording of 8.1 with the registry."""
    said = policy.CURRENT.sentence("8.1")
    if "United States" in countries() and "United States" not in said:
        raise Broken("Data is processed in the United States, which section 8 does not say.")
    if set(countries()) - {"United States"} and "other countries" not in said:
        raise Broken("Data is processed in a country that section 8 does not speak of.")
    return ", ".join(countries())


@promises.check("8.2", says="Each company outside the countries with equal protection is bound by a named safeguard.")
async def every_transfer_has_its_safeguard(tx: Tx) -> str:  # noqa: ARG001 (it reads the registry)
    """Read the registry."""
    for processor in PROCESSORS:
        if processor.country not in ADEQUATE and "Standard Contractual Clauses" not in processor.safeguard:
            raise Broken(f"{processor.name} is in {processor.country} without Standard Contractual Clauses.")
    return f"{len(PROCESSORS)} companies, each with its safeguard and its terms"
