"""Everything the outside tells the program, read once from the environment into one frozen object."""

import base64
import functools
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parents[2]

_UPSTREAM_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A setting is missing, empty or malformed. The message is a sentence for the operator."""


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """One provider that people may sign in with; `issuer` is an OIDC issuer URL, or "github"."""

    name: str
    title: str
    issuer: str
    client_id: str
    client_secret: str


@dataclass(frozen=True, slots=True)
class UpstreamPlace:
    """A service that answers for models: an OpenAI-compatible …/v1, what opens it, and whether it counts as it speaks.

    A model names one of them. What is named here and not there: a credential goes to the address it was set with only.
    """

    base_url: str
    api_key: str | None = field(repr=False)
    continuous_usage: bool  # its streams tell, when asked, on every chunk what was used so far (as vLLM's do)


@dataclass(frozen=True, slots=True, repr=False)
class Settings:
    """The settings of one run. Optional services are None when they are not configured."""

    environment: Literal["development", "production"]
    place: Literal["host", "function"]  # a function has no disk that outlives it, sleeps between requests, and ends
    port: int
    public_url: str  # scheme://host[:port], no trailing slash
    api_url: str | None  # where programs reach the API besides: a function, say; the promise of TLS 1.3 holds there too
    database_url: str  # postgresql://…; see `base.db` for the driver
    database_pooler: Literal["none", "session", "transaction"]  # what stands between us and the database
    redis_url: str  # redis:// or rediss://
    pepper: bytes  # root secret, at least 32 bytes; every other secret of ours is derived from it
    peppers_before: tuple[bytes, ...]  # those that it replaced, the newest first: they only open and compare
    content_keys_dir: Path  # keys of request content: in no backup, best in memory (a tmpfs)
    data_dir: Path  # spool, logs, erasure ledger: what must survive outside the database
    smtp_url: str  # smtp[s]://[user:password@]host:port
    mail_from: str
    stripe_api_key: str | None
    stripe_webhook_secret: str | None
    stripe_api_base: str | None  # another address for Stripe's API: the double in development and tests
    supabase_url: str | None
    supabase_publishable_key: str | None
    supabase_secret_key: str | None
    sentry_dsn: str | None
    upstreams: Mapping[str, UpstreamPlace]  # by name, "" being the usual one; none: the sandbox answers every model
    oauth_clients: tuple[OAuthClient, ...]
    secret_scanning_keys_url: str | None  # where those who report leaked keys publish what they sign with
    canary_email: str | None  # a mailbox of ours; the canary signs up as name+<word>@domain
    searched: tuple[Path, ...]  # what the canary searches beside the stores that we know of: logs
    advisories_url: str | None  # who is asked for known vulnerabilities of our packages: OSV's API
    trusted_proxies: tuple[Network, ...]  # peers whose X-Forwarded-For is believed
    mailbox_url: str | None  # development only: where caught mail can be read

    @property
    def development(self) -> bool:
        """True when stand-ins may serve and every page says so."""
        return self.environment == "development"

    @property
    def function(self) -> bool:
        """True where the API alone is served by a function of somebody else's platform (docs/outside-systems.md)."""
        return self.place == "function"

    @property
    def largest_body(self) -> int | None:
        """Return how many bytes of a request get as far as here; None where nothing but our own limits counts.

        Vercel's functions take 4.5 MB (https://vercel.com/docs/functions/limitations). Ours is a little less, so that
        who sends more reads our sentence, in the shape of errors that their client knows.
        """
        return 4 * 2**20 if self.function else None

    @property
    def longest_call(self) -> timedelta | None:
        """Return how long a call may take here; None where nothing but our own limits counts.

        A function is ended at its 300 seconds, whatever it does: what a call has used must be written down before.
        """
        return timedelta(seconds=255) if self.function else None

    @property
    def https(self) -> bool:
        """True when people reach the product over TLS: decides cookie names and the Secure attribute."""
        return self.public_url.startswith("https://")

    def cookie_name(self, what: str) -> str:
        """Return what a cookie is called: over TLS `__Host-…`, which browsers bind to this host, and to TLS."""
        return f"__Host-{what}" if self.https else what

    def __repr__(self) -> str:
        """Name the run, never its secrets."""
        return f"Settings(environment={self.environment!r}, public_url={self.public_url!r})"


