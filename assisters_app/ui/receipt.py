"""An erasure receipt: what went, what stays and until when. For anyone who knows its number; it names nobody."""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

import reflex as rx

from assisters_app.accounts.throttling import within
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound
from assisters_app.privacy.erasing import erasure, errands, receipts
from assisters_app.ui.limits import READING
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    anchor,
    badge,
    card,
    copyable,
    empty,
    failed,
    heading,
    link,
    notice,
    number,
    rows,
    skeleton,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, place_of
from assisters_app.ui.shell import public

STEPS = {
    "calls": "Calls under way",
    "sign-in": "Sign-in",
    "stripe": "Stripe",
    "supabase": "Sign-in at Supabase",
    "valkey": "Counters and caches",
    "open tabs": "Open tabs",
}
WAITS = (0.5, 1, 2, 3, 5, 8, 15, 25)  # seconds between looks, while a worker carries the erasure out
FRESH = 1.0  # seconds for which one look answers everybody who waits for the same receipt


@dataclass(frozen=True, slots=True)
class Look:
    """What there is to see of a receipt: it, or (None) how far the erasure is; None for both: neither is there."""

    receipt: receipts.Receipt | None
    later: tuple[errands.State, ...]
    so_far: tuple[tuple[str, str], ...] | None


@dataclass(frozen=True, slots=True)
class LineView:
    """One table of a receipt. `until` is a day, "" where nothing stays."""

    table: str
    title: str
    goes: int
    stays: int
    ground: str
    until: str

    @classmethod
    def of(cls, line: dict[str, Any]) -> Self:
        """Return one line of what was signed."""
        return cls(line["table"], line["title"], line["goes"], line["stays"], line["ground"] or "", line["until"] or "")


@dataclass(frozen=True, slots=True)
class LaterView:
    """What had still to be done at another company. `finished` is ISO 8601 in UTC, "" while it is not done."""

    processor: str
    outcome: str
    promised: str
    finished: str

    @classmethod
    def of(cls, state: errands.State) -> Self:
        """Return how far one errand is."""
        finished = iso(state.finished_at)
        return cls(state.processor.capitalize(), _sentence(state.outcome), state.promised_for.isoformat(), finished)


class ReceiptState(AppState):
    """What one receipt says. `phase` is "waiting" while there is none yet, "none" when it was waited for in vain."""

    phase: str = "loading"
    handle: str = ""
    number: int = 0
    requested: str = ""
    carried_out: str = ""
    subject: str = ""
    previous: str = ""
    signature: str = ""
    public_key: str = ""
    genuine: bool = False
    gone: list[LineView] = []
    kept: list[LineView] = []
    elsewhere: list[list[str]] = []
    later: list[LaterView] = []
    so_far: list[list[str]] = []
    completes: str = ""

    @rx.event(background=True)
    @access("public")
    async def load(self) -> None:
        """Read the receipt that the address names; look again while the erasure is being carried out."""
        async with self:
            asked = str(self.router.url.path).rstrip("/").rpartition("/")[2][:32]
            self.phase, self.handle = "loading", asked
            place = place_of(self)
        if not await within(READING, place):
            async with self:
                self.phase = "failed"
            return
        for wait in (*WAITS, 0.0) if asked.isprintable() else ():
            if await self._looked(asked):
                return
            await asyncio.sleep(wait)
        async with self:
            self.phase = "none"

    async def _looked(self, asked: str) -> bool:
        """Look once; return whether there is nothing more to wait for."""
        seen = await _look(asked)
        async with self:
            if self.handle != asked:  # the person has gone on to another page
                return True
            if seen.receipt is None:
                self.phase = "none" if seen.so_far is None else "waiting"
                self.so_far = _steps(seen.so_far or ())
                return seen.so_far is None
            self.later = [LaterView.of(one) for one in seen.later]
            self._show(seen.receipt)
        return True

    def _show(self, receipt: receipts.Receipt) -> None:
        self.genuine = _genuine(receipt)
        facts = json.loads(receipt.body)
        lines = [LineView.of(line) for line in facts["tables"]]
        self.gone = [line for line in lines if line.goes]
        self.kept = [line for line in lines if line.stays]
        self.elsewhere = _steps(facts["elsewhere"].items())
        self.completes = facts.get("completes", "")
        self.number, self.subject, self.previous = receipt.number, facts["subject"], facts["previous"]
        self.requested, self.carried_out = facts["requested_at"], facts["carried_out_at"]
        self.signature, self.public_key = receipt.signature, receipt.public_key
        self.phase = "ready"


