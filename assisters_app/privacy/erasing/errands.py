"""What an erasure has still to do at a processor: tried until it is done, and shown on the receipt's page.

    at_stripe(receipt, customers) -> str    a step of the purge: begins the errand; what it says goes on the receipt
    at_supabase(receipt, name) -> str       the same where a sign-in is kept
    run(errand_id)                          goes one step on; what keeps it from it is written down and tried again
    of(tx, receipt) -> tuple[State, …]      for the receipt's page

Stripe deletes a customer at once, and keeps the payments: for 90 days nobody can redact them (docs.stripe.com, "Redact
personal data"). Until then the errand waits, sealed, for it knows what the customer was called there; when it is done
that is forgotten, and a second receipt follows the first. Supabase removes a sign-in at once, if it answers.
"""

import json
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlmodel import col, select

from assisters_app.base import crypto, jobs
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.ids import handle
from assisters_app.billing import stripe
from assisters_app.privacy.erasing import receipts
from assisters_app.privacy.erasing.tables import ErasureErrand, ErasureReceipt

logger = logging.getLogger(__name__)

PURPOSE = "erasure-errand"
TAKES = timedelta(days=7)  # that Stripe may take to redact
REDO = timedelta(hours=1)  # between looks at what Stripe has in hand
THEIRS = ("stripe", "supabase", "httpx")  # whose errors mean that the company refuses, and not that we are wrong
LONGEST = timedelta(hours=24)  # between tries, however often it has failed


@dataclass(frozen=True, slots=True)
class State:
    """How far one errand is, for everyone who knows the receipt's number."""

    processor: str
    outcome: str
    promised_for: datetime
    finished_at: datetime | None


async def at_stripe(receipt: str, customers: tuple[str, ...]) -> str:
    """Delete the customers, and return what is to be said of it; what cannot be done now is done later."""
    if not customers:
        return "nothing is there"
    left = {"customers": list(customers), "objects": [], "paid_at": None, "job": None}
    return await _begun(receipt, "stripe", left, now() + stripe.KEPT + TAKES)


async def at_supabase(receipt: str, name: str) -> str:
    """Remove the sign-in, and return what is to be said of it; what cannot be done now is done later."""
    return await _begun(receipt, "supabase", {"name": name}, now() + TAKES)


async def _begun(receipt: str, processor: str, left: dict[str, Any], promised_for: datetime) -> str:
    async with transaction() as tx:
        errand = (await tx.exec(_of(receipt).where(col(ErasureErrand.processor) == processor))).first()
        if errand is None:
            errand = ErasureErrand(
                receipt=receipt, processor=processor, sealed=_sealed(left), due_at=now(), promised_for=promised_for
            )
            tx.add(errand)
    await run(str(errand.id))
    async with transaction() as tx:
        return (await tx.get_one(ErasureErrand, errand.id)).outcome


async def of(tx: Tx, receipt: str) -> tuple[State, ...]:
    """Return how far the errands of an erasure are."""
    found = (await tx.exec(_of(receipt).order_by(col(ErasureErrand.created_at)))).all()
    return tuple(State(one.processor, one.outcome, one.promised_for, one.finished_at) for one in found)


@jobs.job("privacy.run-errands", every="12 * * * *")
async def run_due() -> None:
    """Have every errand whose time has come go one step on."""
    async with transaction() as tx:
        due = select(ErasureErrand.id).where(
            col(ErasureErrand.finished_at).is_(None), col(ErasureErrand.due_at) <= now()
        )
        for errand_id in (await tx.exec(due)).all():
            await jobs.enqueue(tx, "privacy.run-errand", once=f"errand {errand_id}", errand_id=str(errand_id))


@jobs.job("privacy.run-errand")
async def run(errand_id: str) -> None:
    """Go one step on. What was reached is written down before the next is begun, so each may be repeated."""
    async with transaction() as tx:
        errand = await tx.get(ErasureErrand, UUID(errand_id), with_for_update=True)
        if errand is None or errand.finished_at or errand.due_at > now():
            return
        errand.tries += 1
        name = errand.processor.capitalize()
        try:
            await STEPS[errand.processor](errand, json.loads(crypto.unseal(PURPOSE, errand.sealed)))
        except Refused:
            _again(errand, f"{name} cannot be reached")
        except Exception as problem:
            if not (isinstance(problem, stripe.ForgottenError) or type(problem).__module__.startswith(THEIRS)):
                raise
            _again(errand, f"{name} refuses for now")
            logger.exception("An errand at a company failed.", extra={"handle": errand.receipt})
        tx.add(errand)
        if errand.finished_at:
            await _hand_out_receipt(tx, errand)