def read_settings(env: Mapping[str, str]) -> Settings:
    """Return the settings that `env` describes; raise SettingsError with a sentence when one is wrong."""
    environment = _environment(env)
    port = _port(env)
    public_url = (_optional(env, "PUBLIC_URL") or f"http://localhost:{port}").rstrip("/")
    _url("PUBLIC_URL", public_url, ("http", "https"))
    if environment == "production" and not public_url.startswith("https://"):
        raise SettingsError("PUBLIC_URL must start with https:// in production: cookies are sent over TLS only.")
    stripe_key = _optional(env, "STRIPE_API_KEY")
    stripe_secret = _optional(env, "STRIPE_WEBHOOK_SECRET")
    if stripe_key and not stripe_secret:
        raise SettingsError("STRIPE_WEBHOOK_SECRET is missing: without it anyone could forge a payment.")
    supabase = [_optional(env, f"SUPABASE_{part}") for part in ("URL", "PUBLISHABLE_KEY", "SECRET_KEY")]
    if any(supabase) and not all(supabase):
        raise SettingsError("SUPABASE_URL, SUPABASE_PUBLISHABLE_KEY and SUPABASE_SECRET_KEY are set together or not.")
    data_dir = Path(_optional(env, "ASSISTERS_DATA_DIR") or ROOT / ".local" / "data")
    return Settings(
        environment=environment,
        place=_place(env),
        port=port,
        public_url=public_url,
        api_url=_optional_url(env, "API_URL", ("https",)),
        database_url=_required_url(env, "DATABASE_URL", ("postgresql", "postgres")),
        database_pooler=_pooler(env),
        redis_url=_required_url(env, "REDIS_URL", ("redis", "rediss")),
        pepper=_pepper("ASSISTERS_PEPPER", _required(env, "ASSISTERS_PEPPER")),
        peppers_before=tuple(
            _pepper("ASSISTERS_PEPPER_BEFORE", text.strip())
            for text in (_optional(env, "ASSISTERS_PEPPER_BEFORE") or "").split(",")
            if text.strip()
        ),
        content_keys_dir=Path(_optional(env, "CONTENT_KEYS_DIR") or data_dir / "content-keys"),
        data_dir=data_dir,
        smtp_url=_required_url(env, "SMTP_URL", ("smtp", "smtps")),
        mail_from=_optional(env, "MAIL_FROM") or "Assisters <no-reply@assisters.io>",
        stripe_api_key=stripe_key,
        stripe_webhook_secret=stripe_secret,
        stripe_api_base=_optional_url(env, "STRIPE_API_BASE", ("http", "https")),
        supabase_url=_optional_url(env, "SUPABASE_URL", ("http", "https")),
        supabase_publishable_key=supabase[1],
        supabase_secret_key=supabase[2],
        sentry_dsn=_optional_url(env, "SENTRY_DSN", ("http", "https")),
        upstreams=_upstreams(env),
        oauth_clients=_oauth_clients(env),
        secret_scanning_keys_url=_optional_url(
            env, "SECRET_SCANNING_KEYS_URL", ("http", "https") if environment == "development" else ("https",)
        ),
        canary_email=_optional(env, "CANARY_EMAIL") or ("canary@example.com" if environment == "development" else None),
        searched=tuple(Path(part) for part in (_optional(env, "ASSISTERS_SEARCHED") or "").split(os.pathsep) if part),
        advisories_url=_optional_url(env, "ADVISORIES_URL", ("http", "https")),
        trusted_proxies=_networks(env, "TRUSTED_PROXIES"),
        mailbox_url=_optional_url(env, "MAILBOX_URL", ("http",)) if environment == "development" else None,
    )


@functools.cache
def settings() -> Settings:
    """Return the settings of this process. Tests call `settings.cache_clear()` after changing the environment."""
    return read_settings(os.environ)


def _environment(env: Mapping[str, str]) -> Literal["development", "production"]:
    value = _optional(env, "ASSISTERS_ENV") or "production"
    if value == "development":
        return "development"
    if value == "production":
        return "production"
    raise SettingsError(f"ASSISTERS_ENV is {value!r}; it is either 'development' or 'production'.")


def _place(env: Mapping[str, str]) -> Literal["host", "function"]:
    value = _optional(env, "ASSISTERS_PLACE") or "host"
    if value == "host":
        return "host"
    if value == "function":
        return "function"
    raise SettingsError(f"ASSISTERS_PLACE is {value!r}; it is either 'host' or 'function'.")


def _pooler(env: Mapping[str, str]) -> Literal["none", "session", "transaction"]:
    """Return what DATABASE_POOLER says, or what the address of Supabase's pooler says: port 6543 is by transaction."""
    address = urlsplit(env.get("DATABASE_URL", ""))
    supabase = (address.hostname or "").endswith(".pooler.supabase.com")
    value = _optional(env, "DATABASE_POOLER") or (
        ("transaction" if address.port == 6543 else "session") if supabase else "none"  # noqa: PLR2004 (Supabase's)
    )
    if value == "none":
        return "none"
    if value == "session":
        return "session"
    if value == "transaction":
        return "transaction"
    raise SettingsError(f"DATABASE_POOLER is {value!r}; it is 'none', 'session' or 'transaction'.")


