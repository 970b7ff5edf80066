"""The opt-out signal of browsers, heeded wherever somebody who is signed in brings it along (Global Privacy Control)."""

from uuid import UUID

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import transaction
from assisters_app.privacy.choices import consents, gpc

MOST = 50_000  # accounts remembered in this process; when it is full it starts anew, and the database is asked again

_heeded: set[UUID] = set()


def sent(headers: list[tuple[bytes, bytes]]) -> bool:
    """Return whether raw ASGI `headers` carry the signal."""
    return gpc.signalled(value.decode("latin-1") for name, value in headers if name == b"sec-gpc")


async def heed(headers: list[tuple[bytes, bytes]], who: Person) -> None:
    """Write the signal down for the account of `who`, once."""
    if not sent(headers) or who.account_id in _heeded:
        return
    async with transaction() as tx:
        await consents.heed_signal(tx, who)
    if len(_heeded) >= MOST:
        _heeded.clear()
    _heeded.add(who.account_id)
