"""Global Privacy Control: the browser's opt-out signal, honoured exactly as its specification writes it.

    signalled(values) -> bool                     what `Sec-GPC` says
    consents.heed_signal(tx, who) -> bool         it holds for the known account, too (11 CCR §7025(c)(1))

We sell and share nothing, so there is nothing to switch off; the signal is recorded with the consents and shown as
honoured (11 CCR §7025(c)(6)).
"""

from collections.abc import Iterable
from datetime import date
from typing import Any

SINCE = date(2026, 1, 1)


def signalled(values: Iterable[str]) -> bool:
    """Return whether `Sec-GPC` says opt out, given the value of each such header: only an exact `1` does."""
    return any(value == "1" for value in values)


def well_known() -> dict[str, Any]:
    """Return what `/.well-known/gpc.json` answers."""
    return {"gpc": True, "lastUpdate": SINCE.isoformat()}
