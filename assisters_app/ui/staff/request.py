"""One privacy request: its clocks, what was done with it, and what may be done next. Its person reads that you looked."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx

from assisters_app.accounts.rights import may
from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.privacy.registers import deeds
from assisters_app.privacy.rights import by_mail, requests
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    empty,
    failed,
    heading,
    link_button,
    notice,
    rows,
    select,
    skeleton,
    table,
    time,
)
from assisters_app.ui.parts.privacy import Until
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Desk, dialog
from assisters_app.ui.staff.requests import RequestLine

Dialog = Literal["", "answer", "extend", "identity"]
Verb = Callable[[Tx, Person, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class StepRow:
    """One thing that was done. `at` is ISO 8601 in UTC."""

    at: str
    words: str
    by: str

    @classmethod
    def of(cls, step: requests.Step) -> Self:
        """Return what staff sees of a step."""
        return cls(step.at.isoformat(), deeds.in_words(step.action), step.by or "the person, or our software")


class AskedState(Desk, AppState):
    """The request that the address names. `phase` "none": there is no such one."""

    phase: str = "loading"
    one: RequestLine = RequestLine()
    steps: list[StepRow] = []
    members: list[dict[str, str]] = []

    @rx.event
    @access("staff", right="requests")
    async def load(self) -> None:
        """Look at the request."""
        self.phase, self.one, self.dialog = "loading", RequestLine(), ""
        await self._read()

    @rx.event
    @access("staff", right="requests")
    async def again(self) -> None:
        """Look once more."""
        await self._read()

    @rx.event
    @access("staff", right="requests")
    async def ask(self, dialog: Dialog) -> None:
        """Open a dialog; "" closes it."""
        self._open(dialog)

    @rx.event
    @access("staff", right="requests")
    async def acknowledge(self) -> Any:
        """Confirm the receipt by mail."""
        return await self._do(requests.acknowledge, "Confirmed by mail.")

    @rx.event
    @access("staff", right="requests")
    async def send_link(self) -> Any:
        """Mail the link by which the person does what they asked for."""
        return await self._do(by_mail.offer, "Mailed. What the link gives, only its person sees.")

    @rx.event
    @access("staff", right="requests")
    async def unsubscribe(self) -> Any:
        """Opt the person out of marketing, and answer them."""
        return await self._do(by_mail.unsubscribe, "Unsubscribed, and answered by mail.")

    @rx.event
    @access("staff", right="requests")
    async def assign(self, email: str) -> Any:
        """Give the request to somebody, or ("") to nobody."""
        return await self._do(lambda tx, me, handle: requests.assign(tx, me, handle, email[:254]), "Assigned.")

    @rx.event
    @access("staff", right="requests")
    async def ask_identity(self, sent: dict[str, Any]) -> Any:
        """Ask who it is, with what makes us doubt."""
        what = str(sent.get("what", ""))
        return await self._do(
            lambda tx, me, handle: requests.ask_identity(tx, me, handle, what),
            "Asked by mail. The GDPR's clock stands still until the answer.",
        )

    @rx.event
    @access("staff", right="requests")
    async def identified(self) -> Any:
        """Note that the answer came by mail."""
        return await self._do(requests.identity_confirmed, "Noted. The GDPR's clock goes on.")

    @rx.event
    @access("staff", right="requests")
    async def extend(self, sent: dict[str, Any]) -> Any:
        """Take more time, with the reason."""
        reason = str(sent.get("reason", ""))
        return await self._do(
            lambda tx, me, handle: requests.extend(tx, me, handle, reason),
            "Extended. The person was mailed the reason.",
        )

    @rx.event
    @access("staff", right="requests")
    async def answer(self, sent: dict[str, Any]) -> Any:
        """Close the request and mail the answer."""
        state: requests.Answer = "refused" if sent.get("state") == "refused" else "done"
        outcome = str(sent.get("outcome", ""))[:500]
        return await self._do(
            lambda tx, me, handle: requests.answer(tx, me, handle, state, outcome), "Answered, by mail and here."
        )

    async def _do(self, verb: Verb, done: str) -> Any:
        return await self._carry_out(lambda tx, me: verb(tx, me, self._asked()), done, AskedState.again)

    async def _read(self) -> None:
        missing = False
        async with loading(self) as (tx, me):
            try:
                found, steps = await requests.view(tx, me, self._asked())
            except NotFound:
                missing = may(me, "requests")
                if not missing:
                    raise
            else:
                self.one, self.steps = RequestLine.of(found), [StepRow.of(step) for step in steps]
                names = (await requests.members(tx, me)).values()
                self.members = [{"value": "", "text": "Nobody"}, *({"value": name, "text": name} for name in names)]
        if missing:
            self.phase = "none"

    def _asked(self) -> str:
        return str(self.router.url.path).rstrip("/").rpartition("/")[2][:32]


load = AskedState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Privacy request",
            link_button("All requests", to="/staff/requests"),
            lead="That you looked is written down; the person who asked can read it.",
        ),
        rx.match(
            AskedState.phase,
            ("failed", card(failed(AskedState.again))),
            ("ready", _request()),
            (
                "none",
                card(
                    empty("No such request", "It may have been swept: requests are kept for 24 months.", icon="inbox")
                ),
            ),
            card(skeleton("h-5 w-48"), skeleton("h-32 w-full mt-4"), aria_busy="true"),
        ),
        _answer(),
        _extend(),
        _identity(),
    )


def _request() -> rx.Component:
    return rx.fragment(_next(), _facts(), _clocks(), _done())


def _next() -> rx.Component:
    one = AskedState.one
    return rx.cond(
        one.answered == "",
        rx.el.div(
            rx.match(
                one.does,
                ("link", button("Send the link", on_click=AskedState.send_link)),
                ("unsubscribe", button("Unsubscribe them", on_click=AskedState.unsubscribe)),
                rx.fragment(),
            ),
            rx.cond(
                one.does == "",
                button("Answer", on_click=AskedState.ask("answer")),
                button("Answer", kind="secondary", on_click=AskedState.ask("answer")),
            ),
            rx.cond(
                one.acknowledged == "",
                button("Confirm receipt", kind="secondary", on_click=AskedState.acknowledge),
            ),
            rx.cond(one.extended == "", button("Take more time", kind="secondary", on_click=AskedState.ask("extend"))),
            rx.cond(
                one.identity_asked == "",
                button("Ask who it is", kind="secondary", on_click=AskedState.ask("identity")),
            ),
            rx.cond(one.paused, button("Identity confirmed", kind="secondary", on_click=AskedState.identified)),
            rx.cond(
                one.does == "link",
                rx.el.p(
                    "The link goes to the account's own mailbox. By it its person does this themselves, without signing "
                    "in; you do not see what it gives.",
                    class_name="basis-full max-w-prose text-[0.8125rem] text-muted",
                ),
            ),
            class_name="flex flex-wrap gap-2",
        ),
        notice(
            rx.el.strong(rx.cond(one.state == "refused", "Refused. ", "Answered. ")),
            one.outcome,
            tone="accent",
        ),
    )


def _facts() -> rx.Component:
    one = AskedState.one
    return card(
        rx.cond(
            one.words != "",
            rx.el.blockquote(
                one.words, class_name="mb-4 pl-3 border-l-2 border-strong whitespace-pre-wrap break-words max-w-prose"
            ),
        ),
        rows(
            ("Number", rx.el.span(one.handle, class_name="font-mono text-[0.8125rem]")),
            ("From", rx.cond(one.email != "", rx.el.span(one.email, class_name="break-all"), "erased")),
            ("Came", rx.fragment(time(one.received, "date"), ", ", one.channel)),
            (
                "Confirmed",
                rx.cond(
                    one.acknowledged != "",
                    time(one.acknowledged),
                    rx.fragment("not yet; due by ", time(one.confirm_by, "date")),
                ),
            ),
        ),
        rx.cond(
            one.answered == "",
            rx.el.div(
                select(
                    "Whose it is to answer",
                    "assigned",
                    AskedState.members,
                    value=one.assigned,
                    on_change=AskedState.assign,
                ),
                class_name="mt-4 max-w-xs",
            ),
        ),
        title=one.kind,
        action=badge(one.state, tone=one.tone),
    )


def _clocks() -> rx.Component:
    one = AskedState.one
    return card(
        rows(
            (
                "GDPR, Art. 12(3)",
                _clock(one.gdpr_due, "GDPR", rx.cond(one.paused, "stands still until they say who they are", "")),
            ),
            ("CCPA, section 7021", _clock(one.ccpa_due, "CCPA", rx.cond(one.paused, "goes on", ""))),
            (
                "More time",
                rx.cond(
                    one.extended != "",
                    rx.fragment("taken ", time(one.extended, "date"), ": ", one.extension_reason),
                    "not taken",
                ),
            ),
            (
                "Identity",
                rx.cond(
                    one.identity_asked != "",
                    rx.fragment(
                        "asked ",
                        time(one.identity_asked, "date"),
                        ", ",
                        rx.cond(
                            one.identity_answered != "",
                            rx.fragment("confirmed ", time(one.identity_answered, "date")),
                            "not answered yet",
                        ),
                    ),
                    "no doubt so far",
                ),
            ),
        ),
        title="Two clocks",
        lead="The same rights for everyone, so the earlier date counts.",
    )


def _clock(due: Any, name: str, note: Any) -> rx.Component:
    one = AskedState.one
    return rx.el.div(
        time(due, "date"),
        rx.cond((one.first == name) & (one.answered == ""), badge("counts", tone=one.tone)),
        rx.cond(
            (one.first == name) & (one.answered == "") & ~one.overdue & ~(one.paused & (name == "GDPR")),
            rx.el.span("in ", Until.create(at=due, class_name="inline"), class_name="text-muted"),
        ),
        rx.cond(note != "", rx.el.span(note, class_name="text-muted")),
        class_name="flex flex-wrap items-center gap-2",
    )


def _done() -> rx.Component:
    return card(
        table(
            AskedState.steps,
            lambda row: (
                rx.el.div(
                    rx.el.span(row.words, class_name="font-medium"),
                    rx.el.span(time(row.at), class_name="text-muted"),
                    class_name="flex flex-wrap gap-x-3",
                ),
                rx.el.span(row.by, class_name="text-muted break-all"),
            ),
            label="What was done with this request",
            columns=("What, and when", "By"),
            phase=AskedState.phase,
            retry=AskedState.again,
            key=lambda row: row.at,
            empty=empty("Nothing yet", "It was met by the software itself, or nobody has done anything so far."),
        ),
        title="What was done",
    )


def _answer() -> rx.Component:
    return _dialog(
        "answer",
        "Answer this request",
        select("Answer", "state", [("done", "Done"), ("refused", "Refused, with the reason")]),
        _words(
            "What was done, or why not",
            "outcome",
            "Mailed to the person as it stands. A refusal adds how to appeal and where to complain.",
        ),
        on_submit=AskedState.answer,
        act="Send the answer",
    )


def _extend() -> rx.Component:
    return _dialog(
        "extend",
        "Take more time?",
        rx.el.p("Two more months under the GDPR, 45 more days under the CCPA; once, and only before the first date."),
        _words("Reason", "reason", "Mailed to the person."),
        on_submit=AskedState.extend,
        act="Take more time",
    )


def _identity() -> rx.Component:
    return _dialog(
        "identity",
        "Ask who it is",
        rx.el.p(
            "Only where there is reasonable doubt, and once. They sign in and press a button; never ask for papers. "
            "The GDPR's clock stands still until they answer, the CCPA's does not."
        ),
        _words("What makes you doubt", "what", "They read it."),
        on_submit=AskedState.ask_identity,
        act="Ask them",
    )


def _words(label: str, name: str, hint: str) -> rx.Component:
    return area(label, name, hint=hint, required=True, max_length=500)


def _dialog(name: str, title: str, *inside: Any, on_submit: Any, act: str) -> rx.Component:
    close = AskedState.ask("")
    return dialog(AskedState, name, title, *inside, act=act, on_submit=on_submit, on_close=close)
