"""Overview: what was spent and called, what is left, what needs attention; before the first key, the way to a first call."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

import reflex as rx

from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.money import NANO, dollars
from assisters_app.billing import stripe, wallet
from assisters_app.keys import keys
from assisters_app.keys.keys import KeyView, NewKey
from assisters_app.ui.amounts import Amount, amount
from assisters_app.ui.asked import whose_zone
from assisters_app.ui.first_call import first_call
from assisters_app.ui.minute import last_minute
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    copyable,
    empty,
    failed,
    heading,
    link_button,
    notice,
    stat,
    stats,
    table,
    time,
    with_zone,
)
from assisters_app.ui.parts.lines import line
from assisters_app.ui.requests_log import Call
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.usage import periods, reports
from assisters_app.usage.reports import Sums, Whose

LAST_CALLS = 6
LOW = NANO  # one dollar: from here down the balance needs attention
SOON = timedelta(days=7)  # how early an ending key needs attention, and for how long one that leaked
MANY_ERRORS, ENOUGH = 0.1, 20  # this share of failed requests, of at least so many today, needs attention


@dataclass(frozen=True, slots=True)
class Attention:
    """Something to look at, in a sentence, and where it is dealt with."""

    text: str
    where: str
    act: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """Sums as text. `line` draws thirty days of requests."""

    spent_today: Amount = field(default_factory=Amount)
    spent_month: Amount = field(default_factory=Amount)
    requests_today: str = ""
    requests_month: str = ""
    error_rate: str = ""
    failed: str = ""

    @classmethod
    def of(cls, today: Sums, month: Sums) -> Self:
        """Write today beside this month."""
        return cls(
            spent_today=Amount.spent(today.cost_nano),
            spent_month=Amount.spent(month.cost_nano),
            requests_today=f"{today.requests:,}",
            requests_month=f"{month.requests:,} this month",
            error_rate=f"{today.error_rate:.1%}",
            failed=f"{today.errors:,} of {today.requests:,}, {today.mean_ms:,.0f} ms on average"
            if today.requests
            else "no calls",
        )


class OverviewState(AppState):
    """What the first page of the dashboard shows. `secret` is the first key's, while it is being shown."""

    phase: str = "loading"
    zone: str = "UTC"
    has_keys: bool = True
    day: Day = Day()
    balance: Amount = Amount()
    in_debt: bool = False
    attention: list[Attention] = []
    calls: list[Call] = []
    line: str = ""
    line_label: str = ""
    secret: str = ""
    test_key: bool = False
    _browser: str = "UTC"

    @rx.event
    @access("member")
    async def load(self, zone: str) -> None:
        """Read it all, for a browser in `zone`."""
        self._browser = zone
        await self._read()

    @rx.event
    @access("member")
    async def again(self) -> None:
        """Read it all once more."""
        await self._read()

    @rx.event
    @access("member")
    async def first_key(self) -> Any:
        """Make the first key and show a call with it, ready to paste: a test key as long as there is no credit."""
        async with signed_in() as (tx, me):
            if await keys.live(tx, me):
                yield rx.redirect("/dashboard/api-keys")
                return
            self.test_key = await wallet.balance(tx, me.organization_id) <= 0
            issued = await keys.issue(tx, me, NewKey(name="primary", mode="test" if self.test_key else "live"))
        self.has_keys, self.secret = True, issued.secret.reveal()
        yield
        self.secret = ""  # here; the browser goes on showing it, and nothing else keeps it
        self.dirty_vars.discard("secret")

    async def _read(self) -> None:
        async with loading(self) as (tx, me):
            zone, whose = whose_zone(me.time_zone, self._browser), reports.own(me)
            today = await reports.totals(tx, whose, periods.today(zone))
            month = await reports.totals(tx, whose, periods.month(zone))
            left, live = await wallet.balance(tx, me.organization_id), await keys.live(tx, me)
            self.zone, self.day = zone.key, Day.of(today, month)
            self.balance, self.in_debt = Amount.of(left), left <= 0
            self.has_keys = bool(live)
            self.attention = [
                *_about_money(left, live),
                *_about_keys(live),
                *_about_leaks(await keys.ended(tx, me)),
                *_about_errors(today),
            ]
            await self._show_calls(tx, whose, zone.key)

    async def _show_calls(self, tx: Tx, whose: Whose, zone: str) -> None:
        last = await reports.log(tx, whose, size=LAST_CALLS)
        self.calls = [Call.of(row) for row in last.rows]
        month = await reports.series(tx, whose, periods.days(periods.zone_named(zone), 30))
        self.line = line([point.sums.requests for point in month.points]) if month.total.requests else ""
        self.line_label = f"{month.total.requests:,} requests in the last 30 days"


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        with_zone(OverviewState.load),
        heading("Overview", button("Refresh", kind="secondary", on_click=OverviewState.again)),
        rx.match(
            OverviewState.phase,
            ("failed", card(failed(OverviewState.again))),
            rx.fragment(
                rx.cond((OverviewState.secret != "") | ~OverviewState.has_keys, _first_steps()),
                rx.foreach(OverviewState.attention, _attention),
                _figures(),
                last_minute(),
                _last_calls(),
            ),
        ),
    )


