"""The processors of the policy's section 3: who receives what, where, under which safeguard, at which hosts.

PROCESSORS                                 in the order of the policy
received_by(processor_id) -> tuple[str, …]  data categories, read from the marks
allowed_hosts() -> frozenset[str]           the only hosts this installation may speak to
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from assisters_app.base.settings import settings
from assisters_app.privacy.inventory import marked_columns

TRANSFERS = "Standard Contractual Clauses (EU) 2021/914; EU-US Data Privacy Framework where certified"


@dataclass(frozen=True, slots=True)
class Processor:
    """One company that handles data for us. `hosts` are patterns: `*.example.com` means any subdomain."""

    id: str
    name: str
    purpose: str  # the wording of the policy's section 3
    does: str  # the same for a person who wants to know
    country: str
    safeguard: str
    terms: str  # address of its data processing agreement
    since: date
    hosts: tuple[str, ...]


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


def allowed_hosts() -> frozenset[str]:
    """Return every host this installation may speak to: the processors' patterns and what the settings name."""
    registry = {host for processor in PROCESSORS for host in processor.hosts}
    s = settings()
    configured = (
        s.database_url,
        s.redis_url,
        s.smtp_url,
        s.stripe_api_base,
        s.supabase_url,
        s.sentry_dsn,
        s.upstream_base_url,
    )
    addresses = [address for address in configured if address] + _identity_providers()
    return frozenset(registry | {host for address in addresses if (host := urlsplit(address).hostname)})


def _identity_providers() -> list[str]:
    """Return the addresses of the sign-in providers; GitHub, which is no OIDC issuer, has two."""
    addresses = []
    for client in settings().oauth_clients:
        addresses += ["https://github.com", "https://api.github.com"] if client.issuer == "github" else [client.issuer]
    return addresses
