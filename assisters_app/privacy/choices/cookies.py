"""Everything the product may leave on a device: name, purpose, life, and whether consent is needed for it.

A browser test compares this list with what a real browser holds after every page; the cookie page renders from it.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

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
            "Holds a link that we mailed you from the moment you follow it until you press its button.",
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
        Stored(
            "last_compiled_theme",
            "local",
            "The theme the product came with, to notice when that changes.",
            None,
            "Until you clear it",
            exempt=True,
            why_exempt=ASKED_FOR,
        ),
    )


def needs_banner() -> bool:
    """Return whether anything is stored that needs consent first. While nothing does, there is no banner."""
    return not all(one.exempt for one in stored())


def as_json() -> dict[str, Any]:
    """Return the list in the shape of the IAB's device storage disclosures (`web` is session or local storage)."""
    return {
        "disclosures": [
            {
                "identifier": one.identifier,
                "type": "cookie" if one.type == "cookie" else "web",
                "storage": one.type,
                "maxAgeSeconds": int(one.life.total_seconds()) if one.life else None,
                "cookieRefresh": False,
                "purposes": [],  # none of the IAB's advertising purposes
                "description": one.purpose,
                "exempt": one.exempt,
            }
            for one in stored()
        ]
    }