def _first_steps() -> rx.Component:
    make = rx.fragment(
        rx.el.p(
            "One click makes an API key and fills it into a call that you can paste.", class_name="text-muted mb-4"
        ),
        button("Make my first key", size="large", on_click=OverviewState.first_key),
        rx.el.div(first_call(name="sample-language"), class_name="mt-5"),
    )
    kind = rx.cond(
        OverviewState.test_key,
        "It is a test key: the sandbox answers, and nothing is charged. For live models, add credit and make a live key.",
        "It is a live key: calls are charged to your balance.",
    )
    ready = rx.fragment(
        notice("Copy your key now. It is shown this once; we keep only a fingerprint of it. ", kind, tone="warn"),
        copyable(OverviewState.secret, "Copy key", auto_focus=True, class_name="my-4"),
        first_call(OverviewState.secret, name="first-language"),
        rx.el.div(
            rx.el.p("Paste it into a terminal. The call appears below within seconds.", class_name="text-muted"),
            button("Show my call", on_click=OverviewState.again),
            class_name="mt-4 flex flex-wrap items-center justify-between gap-3",
        ),
    )
    return card(
        rx.cond(OverviewState.secret != "", ready, make),
        title="Your first call",
        lead="Any OpenAI client works: change its base URL and its key.",
    )


def _attention(one: Any) -> rx.Component:
    act = link_button(one.act, to=one.where, size="small")
    return rx.el.div(
        rx.cond(one.bad, notice(one.text, tone="bad", action=act), notice(one.text, tone="warn", action=act)),
        key=one.text,
    )


def _figures() -> rx.Component:
    ready, day = OverviewState.phase == "ready", OverviewState.day
    drawn = rx.el.svg(
        rx.el.svg.polyline(points=OverviewState.line, fill="none", stroke="currentColor", stroke_width="1.25"),
        view_box="0 0 96 24",
        role="img",
        aria_label=OverviewState.line_label,
        class_name="h-5 w-20 text-accent",
    )
    requests = rx.el.span(
        rx.el.span(day.requests_month), rx.cond(OverviewState.line != "", drawn), class_name="flex gap-2"
    )
    return stats(
        stat(
            "Balance",
            amount(OverviewState.balance),
            rx.cond(OverviewState.in_debt, "paid calls are refused", "prepaid"),
            ready=ready,
        ),
        stat("Spent today", amount(day.spent_today), rx.fragment(amount(day.spent_month), " this month"), ready=ready),
        stat("Requests today", day.requests_today, requests, ready=ready),
        stat("Failed today", day.error_rate, day.failed, ready=ready),
    )


def _last_calls() -> rx.Component:
    return card(
        table(
            OverviewState.calls,
            lambda call: (
                time(call.at, "ago"),
                badge(call.status, tone=call.tone),
                rx.el.span(call.model, class_name="whitespace-nowrap"),
                rx.el.span(call.key_name, class_name="block max-w-40 truncate"),
                call.cost,
                rx.el.span(call.took, class_name="whitespace-nowrap"),
            ),
            label="Last calls",
            columns=("When", "Status", "Model", "Key", "Cost", "Took"),
            right=(4, 5),
            phase=OverviewState.phase,
            empty=empty("No calls yet", "The first one appears here within seconds of being made.", icon="terminal"),
            retry=OverviewState.again,
            key=lambda call: call.handle,
        ),
        title="Last calls",
        action=link_button("Request log", to="/dashboard/requests", size="small"),
    )


def _about_money(left: int, live: list[KeyView]) -> list[Attention]:
    """Speak of money to whoever has a key that spends it, where there is a way to add some."""
    if not stripe.switched_on() or all(key.mode == "test" for key in live):
        return []
    if left <= 0:
        return [
            Attention("Your balance is used up: paid calls are refused.", "/dashboard/billing", "Add credit", bad=True)
        ]
    if left <= LOW:
        return [Attention(f"Your balance is down to {dollars(left)}.", "/dashboard/billing", "Add credit")]
    return []


def _about_keys(live: list[KeyView]) -> list[Attention]:
    ending = [key for key in live if key.expires_at and key.expires_at < now() + SOON]
    turning = [key for key in live if key.old_secret_until]
    return [
        *(Attention(f"The key “{key.name}” expires soon.", "/dashboard/api-keys", "See keys") for key in ending),
        *(
            Attention(
                f"“{key.name}” was rotated: its old secret still works for a while.", "/dashboard/api-keys", "See keys"
            )
            for key in turning
        ),
    ]


def _about_leaks(ended: list[KeyView]) -> list[Attention]:
    found = [key for key in ended if key.leaked_at and key.leaked_at > now() - SOON]
    return [
        Attention(
            f"The key “{key.name}” was found in public, and revoked.", "/dashboard/api-keys", "See keys", bad=True
        )
        for key in found
    ]


def _about_errors(today: Sums) -> list[Attention]:
    if today.requests < ENOUGH or today.error_rate < MANY_ERRORS:
        return []
    return [
        Attention(f"{today.error_rate:.0%} of today's requests failed.", "/dashboard/requests", "See them", bad=True)
    ]
