"""The processors of the policy's section 3: who receives what, where, under which safeguard, at which hosts.

PROCESSORS                                 in the order of the policy
received_by(processor_id) -> tuple[str, …]  data categories, read from the marks
allowed_hosts() -> frozenset[str]           the only hosts this installation may speak to
misplaced() -> tuple[Service, …]            services that are set to a company which the policy does not name for them

A sixth processor is added here, and to section 3 of a new version of the policy: `policy.differences()` says so until
both are done, and a processor outside the adequate countries has a safeguard or does not exist at all.
"""

import ipaddress
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from assisters_app.base.settings import UpstreamPlace, settings
from assisters_app.privacy.inventory import marked_columns

TRANSFERS = "Standard Contractual Clauses (EU) 2021/914; EU-US Data Privacy Framework where certified"

EEA = (
    "Austria", "Belgium", "Bulgaria", "Croatia", "Cyprus", "Czechia", "Denmark", "Estonia", "Finland", "France",
    "Germany", "Greece", "Hungary", "Iceland", "Ireland", "Italy", "Latvia", "Liechtenstein", "Lithuania", "Luxembourg",
    "Malta", "Netherlands", "Norway", "Poland", "Portugal", "Romania", "Slovakia", "Slovenia", "Spain", "Sweden",
)  # fmt: skip
# Where GDPR data may go without a safeguard of our own: the European Economic Area, and countries that the Commission
# has decided on for everyone (Art. 45; Canada's and the United States' decisions cover some recipients only).
ADEQUATE = frozenset({
    *EEA, "Andorra", "Argentina", "Faroe Islands", "Guernsey", "Isle of Man", "Israel", "Japan", "Jersey",
    "New Zealand", "South Korea", "Switzerland", "United Kingdom", "Uruguay",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Processor:
    """One company that handles data for us. `hosts` are patterns: `*.example.com` means any subdomain.

    Raises ValueError when it is outside the adequate countries and no safeguard is named (policy 8.2, GDPR Art. 46).
    """

    id: str
    name: str
    purpose: str  # the wording of the policy's section 3
    does: str  # the same for a person who wants to know
    country: str
    safeguard: str
    terms: str  # address of its data processing agreement
    since: date
    hosts: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.country not in ADEQUATE and not self.safeguard.strip():
            raise ValueError(f"{self.name} is in {self.country}: name the safeguard that protects data there.")

    def serves(self, host: str) -> bool:
        """Say whether a host is one of this company's."""
        return any(
            host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern for pattern in self.hosts
        )


PROCESSORS = (
    Processor(
        "supabase",
        "Supabase",
        "Database and authentication",
        "Holds the database with everything this page lists, and checks passwords where it is the identity provider.",
        "United States",
        TRANSFERS,
        "https://supabase.com/legal/dpa",
        date(2026, 1, 1),
        ("*.supabase.co", "*.supabase.com"),
    ),
    Processor(
        "stripe",
        "Stripe",
        "Payment processing",
        "Takes card payments on its own pages. Card numbers never reach us.",
        "United States",
        TRANSFERS,
        "https://stripe.com/legal/dpa",
        date(2026, 1, 1),
        ("api.stripe.com", "checkout.stripe.com", "billing.stripe.com"),
    ),
    Processor(
        "vercel",
        "Vercel",
        "Hosting and serverless infrastructure",
        "Passes requests on to us, and sees where they come from.",
        "United States",
        TRANSFERS,
        "https://vercel.com/legal/dpa",
        date(2026, 1, 1),
        ("*.vercel.app",),
    ),
    Processor(
        "upstash",
        "Upstash",
        "Redis caching and rate limiting",
        "Counts requests against limits, and holds the record of a call for the moments until it is written down.",
        "United States",
        TRANSFERS,
        "https://upstash.com/trust/dpa.pdf",
        date(2026, 1, 1),
        ("*.upstash.io",),
    ),
    Processor(
        "sentry",
        "Sentry",
        "Error monitoring",
        "Receives error reports from which everything that identifies a person has been taken out.",
        "United States",
        TRANSFERS,
        "https://sentry.io/legal/dpa/",
        date(2026, 1, 1),
        ("*.ingest.sentry.io", "*.ingest.us.sentry.io", "*.ingest.de.sentry.io"),
    ),
)


def received_by(processor_id: str) -> tuple[str, ...]:
    """Return the fideslang data categories that a processor receives, sorted; empty when it receives none."""
    return tuple(sorted({m.category for _, m in marked_columns() if m.category and processor_id in m.recipients}))


def countries() -> tuple[str, ...]:
    """Return where data is processed, for the policy's section 8."""
    return tuple(sorted({processor.country for processor in PROCESSORS}))


def as_json() -> list[dict[str, Any]]:
    """Return the registry with each processor's data categories, ready for JSON."""
    return [
        {**asdict(processor), "since": processor.since.isoformat(), "categories": list(received_by(processor.id))}
        for processor in PROCESSORS
    ]


@dataclass(frozen=True, slots=True)
class Service:
    """One outside service that the settings name. `processor` is who section 3 says does this; None: nobody does."""

    setting: str
    sentence: str  # of the policy
    processor: str | None
    host: str

    @property
    def ours(self) -> bool:
        """True when the host is this machine, or one of our own network: nobody else receives anything there."""
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return self.host == "localhost" or "." not in self.host or self.host.endswith((".localhost", ".internal"))
        return address.is_private or address.is_loopback

    @property
    def in_place(self) -> bool:
        """True when the service is where the policy says it is."""
        return self.ours or any(one.id == self.processor and one.serves(self.host) for one in PROCESSORS)


def services() -> tuple[Service, ...]:
    """Return the outside services of this installation that receive what people entrust to us."""
    s = settings()
    named = (
        ("DATABASE_URL", "3.1", "supabase", s.database_url),
        ("SUPABASE_URL", "3.1", "supabase", s.supabase_url),
        ("STRIPE_API_BASE", "3.2", "stripe", s.stripe_api_base),
        ("REDIS_URL", "3.4", "upstash", s.redis_url),
        ("SENTRY_DSN", "3.5", "sentry", s.sentry_dsn),
        ("SMTP_URL", "3.0", None, s.smtp_url),
        *((setting, "3.0", None, place.base_url) for setting, place in upstreams().items()),
    )
    return tuple(
        Service(setting, sentence, processor, host)
        for setting, sentence, processor, address in named
        if address and (host := urlsplit(address).hostname)
    )


def upstreams() -> dict[str, UpstreamPlace]:
    """Return the services that answer for models, by the setting that says where they are."""
    return {
        f"UPSTREAM_{name.upper()}_BASE_URL" if name else "UPSTREAM_BASE_URL": place
        for name, place in settings().upstreams.items()
    }


def misplaced() -> tuple[Service, ...]:
    """Return the services that a company provides which section 3 does not name for them."""
    return tuple(service for service in services() if not service.in_place)


def allowed_hosts() -> frozenset[str]:
    """Return every host this installation may speak to: the processors' patterns and what the settings name."""
    registry = {host for processor in PROCESSORS for host in processor.hosts}
    s = settings()
    asked = (s.secret_scanning_keys_url, s.advisories_url)  # for public keys, for vulnerabilities: told of no person
    others = [address for address in asked if address]
    named = {host for address in _identity_providers() + others if (host := urlsplit(address).hostname)}
    return frozenset(registry | named | {service.host for service in services()})


def _identity_providers() -> list[str]:
    """Return the addresses of the sign-in providers; GitHub, which is no OIDC issuer, has two."""
    addresses = []
    for client in settings().oauth_clients:
        addresses += ["https://github.com", "https://api.github.com"] if client.issuer == "github" else [client.issuer]
    return addresses
