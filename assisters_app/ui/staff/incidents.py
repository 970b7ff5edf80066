"""Security incidents: 72 hours by the clock, the notification and the notices drafted."""

from dataclasses import dataclass
from typing import Any, Literal, Self

import reflex as rx
from pydantic import ValidationError

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.privacy.registers import incidents
from assisters_app.ui.moments import iso, moment_picked
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    checkbox,
    empty,
    failed,
    field,
    heading,
    new_button,
    rows,
    select,
    skeleton,
    time,
)
from assisters_app.ui.parts.privacy import Until
from assisters_app.ui.privacy.kinds import KINDS
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.staff.desk import Act, Desk, dialog

Dialog = Literal["", "enter", "authority", "people", "close"]
INCOMPLETE = "Fill in every field, with the time as YYYY-MM-DD HH:MM in UTC."


@dataclass(frozen=True, slots=True)
class IncidentView:
    """One incident. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    title: str
    what: str
    risk: str
    tone: str
    state: str
    aware: str
    tell_by: str
    told: str
    why: str
    counts_down: bool
    notices: str
    unsent: int
    closed: bool
    authority: str  # the drafts
    people: str

    @classmethod
    def of(cls, row: incidents.IncidentRow) -> Self:
        """Return what staff sees of an incident."""
        settled = bool(row.told_at or row.why)
        state, tone = ("closed", "plain") if row.closed_at else ("settled", "good") if settled else ("open", "warn")
        return cls(
            handle=row.handle,
            title=row.title,
            what=row.what,
            risk=incidents.RISKS[row.risk].capitalize(),
            tone="bad" if row.overdue else tone,
            state="overdue" if row.overdue else state,
            aware=row.aware_at.isoformat(),
            tell_by=row.tell_by.isoformat(),
            told=iso(row.told_at),
            why=row.why,
            counts_down=not settled and not row.overdue,
            notices=f"{row.sent:,} of {row.notices:,} sent",
            unsent=row.notices - row.sent,
            closed=row.closed_at is not None,
            authority=incidents.to_authority(row, row.notices),
            people=incidents.to_people(row),
        )


class IncidentsState(Desk, AppState):
    """The register, and the draft of what the open dialog sends."""

    phase: str = "loading"
    rows: list[IncidentView] = []
    draft: str = ""

    @rx.event
    @access("staff", right="incidents")
    async def load(self) -> None:
        """Read the register."""
        async with loading(self) as (tx, me):
            self.rows = [IncidentView.of(row) for row in await incidents.listed(tx, me)]

    @rx.event
    @access("staff", right="incidents")
    def ask(self, dialog: Dialog, handle: str) -> None:
        """Open a dialog about an incident or ("") a new one, or close it ("")."""
        found = next((row for row in self.rows if row.handle == handle), None)
        self._open(dialog, handle)
        self.draft = "" if found is None else found.authority if dialog == "authority" else found.people

    @rx.event
    @access("staff", right="incidents")
    async def enter(self, sent: dict[str, Any]) -> Any:
        """Enter an incident."""
        return await self._do("entered", lambda tx, me: incidents.enter(tx, me, _new(sent)))

    @rx.event
    @access("staff", right="incidents")
    async def told(self, sent: dict[str, Any]) -> Any:
        """Write down that the authority was told, or why not."""
        why = str(sent.get("why", ""))

        async def act(tx: Tx, me: Person) -> None:
            await incidents.told_authority(tx, me, self.handle, moment_picked(sent, "told_at"), why)

        return await self._do("written down", act)

    @rx.event
    @access("staff", right="incidents")
    async def send(self, sent: dict[str, Any]) -> Any:
        """Send the notices."""
        text = str(sent.get("text", ""))
        return await self._do(
            "noted; the notices are on their way", lambda tx, me: incidents.send_notices(tx, me, self.handle, text)
        )

    @rx.event
    @access("staff", right="incidents")
    async def close(self, sent: dict[str, Any]) -> Any:
        """End an incident."""
        measures = str(sent.get("done", ""))
        return await self._do("closed", lambda tx, me: incidents.close(tx, me, self.handle, measures))

    async def _do(self, done: str, act: Act) -> Any:
        return await self._carry_out(act, f"The incident is {done}.", IncidentsState.load)


load = IncidentsState.load


def _new(sent: dict[str, Any]) -> incidents.NewIncident:
    given = {
        **sent,
        "aware_at": moment_picked(sent, "aware_at", INCOMPLETE),
        "categories": [name for name in KINDS if sent.get(f"kind:{name}")],
        "everyone": bool(sent.get("everyone")),
        "addresses": str(sent.get("addresses", "")).replace(",", " ").split(),
    }
    try:
        return incidents.NewIncident.model_validate(given)
    except ValidationError:
        raise Refused(INCOMPLETE, code="bad_form") from None


def page() -> rx.Component:
    """Draw the page."""
    state = IncidentsState
    return shell(
        heading(
            "Security incidents",
            new_button("Enter an incident", on_click=state.ask("enter", "")),
            lead="From the moment we know of one, the authority is to be told within 72 hours (GDPR Art. 33).",
        ),
        rx.match(
            state.phase,
            ("failed", card(failed(state.load))),
            (
                "ready",
                rx.cond(
                    state.rows.length() > 0,
                    rx.el.div(rx.foreach(state.rows, _incident), class_name="space-y-4 sm:space-y-6"),
                    card(
                        empty(
                            "No incident",
                            "What happens is entered here at once; the clock and the drafts start by themselves.",
                            icon="shield-check",
                        )
                    ),
                ),
            ),
            card(skeleton("h-24 w-full")),
        ),
        _entering(),
        _telling(),
        _notifying(),
        _closing(),
    )


def _incident(row: Any) -> rx.Component:
    ask = IncidentsState.ask
    return card(
        rx.el.p(row.what, class_name="max-w-3xl whitespace-pre-line break-words"),
        rx.el.div(
            rows(
                ("Risk", row.risk),
                ("We knew", time(row.aware)),
                (
                    "Authority",
                    rx.cond(
                        row.told != "",
                        rx.el.span("told ", time(row.told), rx.cond(row.why != "", rx.el.span(". ", row.why))),
                        rx.cond(
                            row.why != "",
                            rx.el.span("not told: ", row.why),
                            rx.cond(
                                row.counts_down,
                                rx.el.span(Until.create(at=row.tell_by), " left, until ", time(row.tell_by)),
                                rx.el.span("was to be told by ", time(row.tell_by), class_name="text-bad font-medium"),
                            ),
                        ),
                    ),
                ),
                ("Notices to people", row.notices),
            ),
            class_name="mt-3",
        ),
        rx.cond(
            row.closed,
            rx.fragment(),
            rx.el.div(
                rx.cond(
                    row.told + row.why == "",
                    button("Tell the authority", size="small", on_click=ask("authority", row.handle)),
                    button("Close", size="small", kind="secondary", on_click=ask("close", row.handle)),
                ),
                rx.cond(
                    row.unsent > 0,
                    button("Send the notices", size="small", kind="secondary", on_click=ask("people", row.handle)),
                ),
                class_name="mt-4 flex flex-wrap gap-2",
            ),
        ),
        title=row.title,
        lead=rx.el.span(row.handle, class_name="font-mono text-xs"),
        action=badge(row.state, tone=row.tone),
    )


def _dialog(name: str, title: str, *inside: Any, on_submit: Any, act: str, kind: str = "primary") -> rx.Component:
    close = IncidentsState.ask("", "")
    return dialog(IncidentsState, name, title, *inside, act=act, kind=kind, on_submit=on_submit, on_close=close)


def _entering() -> rx.Component:
    return _dialog(
        "enter",
        "Enter an incident",
        field("In a few words", "title", required=True, max_length=200),
        area(
            "What happened", "what", hint="Name nobody: the register is kept for good.", required=True, max_length=2_000
        ),
        area("What may come of it for people", "consequences", required=True, max_length=2_000),
        area("What was done about it so far", "measures", max_length=2_000),
        field("When we became aware, in UTC", "aware_at", type="datetime-local", required=True),
        select("Risk", "risk", [(name, words.capitalize()) for name, words in incidents.RISKS.items()]),
        rx.el.fieldset(
            rx.el.legend("Kinds of data", class_name="font-medium"),
            rx.el.div(
                *[checkbox(words.capitalize(), f"kind:{name}") for name, words in KINDS.items()],
                class_name="mt-1.5 grid sm:grid-cols-2 gap-x-4 gap-y-1.5",
            ),
        ),
        checkbox("It touches every account", "everyone"),
        area("Or the addresses of the accounts that it touches", "addresses", max_length=20_000),
        on_submit=IncidentsState.enter,
        act="Enter",
    )


def _telling() -> rx.Component:
    return _dialog(
        "authority",
        "Tell the authority",
        _draft(),
        field("Told at, in UTC", "told_at", type="datetime-local", hint="Empty when it need not be told."),
        area("Why late, or why not", "why", max_length=500),
        on_submit=IncidentsState.told,
        act="Write it down",
    )


def _notifying() -> rx.Component:
    return _dialog(
        "people",
        "Send the notices",
        area(
            "Text",
            "text",
            hint="Goes by mail to each account that has not had it. It cannot be taken back.",
            default_value=IncidentsState.draft,
            key=IncidentsState.draft,
            required=True,
            max_length=4_000,
            rows="12",
        ),
        on_submit=IncidentsState.send,
        act="Send",
        kind="danger",
    )


def _closing() -> rx.Component:
    return _dialog(
        "close",
        "Close the incident",
        area("What was done about it", "done", required=True, max_length=2_000),
        on_submit=IncidentsState.close,
        act="Close it",
    )


def _draft() -> rx.Component:
    return rx.el.div(
        rx.el.p("Draft of the notification, to copy", class_name="font-medium"),
        rx.el.div(
            IncidentsState.draft,
            tab_index=0,
            role="region",
            aria_label="Draft of the notification",
            class_name="mt-1.5 max-h-64 overflow-y-auto whitespace-pre-line break-words rounded-lg border border-line bg-raised p-3 text-[0.8125rem]",
        ),
    )
