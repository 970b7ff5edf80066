"""What the open tabs of a session are called in Valkey, and how an erasure forgets what they held.

Knows nothing of Reflex, so that the worker can import it: what it keeps of a tab begins with `<tab>_`.
"""

from sqlmodel import select

from assisters_app.accounts.tables import Session
from assisters_app.base.db import transaction
from assisters_app.base.valkey import valkey
from assisters_app.privacy.belonging import Subject
from assisters_app.privacy.erasing import purge

AT_ONCE = 500  # keys in one round trip


def tabs_of(mark: str) -> str:
    """Return the name of the set of tabs that the session with this fingerprint has opened."""
    return f"ui:tabs:{mark}"


async def forget(subject: Subject) -> str:
    """Delete what every tab of the person held, then the lists of their tabs."""
    async with transaction() as tx:
        marks = (await tx.exec(select(Session.fingerprint).where(Session.account_id == subject.account_id))).all()
    tabs: set[str] = set()
    for mark in marks:
        tabs |= await valkey().smembers(tabs_of(mark))  # type: ignore[misc]  # (redis types sync and async as one)
    if tabs:
        await _delete_all_of(tabs)
        await valkey().unlink(*map(tabs_of, marks))
    return f"{len(tabs)} tabs forgotten"


async def _delete_all_of(tabs: set[str]) -> None:
    async for key in valkey().scan_iter("*_*", count=AT_ONCE):
        if key.partition("_")[0] in tabs:
            await valkey().unlink(key)


purge.also("open tabs", forget)
