"""What a key may do and how much: its terms, as a person asks for them and as the gateway holds to them.

    Terms.model_validate(form)                raises ValidationError; `refusal(problem)` makes a sentence of it
    Terms.of(row) -> Terms                    as they are stored
    Window.of(at) -> Window                   the day, week (from Monday) and month that budgets count in, all UTC

Scopes, and what needs which:

    chat    calls models: every POST that is metered
    read    reads what belongs to the account: its usage, its wallet
    write   changes something of the account: a top-up

Which models there are, and what is left of a limit, any key that works may ask. `openapi.operations` says of each
address which scope it needs, and a test holds the API to it.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from assisters_app.base.errors import Refused
from assisters_app.base.settings import Network
from assisters_app.keys.tables import ApiKey

Scope = Literal["chat", "read", "write"]
SCOPES: dict[Scope, str] = {
    "chat": "Call models",
    "read": "Read usage and the wallet",
    "write": "Top up the wallet",
}
USUAL_SCOPES: tuple[Scope, ...] = ("chat", "read")
Span = Literal["day", "week", "month"]
SPANS: tuple[Span, ...] = get_args(Span)

MOST_ENTRIES = 50  # networks, domains or models of one key
MOST_A_MINUTE = 10**9
MOST_NANO = 10**15  # a million dollars: far from what numbers in scripts are exact for

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOMAIN = re.compile(rf"(?:\*\.)?{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_ORIGIN = re.compile(r"https?://([a-z0-9.-]+)(?::[0-9]{1,5})?", re.ASCII | re.IGNORECASE)


def network_of(text: str) -> str:
    """Return an address or CIDR block as it is kept; raise ValueError. IPv4 inside IPv6 is IPv4."""
    try:
        network = ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        raise ValueError(f"“{text[:60]}” is not an IP address or a block such as 203.0.113.0/24.") from None
    if isinstance(network, ipaddress.IPv6Network):
        inside = network.network_address.ipv4_mapped
        if inside is not None and network.prefixlen >= 96:  # noqa: PLR2004 (::ffff:0:0/96 holds all of IPv4)
            return str(ipaddress.IPv4Network((inside, network.prefixlen - 96), strict=False))
    return str(network)


def domain_of(text: str) -> str:
    """Return a domain, or `*.` and one, as it is kept; raise ValueError. Beyond ASCII it is kept as it is sent."""
    given = text.strip().lower().removesuffix(".")
    star = "*." if given.startswith("*.") else ""
    try:
        name = star + given.removeprefix("*.").encode("idna").decode()
    except UnicodeError:
        name = ""
    if not _DOMAIN.fullmatch(name) or len(name) > 253:  # noqa: PLR2004 (RFC 1035)
        raise ValueError(f"“{text[:60]}” is not a domain such as example.com or *.example.com.")
    return name


def _entries(given: Any) -> Any:  # noqa: ANN401 (a form's text, or a list)
    """Take what is separated by commas, spaces or line ends as a list."""
    return [one for one in re.split(r"[\s,]+", given) if one] if isinstance(given, str) else given


def _number(given: Any) -> Any:  # noqa: ANN401 (a form's text, or a number)
    return None if isinstance(given, str) and not given.strip() else given


def _unique(kept: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(kept))


def _networks(given: Any) -> Any:  # noqa: ANN401 (as above)
    return _unique(network_of(str(one)) for one in _entries(given))


def _domains(given: Any) -> Any:  # noqa: ANN401 (as above)
    return _unique(domain_of(str(one)) for one in _entries(given))


def _names(given: Any) -> Any:  # noqa: ANN401 (as above)
    return _unique(map(str, _entries(given)))


ModelName = Annotated[str, Field(pattern=r"^[!-~]{1,64}$")]
PerMinute = Annotated[Annotated[int, Field(ge=1, le=MOST_A_MINUTE)] | None, BeforeValidator(_number)]
Nano = Annotated[Annotated[int, Field(ge=1, le=MOST_NANO)] | None, BeforeValidator(_number)]


class Terms(BaseModel):
    """What a key may do. None and empty mean: no limit of its own. Budgets are nano-USD; limits are per minute."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    scopes: Annotated[tuple[Scope, ...], BeforeValidator(_names)] = Field(default=USUAL_SCOPES, min_length=1)
    models: Annotated[tuple[ModelName, ...], BeforeValidator(_names)] = Field(default=(), max_length=MOST_ENTRIES)
    requests_per_minute: PerMinute = None
    tokens_per_minute: PerMinute = None
    concurrency: PerMinute = None  # calls at the same time
    budget_day: Nano = None
    budget_week: Nano = None
    budget_month: Nano = None
    networks: Annotated[tuple[str, ...], BeforeValidator(_networks)] = Field(default=(), max_length=MOST_ENTRIES)
    domains: Annotated[tuple[str, ...], BeforeValidator(_domains)] = Field(default=(), max_length=MOST_ENTRIES)

    @classmethod
    def of(cls, key: ApiKey) -> "Terms":
        """Return the terms of a row."""
        return Terms.model_construct(**{name: _read(name, getattr(key, name)) for name in Terms.model_fields})

    def write(self, key: ApiKey) -> None:
        """Put these terms into a row."""
        for name in Terms.model_fields:
            value = getattr(self, name)
            setattr(key, name, " ".join(value) if isinstance(value, tuple) else value)

    @property
    def budgets(self) -> dict[Span, int]:
        """Return the budgets there are, in nano-USD."""
        all_ = dict(zip(SPANS, (self.budget_day, self.budget_week, self.budget_month), strict=True))
        return {span: nano for span, nano in all_.items() if nano is not None}


