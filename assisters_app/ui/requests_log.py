"""The request log: each call of thirty days, newest first."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import reflex as rx

from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.money import dollars
from assisters_app.keys import keys
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    empty,
    field,
    form,
    heading,
    link_button,
    number,
    select,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.usage import events, reports
from assisters_app.usage.reports import Filter, LogFilter, LogRow

SIZE = 50
OUTCOMES = {
    "completed": "Answered in full",
    "failed": "Failed",
    "client_disconnected": "The caller hung up before the end",
    "interrupted": "Interrupted before the end",
    "refused": "Refused before it reached a model; it cost nothing",
}


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `tone` colours its status; times are milliseconds as text, `cost` dollars, `units` as in "3 images"."""

    handle: str = ""
    at: str = ""
    key_name: str = ""
    mode: str = ""
    endpoint: str = ""
    model: str = ""
    status: int = 0
    tone: str = "plain"
    outcome: str = ""
    error_code: str = ""
    input_tokens: int = 0
    cached_tokens: int = 0
    output_tokens: int = 0
    units: str = ""
    estimated: bool = False
    cost: str = ""
    price_version: int = 0
    stream: bool = False
    took: str = ""
    first_token: str = ""
    overhead: str = ""
    ip: str = ""
    user_agent: str = ""

    @classmethod
    def of(cls, row: LogRow) -> Self:
        """Write one line of the log for its owner."""
        return cls(
            handle=row.handle,
            at=row.at.isoformat(),
            key_name=row.key_name or "a key that is gone",
            mode=row.mode,
            endpoint=row.endpoint,
            model=row.model or "—",
            status=row.status,
            tone=_tone(row.status),
            outcome=OUTCOMES.get(row.outcome, row.outcome),
            error_code=row.error_code,
            input_tokens=row.input_tokens,
            cached_tokens=row.cached_tokens,
            output_tokens=row.output_tokens,
            units=_counted(row.units, row.unit),
            estimated=row.estimated,
            cost=dollars(row.cost_nano),
            price_version=row.price_version,
            stream=row.stream,
            took=f"{row.duration_ms:,} ms",
            first_token="" if row.first_token_ms is None else f"{row.first_token_ms:,} ms",
            overhead=f"{row.overhead_ms:.1f} ms",
            ip=row.ip,
            user_agent=row.user_agent,
        )


