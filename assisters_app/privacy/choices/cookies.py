"""Everything the product may leave on a device: name, purpose, life, and whether consent is needed for it.

    stored() -> tuple[Stored, …]        this installation's list; the page renders from it
    listed(), as_json()                 the same for programs: all of it, and in the shape that the IAB has published
    needs_banner() -> bool              whether anything needs consent before it is stored

A browser test compares the list with what a real browser holds after every page.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal
from urllib.parse import urlsplit

from assisters_app.accounts.oauth import LASTING as OAUTH_LIFE
from assisters_app.accounts.sessions import AT_MOST
from assisters_app.base.settings import settings


@dataclass(frozen=True, slots=True)
class Stored:
    """One thing kept on the device. `life` is None when it goes with the tab or stays until cleared (see `until`)."""

    identifier: str
    type: Literal["cookie", "session", "local"]
    purpose: str
    life: timedelta | None
    until: str  # for people: "14 days", "Until the tab is closed"
    exempt: bool  # from consent under ePrivacy 5(3)
    why_exempt: str


STORE_AND_READ = 1  # the IAB's purpose "Store and/or access information on a device", which needs consent
LINK_LIFE = timedelta(minutes=10)
STRICTLY = "Strictly necessary for what you asked for (ePrivacy Directive, Art. 5(3))"
ASKED_FOR = "Remembers a choice of yours about how the product looks, at your request"


def stored() -> tuple[Stored, ...]:
    """Return the list for this installation: over TLS cookies carry the `__Host-` prefix."""
    named = settings().cookie_name
    return (
        Stored(
            named("session"),
            "cookie",
            "Keeps you signed in. Holds a random value that only our server can read; scripts cannot.",
            AT_MOST,
            f"{AT_MOST.days} days, or until you sign out",
            exempt=True,
            why_exempt=STRICTLY,
        ),
        Stored(
            named("link"),
            "cookie",
            "Holds a link that we mailed you from the moment you follow it until you have used it.",
            LINK_LIFE,
            "10 minutes, or until it is used",
            exempt=True,
            why_exempt=STRICTLY,
        ),
        Stored(
            named("oauth"),
            "cookie",
            "Recognises this browser when it comes back from a sign-in provider that you chose.",
            OAUTH_LIFE,
            "10 minutes, or until you are back",
            exempt=True,
            why_exempt=STRICTLY,
        ),
        Stored(
            "token",
            "session",
            "Names this tab, so that what you do in it is answered in it.",
            None,
            "Until the tab is closed",
            exempt=True,
            why_exempt=STRICTLY,
        ),
        Stored(
            "reflex_last_reloaded_on_error",
            "session",
            "When the page last reloaded itself after an error, so that it cannot do so endlessly.",
            None,
            "Until the tab is closed",
            exempt=True,
            why_exempt=STRICTLY,
        ),
        Stored(
            "react-router-scroll-positions",
            "session",
            "How far you had scrolled on pages of this tab, so that going back brings you there again.",
            None,
            "Until the tab is closed",
            exempt=True,
            why_exempt=STRICTLY,
        ),
        Stored(
            "theme",
            "local",
            "Whether you prefer the light or the dark theme.",
            None,
            "Until you clear it",
            exempt=True,
            why_exempt=ASKED_FOR,
        ),
    )


def needs_banner() -> bool:
    """Return whether anything is stored that needs consent first. While nothing does, there is no banner."""
    return not all(one.exempt for one in stored())


def listed() -> list[dict[str, Any]]:
    """Return the list for programs, with all that the page says."""
    return [
        {
            "identifier": one.identifier,
            "storage": one.type,
            "purpose": one.purpose,
            "seconds": int(one.life.total_seconds()) if one.life else None,
            "until": one.until,
            "exempt": one.exempt,
            "why": one.why_exempt,
        }
        for one in stored()
    ]


def as_json() -> dict[str, Any]:
    """Return the list as IAB Europe's "Vendor Device Storage & Operational Disclosures" (1.1) writes it.

    `web` is any storage but cookies, and has no age; a `purposes` without 1 says that no consent is needed. We are no
    vendor of that framework: it is the one published shape that others' tools can read.
    """
    host = urlsplit(settings().public_url).hostname or ""
    return {
        "disclosures": [_disclosed(one, host) for one in stored()],
        "domains": [{"domain": host, "purposes": [], "use": "Everything: the pages, the API and their data"}],
    }


def _disclosed(one: Stored, host: str) -> dict[str, Any]:
    said = {
        "identifier": one.identifier,
        "type": "cookie" if one.type == "cookie" else "web",
        "maxAgeSeconds": int(one.life.total_seconds()) if one.type == "cookie" and one.life else None,
        "domains": [host],
        "purposes": [] if one.exempt else [STORE_AND_READ],
        "description": one.purpose,
    }
    return {**said, "cookieRefresh": False} if one.type == "cookie" else said