async def _at_supabase(errand: ErasureErrand, left: dict[str, Any]) -> None:
    """Have the sign-in removed: nothing of it is kept there for any time."""
    from assisters_app.accounts.identity import supabase_auth  # a second to import, only where it is used

    await supabase_auth.forget(left["name"])
    errand.sealed, errand.finished_at, errand.outcome = b"", now(), "removed"


async def _at_stripe(errand: ErasureErrand, left: dict[str, Any]) -> None:
    """Delete customers, then wait as long as Stripe keeps payments, then have ten objects at a time redacted."""
    while left["customers"]:
        found = await stripe.forget_customer(left["customers"][0])
        left["customers"].pop(0)
        left["objects"] += [list(one) for one in found.objects]
        left["paid_at"] = max(filter(None, (left["paid_at"], _text(found.last_paid_at))), default=None)
    may = datetime.fromisoformat(left["paid_at"]) + stripe.KEPT if left["paid_at"] else now()
    if may > now():
        _wait(errand, left, may, f"customer deleted; payments are redacted once Stripe allows it, on {may:%d %B %Y}")
        errand.promised_for = may + TAKES
        return
    errand.promised_for = min(errand.promised_for, now() + TAKES) if errand.tries == 1 else errand.promised_for
    if left["job"]:
        status = await _look(left)
        if status == "failed":
            _again(errand, "Stripe has found something that it does not redact yet", left)
            return
    if not left["objects"]:
        errand.sealed, errand.finished_at = b"", now()
        errand.outcome = "customer deleted, and everything that Stripe kept of them redacted"
        return
    if not left["job"]:
        await _begin(left)
    _wait(errand, left, now() + REDO, "customer deleted; Stripe is redacting what it kept")


STEPS = {"stripe": _at_stripe, "supabase": _at_supabase}


async def _begin(left: dict[str, Any]) -> None:
    """Have the next objects redacted. A customer whom Stripe has forgotten altogether needs no redaction."""
    try:
        left["job"] = await stripe.begin_redaction((kind, name) for kind, name in _some(left))
    except stripe.ForgottenError:
        known = [one for one in left["objects"] if one[0] != "customers"]
        if known == left["objects"]:
            raise
        left["objects"] = known


async def _look(left: dict[str, Any]) -> str:
    """See how far Stripe is; what is done leaves the list."""
    status = await stripe.redaction(left["job"])
    if status == "succeeded":
        left["objects"] = left["objects"][stripe.REDACTED_AT_ONCE :]
    if status in ("succeeded", "failed", "canceled"):
        left["job"] = None
    return status


def _some(left: dict[str, Any]) -> list[Any]:
    return list(left["objects"][: stripe.REDACTED_AT_ONCE])


def _wait(errand: ErasureErrand, left: dict[str, Any], until: datetime, outcome: str) -> None:
    errand.sealed, errand.due_at, errand.outcome = _sealed(left), until, outcome


def _again(errand: ErasureErrand, outcome: str, left: dict[str, Any] | None = None) -> None:
    """Try again: after minutes at first, then more and more seldom, at least once a day."""
    errand.due_at = now() + min(LONGEST, timedelta(minutes=2 ** min(errand.tries, 12)))
    errand.outcome = f"{outcome}; it is tried again until it is done"
    if left:
        errand.sealed = _sealed(left)


async def _hand_out_receipt(tx: Tx, errand: ErasureErrand) -> None:
    """Sign that what the first receipt left open is done. Where there is none yet, the first one will say so."""
    first = (await tx.exec(select(ErasureReceipt).where(ErasureReceipt.handle == errand.receipt))).first()
    if first is None:
        return
    said = json.loads(first.body)
    facts = {
        "completes": errand.receipt,
        "subject": said["subject"],
        "requested_at": said["requested_at"],
        "carried_out_at": now().isoformat(),
        "tables": [],
        "elsewhere": {errand.processor: errand.outcome},
        "found_by_scan": 0,
    }
    await receipts.issue(tx, handle("rcp"), facts)


def _of(receipt: str) -> Any:  # noqa: ANN401 (a SelectOfScalar)
    return select(ErasureErrand).where(col(ErasureErrand.receipt) == receipt)


def _text(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _sealed(left: dict[str, Any]) -> bytes:
    return crypto.seal(PURPOSE, json.dumps(left))