def _port(env: Mapping[str, str]) -> int:
    text = _optional(env, "PORT") or "3000"
    if not text.isdigit() or not 0 < int(text) < 65536:  # noqa: PLR2004 (the largest TCP port)
        raise SettingsError(f"PORT is {text!r}; it is a number from 1 to 65535.")
    return int(text)


def _pepper(name: str, text: str) -> bytes:
    try:
        pepper = base64.b64decode(text, validate=True)
    except ValueError:
        raise SettingsError(f"{name} is not base64. {_made(name)}") from None
    if len(pepper) < 32:  # noqa: PLR2004 (256 bits)
        raise SettingsError(f"{name} holds fewer than 32 bytes. {_made(name)}")
    return pepper


def _made(name: str) -> str:
    if name == "ASSISTERS_PEPPER":
        return "Make one with: openssl rand -base64 32"
    return "It names, letter by letter, what ASSISTERS_PEPPER was before."


def _oauth_clients(env: Mapping[str, str]) -> tuple[OAuthClient, ...]:
    clients = []
    for name, title, issuer in (
        ("github", "GitHub", "github"),
        ("google", "Google", "https://accounts.google.com"),
        ("oidc", _optional(env, "OIDC_TITLE") or "Single sign-on", None),
    ):
        prefix = name.upper()
        client_id, secret = _optional(env, f"{prefix}_CLIENT_ID"), _optional(env, f"{prefix}_CLIENT_SECRET")
        if not client_id and not secret:
            continue
        if not (client_id and secret):
            raise SettingsError(f"{prefix}_CLIENT_ID and {prefix}_CLIENT_SECRET are set together or not at all.")
        where = issuer or _required_url(env, "OIDC_ISSUER", ("http", "https"))
        clients.append(OAuthClient(name, title, where, client_id, secret))
    return tuple(clients)


def _upstreams(env: Mapping[str, str]) -> Mapping[str, UpstreamPlace]:
    """Return the usual upstream, if there is one, and those in UPSTREAMS: UPSTREAM_<NAME>_BASE_URL and so on."""
    named = [name.strip() for name in (_optional(env, "UPSTREAMS") or "").split(",") if name.strip()]
    wrong = [name for name in named if not _UPSTREAM_NAME.fullmatch(name) or named.count(name) > 1]
    if wrong:
        raise SettingsError(f"UPSTREAMS holds {wrong[0]!r}; a name is given once: small letters, digits and _.")
    found = {name: _upstream(env, f"UPSTREAM_{name.upper()}") for name in named}
    if _optional(env, "UPSTREAM_BASE_URL"):
        found[""] = _upstream(env, "UPSTREAM")
    return found


def _upstream(env: Mapping[str, str], prefix: str) -> UpstreamPlace:
    continuous = _optional(env, f"{prefix}_CONTINUOUS_USAGE") or "0"
    if continuous not in ("0", "1"):
        raise SettingsError(f"{prefix}_CONTINUOUS_USAGE is {continuous!r}; it is 1 or 0.")
    base = _required_url(env, f"{prefix}_BASE_URL", ("http", "https"))
    return UpstreamPlace(base, _optional(env, f"{prefix}_API_KEY"), continuous == "1")


def _networks(env: Mapping[str, str], name: str) -> tuple[Network, ...]:
    text = _optional(env, name) or ""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as problem:
        raise SettingsError(f"{name} holds something that is not a network: {problem}.") from None


def _optional(env: Mapping[str, str], name: str) -> str | None:
    value = env.get(name)
    if value is not None and not value.strip():
        raise SettingsError(f"{name} is set but empty. Give it a value or unset it.")
    return value


def _required(env: Mapping[str, str], name: str) -> str:
    value = _optional(env, name)
    if value is None:
        raise SettingsError(f"{name} is missing. `make run` sets it for development; production must name it.")
    return value


def _optional_url(env: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str | None:
    value = _optional(env, name)
    return value if value is None else _url(name, value, schemes)


def _required_url(env: Mapping[str, str], name: str, schemes: tuple[str, ...]) -> str:
    return _url(name, _required(env, name), schemes)


def _url(name: str, value: str, schemes: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(value)
        parts.port  # noqa: B018 (reading it is what checks it)
    except ValueError:
        parts = None
    if parts is None or parts.scheme not in schemes or not parts.hostname:
        raise SettingsError(f"{name} is not an address that starts with {' or '.join(s + '://' for s in schemes)}.")
    return value.rstrip("/")