class RequestsState(AppState):
    """One page of the log. `before` holds the cursors of the pages one came through, the present one's last."""

    phase: str = "loading"
    calls: list[Call] = []
    key: str = ""
    failed: bool = False
    key_options: list[dict[str, str]] = []
    page_number: int = 1
    older: bool = False
    problem: str = ""
    _cursors: list[str] = []
    _after: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the newest page."""
        self._cursors = []
        await self._read("")

    @rx.event
    @access("member")
    async def again(self) -> None:
        """Read the present page once more."""
        await self._read(self._cursors[-1] if self._cursors else "")

    @rx.event
    @access("member")
    async def turn(self, older: bool) -> None:
        """Go one page further back, or one page towards the present."""
        if older and self._after:
            self._cursors = [*self._cursors, self._after]
        elif not older:
            self._cursors = self._cursors[:-1]
        await self._read(self._cursors[-1] if self._cursors else "")

    @rx.event
    @access("member")
    async def choose_key(self, key: str) -> AsyncIterator[None]:
        """Keep only the calls of one key ("" for all)."""
        self.key, self._cursors = key[:64], []
        yield  # what was chosen shows at once, what is found when it is
        await self._read("")

    @rx.event
    @access("member")
    async def only_failed(self, failed: bool) -> AsyncIterator[None]:
        """Keep only the calls that failed."""
        self.failed, self._cursors = failed, []
        yield
        await self._read("")

    @rx.event
    @access("member")
    async def find(self, sent: dict[str, Any]) -> Any:
        """Lead to the call with a request id."""
        self.problem = ""
        handle = str(sent.get("request_id", "")).strip()
        try:
            async with signed_in() as (tx, me):
                await reports.request(tx, reports.own(me), events.request_id(handle))
        except Refused as refused:
            self.problem = str(refused)
            return None
        return rx.redirect(f"/dashboard/requests/{handle}")

    async def _read(self, cursor: str) -> None:
        async with loading(self) as (tx, me):
            which = LogFilter(only=Filter(key_id=_key(self.key)), failed=self.failed)
            found = await reports.log(tx, reports.own(me), which, after=cursor or None, size=SIZE)
            self.calls, self._after = [Call.of(row) for row in found.rows], found.after or ""
            self.older, self.page_number = found.after is not None, len(self._cursors) + 1
            named = [*await keys.live(tx, me), *await keys.ended(tx, me)]
            options = [{"value": str(key.id), "text": key.name} for key in named]
            self.key_options = [{"value": "", "text": "All keys"}, *options]


load = RequestsState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Request log",
            link_button("Usage", to="/dashboard/usage"),
            button("Refresh", kind="secondary", on_click=RequestsState.load),
            lead="Each call of the last 30 days. What was said in it is kept only where you asked for that, for a day.",
        ),
        _questions(),
        card(
            table(
                RequestsState.calls,
                _cells,
                label="Requests",
                columns=("When", "Status", "Model", "Key", "Tokens in", "Tokens out", "Cost", "Took", ""),
                right=(4, 5, 6, 7),
                phase=RequestsState.phase,
                empty=empty(
                    "No calls here",
                    "Nothing was called in the last 30 days, or not with these filters.",
                    link_button("Quickstart", to="/docs"),
                    icon="list",
                ),
                retry=RequestsState.again,
                key=lambda call: call.handle,
                more=_pages(),
            )
        ),
        wide=True,
    )


def _questions() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            select(
                "Key", "key", RequestsState.key_options, value=RequestsState.key, on_change=RequestsState.choose_key
            ),
            class_name="w-full sm:w-48",
        ),
        rx.el.label(
            rx.el.input(
                type="checkbox",
                checked=RequestsState.failed,
                on_change=RequestsState.only_failed,
                class_name="size-4 accent-accent",
            ),
            "Failed only",
            class_name="flex items-center gap-2 h-10 sm:h-9",
        ),
        form(
            field(
                "Find one",
                "request_id",
                placeholder="req_… from the X-Request-ID header",
                error=RequestsState.problem,
                auto_complete="off",
                spell_check=False,
            ),
            on_submit=RequestsState.find,
            class_name="w-full sm:w-80 sm:ml-auto",
        ),
        class_name="flex flex-wrap items-end gap-3",
    )


def _cells(call: Any) -> tuple[Any, ...]:
    return (
        time(call.at, "precise"),
        rx.el.span(badge(call.status, tone=call.tone), rx.cond(call.stream, badge("stream")), class_name="flex gap-1"),
        rx.el.div(
            rx.el.span(call.model, class_name="whitespace-nowrap"),
            rx.cond(call.units != "", rx.el.span(call.units, class_name="block text-xs text-muted")),
        ),
        rx.el.span(call.key_name, class_name="block max-w-40 truncate"),
        _tokens(call.input_tokens, call.units),
        _tokens(call.output_tokens, call.units),
        call.cost,
        rx.el.span(call.took, class_name="whitespace-nowrap"),
        link_button(
            "Details",
            to="/dashboard/requests/" + call.handle,
            kind="ghost",
            size="small",
            aria_label="Details of the request " + call.handle,
        ),
    )


def _tokens(count: Any, units: Any) -> Any:
    """Return a count of tokens; nothing where it is something else that was counted."""
    return rx.cond((units != "") & (count == 0), "—", number(count))


def _pages() -> rx.Component:
    return rx.el.nav(
        button(
            "Newer",
            kind="secondary",
            size="small",
            on_click=RequestsState.turn(False),
            disabled=RequestsState.page_number == 1,
        ),
        rx.el.span("Page ", RequestsState.page_number, class_name="text-[0.8125rem] text-muted"),
        button(
            "Older", kind="secondary", size="small", on_click=RequestsState.turn(True), disabled=~RequestsState.older
        ),
        aria_label="Pages of the log",
        class_name="flex items-center justify-end gap-3 pt-4",
    )


def _counted(units: int, unit: str) -> str:
    return f"{units:,} {unit}{'' if units == 1 else 's'}" if units else ""


def _tone(status: int) -> str:
    if status < 400:  # noqa: PLR2004 (the first HTTP status that counts as an error)
        return "good"
    return "warn" if status < 500 else "bad"  # noqa: PLR2004 (from here on the fault is not the caller's)


def _key(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        raise NotFound("key") from None