load = ReceiptState.load

_looks: dict[
    str, tuple[float, asyncio.Task[Look]]
] = {}  # number of a receipt -> when it was looked at, and what was seen


async def _look(handle: str) -> Look:
    """Look at a receipt, or take what somebody else has just seen: a thousand who wait cost no more than one."""
    moment = monotonic()
    for old in [one for one, (at, _) in _looks.items() if moment - at > FRESH]:
        del _looks[old]
    if handle not in _looks:
        _looks[handle] = (moment, asyncio.create_task(_read(handle)))
    return await asyncio.shield(_looks[handle][1])


async def _read(handle: str) -> Look:
    async with transaction() as tx:
        so_far = await erasure.so_far(tx, handle)
        later = await errands.of(tx, handle)
        try:
            return Look(await receipts.shown(tx, handle), later, None)
        except NotFound:
            return Look(None, later, so_far)


def _steps(done: Iterable[tuple[str, str]]) -> list[list[str]]:
    return [[STEPS.get(name, name.capitalize()), _sentence(outcome)] for name, outcome in done]


def _sentence(outcome: str) -> str:
    return outcome[:1].upper() + outcome[1:]


def _genuine(receipt: receipts.Receipt) -> bool:
    try:
        receipts.verify(receipt.body, receipt.signature, receipt.public_key)
    except receipts.NotGenuine:
        return False
    return True


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading("Receipt of an erasure", lead="What was erased, what the law makes us keep, and until when."),
            rx.match(
                ReceiptState.phase,
                ("ready", _receipt()),
                ("waiting", _waiting()),
                ("none", card(_none())),
                ("failed", card(failed(ReceiptState.load))),
                card(skeleton("h-5 w-48"), skeleton("h-32 w-full mt-4"), aria_busy="true"),
            ),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _waiting() -> rx.Component:
    return card(
        rx.el.div(
            rx.el.p("Your data is being erased", class_name="font-medium"),
            rx.el.p(
                "You are signed out and your keys have stopped. This page shows the receipt as soon as everything is "
                "gone, usually within a minute; it comes by mail too, so you may close it.",
                class_name="mt-1 text-muted max-w-prose",
            ),
            rx.el.p("Number ", rx.el.code(ReceiptState.handle), class_name="mt-3 text-muted"),
            role="status",
        ),
        rx.cond(ReceiptState.so_far.length() > 0, rx.el.div(_done(ReceiptState.so_far), class_name="mt-4")),
        aria_busy="true",
    )


def _none() -> rx.Component:
    return empty(
        "There is no such receipt",
        "If you have just asked for your data to be erased, it is not done yet: the receipt comes by mail, and this "
        "address will show it.",
        icon="file-question",
    )