def _read(name: str, stored: Any) -> Any:  # noqa: ANN401 (a column's value)
    return tuple(stored.split()) if name in LISTS else stored


LISTS = ("scopes", "models", "networks", "domains")  # kept as text, entries separated by spaces
WORDS = {
    "scopes": "Choose at least one thing that the key may do.",
    "models": "Choose at most 50 models.",
    "requests_per_minute": "Requests per minute are a whole number from 1.",
    "tokens_per_minute": "Tokens per minute are a whole number from 1.",
    "concurrency": "Calls at the same time are a whole number from 1.",
    "budget_day": "A budget is an amount above zero, at most $1,000,000.",
    "budget_week": "A budget is an amount above zero, at most $1,000,000.",
    "budget_month": "A budget is an amount above zero, at most $1,000,000.",
    "networks": "A key may have at most 50 addresses.",
    "domains": "A key may have at most 50 domains.",
    "name": "A key's name has 1 to 255 characters.",
}


def refusal(problem: ValidationError) -> Refused:
    """Return what to tell the person who asked for terms that cannot be: the first thing that is wrong."""
    first = problem.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    said = first.get("ctx", {}).get("error")
    sentence = str(said) if isinstance(said, ValueError) else WORDS.get(field, "That is not possible for a key.")
    return Refused(sentence, code=f"bad_{field}" if field else "bad_terms", field=field or None)


def may_come_from(networks: Iterable[Network], address: str) -> bool:
    """Say whether an address ("" when it is not known) lies in one of `networks`."""
    if not address:
        return False
    read = ipaddress.ip_address(address)
    return any(read in network for network in networks)


def may_come_by(domains: Iterable[str], origin: str, referer: str) -> bool:
    """Say whether a browser's call comes from a page of one of `domains`; one that does not say, does not.

    It guards against careless reuse of a key that is in a page for all to see. It is no secret: who writes a client
    writes its headers. `*.example.com` is every name below example.com, not example.com itself.
    """
    host = _host_of(origin) if origin else _host_of_address(referer)
    return host != "" and any(
        host.endswith(domain[1:]) if domain.startswith("*.") else host == domain for domain in domains
    )


def _host_of(origin: str) -> str:
    """Return the host of an Origin header, "" for `null` and for anything that no browser sends."""
    found = _ORIGIN.fullmatch(origin)
    return found[1].lower().removesuffix(".") if found else ""


def _host_of_address(address: str) -> str:
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return _host_of(f"{parts.scheme}://{parts.netloc}")


@dataclass(frozen=True, slots=True)
class Window:
    """The UTC day, week and month that a moment lies in, each by its first day and the first day after it."""

    day: tuple[date, date]
    week: tuple[date, date]
    month: tuple[date, date]

    @classmethod
    def of(cls, at: datetime) -> "Window":
        """Return the windows that `at` lies in."""
        return _windows(at.astimezone(UTC).date())

    def begins(self, span: Span) -> datetime:
        """Return when the day, week or month began."""
        begin: date = getattr(self, span)[0]
        return datetime.combine(begin, time(), UTC)

    def ends(self, span: Span) -> datetime:
        """Return when the next one begins, and its budget is whole again."""
        end: date = getattr(self, span)[1]
        return datetime.combine(end, time(), UTC)


_last: list[tuple[date, Window]] = []


def _windows(today: date) -> Window:
    """Make the windows of a day once: every call of that day asks."""
    if not _last or _last[0][0] != today:
        monday, first = today - timedelta(days=today.weekday()), today.replace(day=1)
        after = (first + timedelta(days=31)).replace(day=1)
        made = Window((today, today + timedelta(days=1)), (monday, monday + timedelta(days=7)), (first, after))
        _last[:] = [(today, made)]
    return _last[0][1]
