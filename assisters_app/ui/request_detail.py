"""One request: everything that is kept of it, how its cost adds up, and its receipt. Its address may be sent around."""

import json
from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.base.money import dollars
from assisters_app.billing import proofs, receipts
from assisters_app.billing.proofs import Facts
from assisters_app.billing.receipts import Receipt
from assisters_app.gateway.content import contents
from assisters_app.openapi.problems import PROBLEMS
from assisters_app.ui.parts import (
    anchor,
    badge,
    button,
    card,
    code,
    confirm,
    copyable,
    download_button,
    empty,
    failed,
    heading,
    link,
    link_button,
    notice,
    number,
    rows,
    skeleton,
    table,
    time,
)
from assisters_app.ui.requests_log import Call
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.usage import events, reports

MEANINGS = {one.code: one.meaning.replace("`", "") for one in PROBLEMS.values()}


@dataclass(frozen=True, slots=True)
class Part:
    """One line of how a cost adds up; amounts are dollars as text."""

    unit: str
    count: int
    each: str
    amount: str


@dataclass(frozen=True, slots=True)
class Proof:
    """A receipt as its owner sees it. `text` is what it says, written for people."""

    day: str = ""
    number: int = 0
    previous: str = ""
    replaces: int = 0
    first: int = 0  # of those that were signed together; 0 when it was signed alone
    last: int = 0
    signature: str = ""
    public_key: str = ""
    text: str = ""
    genuine: bool = False

    @classmethod
    def of(cls, receipt: Receipt, facts: Facts) -> Self:
        """Check a receipt as a stranger would, and show it."""
        return cls(
            day=facts["day"],
            number=facts["number"],
            previous=facts["previous"],
            replaces=facts["replaces"] or 0,
            first=receipt.batch.first if receipt.batch else 0,
            last=receipt.batch.last if receipt.batch else 0,
            signature=receipt.signature,
            public_key=receipt.public_key,
            text=json.dumps(facts, indent=2, ensure_ascii=False),
            genuine=_genuine(receipt),
        )


