"""What every verb on a request begins with and leaves: the request in one's turn, and a line where its person reads it.

open_request(tx, staff, handle)         an open one, for staff; raises NotFound, or Refused (answered)
in_turn(tx, handle)                     any, or None
note(tx, staff, action, request, …)     writes down what staff did with it
"""

from sqlmodel import select

from assisters_app.accounts import links
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.base import trail
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.privacy.rights.tables import PrivacyRequest


def note(tx: Tx, staff: Person, action: str, request: PrivacyRequest, **details: str) -> None:
    """Write down what staff did with a request, where its person reads it."""
    trail.write(tx, action, account_id=request.account_id, actor_id=staff.account_id, request=request.handle, **details)


async def open_request(tx: Tx, staff: Person, request_handle: str) -> PrivacyRequest:
    """Return an open request in one's turn; raise NotFound, or Refused (answered)."""
    require(staff, "requests")
    request = await in_turn(tx, request_handle)
    if request is None:
        raise NotFound("request")
    if request.state != "open":
        raise Refused("That request has been answered already.", code="answered", status=409)
    return request


async def in_turn(tx: Tx, request_handle: str) -> PrivacyRequest | None:
    """Return a request in one's turn: its person's account first, as who changes that and answers by it does."""
    named = PrivacyRequest.handle == request_handle
    if whose := (await tx.exec(select(PrivacyRequest.account_id).where(named))).first():
        await links.turn(tx, whose)
    return (await tx.exec(select(PrivacyRequest).where(named).with_for_update())).first()