def _receipt() -> rx.Component:
    return rx.fragment(
        rx.cond(
            ReceiptState.genuine,
            notice("The signature is right: this receipt was not altered.", tone="good"),
            notice("The signature is wrong: do not trust this receipt.", tone="bad"),
        ),
        card(
            rows(
                (
                    "Number",
                    rx.fragment(
                        rx.el.code(ReceiptState.handle), ", number ", number(ReceiptState.number), " of the chain"
                    ),
                ),
                ("Asked for", time(ReceiptState.requested)),
                ("Carried out", time(ReceiptState.carried_out)),
            ),
            rx.el.div(
                anchor(
                    "Download receipt",
                    href="/download/receipts/" + ReceiptState.handle,
                    download=ReceiptState.handle + ".json",
                    class_name="inline-flex items-center h-9 px-3.5 rounded-lg font-medium bg-ink text-inverse hover:bg-ink/85",
                ),
                class_name="mt-4",
            ),
        ),
        rx.cond(
            ReceiptState.completes != "",
            notice(
                "This receipt completes another: ",
                link("see what was erased before", to="/receipts/" + ReceiptState.completes),
                ".",
            ),
            rx.fragment(_tables(), _later()),
        ),
        card(_done(ReceiptState.elsewhere), title="Outside the tables"),
        _proof(),
    )


def _tables() -> rx.Component:
    return rx.fragment(
        card(
            _lines(
                ReceiptState.gone, ("What", "Table", "Rows"), lambda line: (line.title, _table(line), number(line.goes))
            ),
            title="Erased",
        ),
        card(
            _lines(
                ReceiptState.kept,
                ("What", "Table", "Rows", "Why", "Until"),
                lambda line: (
                    line.title,
                    _table(line),
                    number(line.stays),
                    line.ground,
                    rx.el.span(line.until, class_name="whitespace-nowrap"),
                ),
            ),
            title="Kept, without what identified anyone",
        ),
    )


def _later() -> rx.Component:
    """Return what is left to be done at other companies, nothing where there is nothing of the kind."""
    return rx.cond(
        ReceiptState.later.length() > 0,
        card(
            rx.el.ul(rx.foreach(ReceiptState.later, _errand), class_name="space-y-3"),
            title="At other companies, since then",
            lead="What could not be done on the day is tried again until it is done; then a second receipt follows.",
        ),
    )


def _errand(later: Any) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.span(later.processor, class_name="font-medium"),
            rx.cond(later.finished != "", badge("Done", tone="good"), badge("Pending", tone="warn")),
            class_name="flex items-center gap-2",
        ),
        rx.el.p(later.outcome, ".", class_name="text-muted"),
        rx.cond(
            later.finished != "",
            rx.el.p("Done on ", time(later.finished, "date"), ".", class_name="text-muted"),
            rx.el.p("Promised by ", time(later.promised, "date"), ".", class_name="text-muted"),
        ),
    )


def _done(steps: Any) -> rx.Component:
    return rx.el.dl(
        rx.foreach(
            steps,
            lambda done: rx.el.div(
                rx.el.dt(done[0], class_name="text-muted sm:w-48"),
                rx.el.dd(done[1]),
                class_name="flex flex-col sm:flex-row py-2 border-t border-line first:border-0",
            ),
        )
    )


def _lines(lines: Any, columns: tuple[str, ...], cells: Any) -> rx.Component:
    return table(
        lines,
        cells,
        label=columns[0],
        columns=columns,
        right=(2,),
        phase=ReceiptState.phase,
        retry=ReceiptState.load,
        key=lambda line: line.table,
        empty=empty("Nothing", "No rows of this kind."),
    )


def _table(line: Any) -> rx.Component:
    return rx.el.code(line.table, class_name="text-xs text-faint")


def _proof() -> rx.Component:
    return card(
        rx.el.div(
            *[
                rx.el.div(rx.el.p(name, class_name="mb-1 text-muted"), copyable(value, f"Copy {name.lower()}"))
                for name, value in (
                    ("Signature", ReceiptState.signature),
                    ("Public key", ReceiptState.public_key),
                    ("Subject", ReceiptState.subject),
                    ("Hash of the receipt before", ReceiptState.previous),
                )
            ],
            class_name="space-y-3",
        ),
        title="To verify it without us",
        action=link("Check a receipt", to="/receipts"),
        lead="python -m assisters_app verify-receipt FILE does it without a network, or check the Ed25519 signature over the "
        "exact text of the body yourself. The subject is the SHA-256 of the salt from your "
        "mail, a colon and your address: only with the salt can anyone show whose receipt this is.",
    )