class RequestState(AppState):
    """The request that the address names. `phase` is "none" when this person has no such request."""

    phase: str = "loading"
    one: Call = Call()
    meaning: str = ""
    waited: str = ""
    parts: list[Part] = []
    content_until: str = ""  # "" where nothing is kept of what was said; what it was is in no State
    forgetting: bool = False
    has_receipt: bool = False
    proof: Proof = Proof()

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the request."""
        self.phase, self.one, self.proof, self.has_receipt = "loading", Call(), Proof(), False
        missing = False
        async with loading(self) as (tx, me):
            try:
                await self._read(tx, me)
            except NotFound:
                missing = True
        if missing:
            self.phase = "none"

    async def _read(self, tx: Tx, me: Person) -> None:
        handle = str(self.router.url.path).rstrip("/").rpartition("/")[2]
        found = await reports.request(tx, reports.own(me), events.request_id(handle))
        self.one = Call.of(found)
        content = await contents.kept(tx, me, found.request_id)
        self.content_until, self.forgetting = content.until.isoformat() if content else "", False
        self.meaning = MEANINGS.get(found.error_code, "")
        self.waited = f"{max(0.0, found.duration_ms - found.overhead_ms):,.0f} ms"
        try:
            receipt = await receipts.of(tx, me.organization_id, found.request_id)
        except NotFound:
            return
        facts = json.loads(receipt.facts)
        self.has_receipt, self.proof = True, Proof.of(receipt, facts)
        self.parts = [_part(**unit) for unit in facts["units"]]

    @rx.event
    @access("member")
    def ask(self, forgetting: bool) -> None:
        """Open the dialog that deletes what was said, or close it."""
        self.forgetting = forgetting

    @rx.event
    @access("member")
    async def forget(self, sent: dict[str, Any]) -> Any:  # noqa: ARG002 (a form always sends itself)
        """Delete what was said."""
        async with signed_in() as (tx, me):
            await contents.forget(tx, me, events.request_id(self.one.handle))
        self._tell("Deleted what was said in this request.")
        return RequestState.load


load = RequestState.load


def _part(unit: str, count: int, each_nano: int) -> Part:
    return Part(unit, count, dollars(each_nano), dollars(count * each_nano))


def _genuine(receipt: Receipt) -> bool:
    try:
        proofs.check_one(json.loads(receipt.file()))
    except proofs.NotGenuine:
        return False
    return True


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Request",
            link_button("Request log", to="/dashboard/requests"),
            lead="Everything that is kept of one call, for 30 days. What was said in it only where you asked for that.",
        ),
        rx.match(
            RequestState.phase,
            ("ready", _request()),
            ("failed", card(failed(RequestState.load))),
            ("none", card(_none())),
            card(skeleton("h-5 w-64"), skeleton("h-40 w-full mt-4"), aria_busy="true"),
        ),
    )


def _none() -> rx.Component:
    return empty(
        "That request does not exist",
        "Its 30 days may be over, or the id is not one of yours. A call shows here about a second after it has ended.",
        link_button("Request log", to="/dashboard/requests"),
        icon="file-question",
    )


def _request() -> rx.Component:
    return rx.fragment(
        card(copyable(RequestState.one.handle, "Copy request id"), _what(), title="What was called"),
        rx.el.div(
            card(_cost(), title="What it cost"),
            card(_times(), title="How long it took"),
            class_name="grid lg:grid-cols-2 gap-6",
        ),
        _said(),
        rx.cond(RequestState.has_receipt, _receipt(), _no_receipt()),
    )


def _said() -> rx.Component:
    until = RequestState.content_until
    return rx.fragment(
        card(
            rx.cond(
                until != "",
                rx.fragment(
                    rx.el.p(
                        "Kept until ",
                        time(until),
                        " because its key asks for it. Only you can read it.",
                        class_name="text-muted max-w-prose",
                    ),
                    rx.el.div(
                        download_button("Read it", href="/download/request-content/" + RequestState.one.handle),
                        button("Delete it now", kind="danger", on_click=RequestState.ask(True)),
                        class_name="mt-3 flex flex-wrap gap-2",
                    ),
                ),
                rx.el.p(
                    "Nothing is kept of it. To find out what goes wrong, you can have what is said with a key ",
                    link("kept for a day", to="/dashboard/privacy/content"),
                    ".",
                    class_name="text-muted max-w-prose",
                ),
            ),
            title="What was said",
        ),
        confirm(
            rx.el.p("What you sent and what you got in this request is deleted now. Its line in the log stays."),
            rx.el.p("It cannot be brought back."),
            open=RequestState.forgetting,
            on_close=RequestState.ask(False),
            on_confirm=RequestState.forget,
            title="Delete what was said?",
            act="Delete it now",
        ),
    )


def _what() -> rx.Component:
    one = RequestState.one
    return rx.el.div(
        rows(
            ("When", time(one.at, "precise")),
            ("Outcome", rx.el.span(badge(one.status, tone=one.tone), " ", one.outcome)),
            ("Error", rx.cond(one.error_code == "", "none", _error())),
            ("Endpoint", rx.el.code(one.endpoint, class_name="font-mono text-[0.8125rem]")),
            ("Model", rx.cond(one.model == "", "—", one.model)),
            (
                "Key",
                rx.el.span(one.key_name, rx.cond(one.mode == "test", rx.fragment(" ", badge("test", tone="warn")))),
            ),
            ("Streamed", rx.cond(one.stream, "yes", "no")),
            ("Called from", rx.cond(one.ip == "", "—", one.ip)),
            ("Client", rx.el.span(rx.cond(one.user_agent == "", "—", one.user_agent), class_name="break-all")),
        ),
        class_name="mt-3",
    )


def _error() -> rx.Component:
    return rx.el.span(
        rx.el.code(RequestState.one.error_code, class_name="font-mono text-[0.8125rem]"),
        rx.el.span(RequestState.meaning, class_name="block text-muted"),
    )


def _cost() -> rx.Component:
    one = RequestState.one
    return rx.fragment(
        rows(
            ("Cost", rx.el.strong(one.cost, class_name="tabular-nums")),
            (
                "Price",
                rx.cond(
                    one.price_version == 0,
                    "free of charge",
                    rx.fragment("version ", one.price_version, " of ", one.model),
                ),
            ),
            *_usage(one),
        ),
        rx.cond(one.units != "", rows(("Besides tokens", one.units))),
        rx.cond(
            one.estimated,
            notice(
                "Estimated: the model did not say how much it used, so we counted what was sent and answered "
                "with its tokenizer.",
                tone="warn",
                class_name="mt-3",
            ),
        ),
        rx.cond(
            RequestState.parts.length() > 0,
            table(
                RequestState.parts,
                lambda part: (part.unit, number(part.count), part.each, part.amount),
                label="How the cost adds up",
                columns=("Each", "Count", "Price", "Amount"),
                right=(1, 2, 3),
                phase=RequestState.phase,
                empty=rx.fragment(),
                retry=RequestState.load,
                key=lambda part: part.unit,
            ),
        ),
    )


def _usage(one: Any) -> tuple[tuple[str, Any], ...]:
    return (
        ("Input tokens", rx.el.span(number(one.input_tokens), ", of which ", number(one.cached_tokens), " cached")),
        ("Output tokens", number(one.output_tokens)),
    )


def _times() -> rx.Component:
    one = RequestState.one
    return rows(
        ("Altogether", one.took),
        (
            "Until the first token",
            rx.cond(one.first_token == "", rx.cond(one.stream, "there was none", "not streamed"), one.first_token),
        ),
        ("Waiting for the model", RequestState.waited),
        ("Our own work", one.overhead),
    )


def _receipt() -> rx.Component:
    proof = RequestState.proof
    return card(
        rx.cond(
            proof.genuine,
            notice("The signature is right: this receipt was not altered.", tone="good"),
            notice("The signature is wrong: do not trust this receipt.", tone="bad"),
        ),
        rows(
            (
                "Place in the chain",
                rx.fragment(
                    "receipt ",
                    number(proof.number),
                    " of ",
                    rx.el.span(proof.day, class_name="whitespace-nowrap"),
                    " (UTC)",
                    rx.cond(
                        proof.replaces > 0,
                        rx.fragment(
                            "; it takes the place of receipt ", number(proof.replaces), ", which was provisional"
                        ),
                    ),
                ),
            ),
            (
                "Signed",
                rx.cond(
                    proof.last > proof.first,
                    rx.fragment("with one signature for receipts ", number(proof.first), " to ", number(proof.last)),
                    "alone",
                ),
            ),
        ),
        rx.el.div(
            *[
                rx.el.div(rx.el.p(name, class_name="mb-1 text-muted"), copyable(value, f"Copy {name.lower()}"))
                for name, value in (
                    ("Hash of the receipt before", proof.previous),
                    ("Signature", proof.signature),
                    ("Public key", proof.public_key),
                )
            ],
            rx.el.details(
                rx.el.summary(
                    "Show what it says",
                    class_name="w-fit cursor-pointer py-1 text-accent underline underline-offset-2",
                ),
                code(proof.text, label="Copy receipt", class_name="mt-2"),
            ),
            class_name="mt-3 space-y-3",
        ),
        title="Receipt",
        lead=rx.fragment(
            "Signed when the call was booked. ",
            rx.el.code("python -m assisters_app verify-receipt FILE", class_name="font-mono text-[0.8125rem]"),
            " checks it offline; our ",
            anchor(
                "public keys",
                href="/.well-known/receipt-keys.json",
                class_name="text-accent underline underline-offset-2",
            ),
            " are published.",
        ),
        action=download_button("Download", href="/download/request-receipts/" + RequestState.one.handle),
    )


def _no_receipt() -> rx.Component:
    return card(
        rx.el.p(
            "There is none any more: a day's receipts are dropped together, 30 days after the day began. Its signed "
            "sums stay on the month's invoice.",
            class_name="text-muted max-w-prose",
        ),
        title="Receipt",
    )
