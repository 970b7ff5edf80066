"""Billing: what is left, how to add to it, this month's bill as it grows, and every movement of money."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.accounts import organizations
from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.money import dollars, from_cents
from assisters_app.billing import invoices, months, plans, stripe, topups, wallet
from assisters_app.billing.invoices import Bill, Line
from assisters_app.billing.months import Month
from assisters_app.billing.rating import TOKENS
from assisters_app.billing.topups import TopUpRow
from assisters_app.billing.wallet import MovementRow
from assisters_app.ui.amounts import Amount, amount, typed
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    download_button,
    empty,
    field,
    form,
    heading,
    notice,
    number,
    post_form,
    rows,
    stat,
    stats,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.usage import spending

FIRST_FEW = 25  # movements shown before all of a month are asked for
FIRST_MONTH = Month(2025, 1)  # before it nothing was sold
KINDS = {
    "topup": "Top-up",
    "bonus": "Bonus",
    "usage": "Usage",
    "refund": "Refund",
    "dispute": "Disputed payment",
    "adjustment": "Adjustment",
    "carried": "Carried forward",
}
STATES = {"open": "not paid yet", "paid": "paid", "failed": "not completed", "refunded": "refunded"}
STATE_TONES = {"open": "plain", "paid": "good", "failed": "warn", "refunded": "warn"}


@dataclass(frozen=True, slots=True)
class BillRow:
    """One line of the bill. `derivation` says how its amount follows from counts and prices."""

    key: str
    model: str
    version: str
    requests: int
    input_tokens: int
    output_tokens: int
    derivation: str
    amount: str
    holds: bool

    @classmethod
    def of(cls, line: Line) -> Self:
        """Write a line for the one who pays it."""
        version = line.price.version if line.price else 0
        return cls(
            key=f"{line.model}/{version}",
            model=line.model,
            version=f"price version {version}" if line.price else "",
            requests=line.requests,
            input_tokens=line.input_tokens,
            output_tokens=line.output_tokens,
            derivation=_derivation(line),
            amount=dollars(line.amount_nano),
            holds=line.derived_nano in (None, line.amount_nano),
        )


@dataclass(frozen=True, slots=True)
class Moved:
    """One movement of the wallet."""

    key: str
    at: str
    what: str
    about: str
    amount: str
    into: bool

    @classmethod
    def of(cls, number: int, row: MovementRow) -> Self:
        """Write a movement for its owner; `number` tells apart what happened at one moment."""
        about = f"{row.model}, {row.day:%d %b}" if row.model and row.day else row.model or ""
        sign = "+" if row.amount_nano > 0 else ""
        return cls(
            key=f"{row.at.isoformat()}/{number}",
            at=row.at.isoformat(),
            what=KINDS.get(row.kind, row.kind),
            about=about,
            amount=sign + dollars(row.amount_nano),
            into=row.amount_nano > 0,
        )


@dataclass(frozen=True, slots=True)
class Paid:
    """One top-up."""

    handle: str
    at: str
    amount: str
    bonus: str
    state: str
    tone: str

    @classmethod
    def of(cls, row: TopUpRow) -> Self:
        """Write a top-up for its owner."""
        return cls(
            handle=row.handle,
            at=row.created_at.isoformat(),
            amount=dollars(from_cents(row.amount_cents)),
            bonus=dollars(from_cents(row.bonus_cents)) if row.bonus_cents else "",
            state=STATES.get(row.state, row.state),
            tone=STATE_TONES.get(row.state, "plain"),
        )


class BillingState(AppState):
    """The wallet now, and the bill and movements of one month."""

    phase: str = "loading"
    payments: bool = False
    balance: Amount = Amount()
    in_debt: bool = False
    plan: str = ""
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0
    cap: str = ""  # a calendar month (UTC), "" for no cap
    cap_typed: str = ""
    capped_spent: Amount = Amount()
    cap_reached: bool = False
    cap_again: str = ""
    cap_problem: str = ""
    next_plan: str = ""
    month: str = ""
    month_title: str = ""
    newer: bool = False
    earlier: bool = False
    growing: bool = True
    bill: list[BillRow] = []
    total: str = ""
    rounded: str = ""
    holds: bool = True
    movements: list[Moved] = []
    hidden: int = 0
    top_ups: list[Paid] = []
    _whole: bool = False

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read everything; on the way back from paying, look at once whether the money came."""
        await self._welcome_back()
        await self._read(months.current())

    @rx.event
    @access("member")
    async def again(self) -> None:
        """Read everything once more."""
        await self._read(_month(self.month))

    @rx.event
    @access("member")
    async def turn(self, later: bool) -> None:
        """Show the month after or before the one that is shown."""
        shown = _month(self.month)
        wanted = months.of(shown.ends) if later else _before(shown)
        self._whole = False
        await self._read(min(max(wanted, FIRST_MONTH), months.current()))

    @rx.event
    @access("member")
    async def show_all(self) -> None:
        """Show every movement of the month."""
        self._whole = True
        await self._read(_month(self.month))

    @rx.event
    @access("member")
    async def cap_spending(self, sent: dict[str, Any]) -> Any:
        """Set the most that a month may cost; an empty field lifts the cap."""
        try:
            wanted = typed(str(sent.get("cap") or ""), "cap")
            async with signed_in() as (tx, me):
                await organizations.cap_spending(tx, me, wanted)
        except Refused as refused:
            self.cap_problem = str(refused)
            return None
        self._tell(
            f"No month costs more than {dollars(wanted)} from now on." if wanted else "There is no spend cap now."
        )
        return BillingState.again

    async def _welcome_back(self) -> None:
        handle = str(self.router.url.query_parameters.get("top_up", ""))
        if not handle:
            return
        try:
            async with signed_in() as (tx, me):
                found = await topups.look_again(tx, me, handle)
        except Refused as refused:
            self._tell(str(refused), "bad")
            return
        self._tell(*_what_became(found))

    async def _read(self, month: Month) -> None:
        async with loading(self) as (tx, me):
            left = await wallet.balance(tx, me.organization_id)
            self.balance, self.in_debt = Amount.of(left), left <= 0
            self.payments = stripe.switched_on()
            ours = await organizations.view(tx, me)
            self._show_plan(plans.PLANS[ours.plan])
            await self._read_cap(tx, me, ours.spend_cap_nano)
            self._show_month(await invoices.bill(tx, me.organization_id, month))
            moved = await wallet.movements(tx, me.organization_id, month)
            self._show_movements([Moved.of(number, row) for number, row in enumerate(moved)])
            self.top_ups = [Paid.of(row) for row in await topups.listed(tx, me.organization_id)]

    def _show_plan(self, plan: plans.Plan) -> None:
        self.plan, self.next_plan = plan.title, _next_plan(plan)
        self.requests_per_minute, self.tokens_per_minute = plan.requests_per_minute, plan.tokens_per_minute
        self.concurrency = plan.concurrency

    async def _read_cap(self, tx: Tx, me: Person, cap: int | None) -> None:
        month = months.current()
        spent = await spending.of_all(tx, me, month.begins)
        self.cap, self.cap_typed = (dollars(cap), dollars(cap).removeprefix("$").replace(",", "")) if cap else ("", "")
        self.capped_spent, self.cap_reached = Amount.of(spent), cap is not None and spent >= cap
        self.cap_again, self.cap_problem = month.ends.isoformat(), ""

    def _show_movements(self, moved: list[Moved]) -> None:
        shown = moved if self._whole else moved[:FIRST_FEW]
        self.movements, self.hidden = shown, len(moved) - len(shown)

    def _show_month(self, bill: Bill) -> None:
        self.month, self.month_title = str(bill.month), f"{bill.month.begins:%B %Y}"
        self.newer, self.earlier = bill.month < months.current(), bill.month > FIRST_MONTH
        self.bill = [BillRow.of(line) for line in bill.lines]
        self.total, self.rounded = dollars(bill.total_nano), dollars(from_cents(bill.total_cents))
        self.growing, self.holds = bill.growing, bill.holds


def _next_plan(plan: plans.Plan) -> str:
    following = plans.after(plan)
    return f"{following.title} from ${following.from_paid_cents // 100:,} topped up" if following else ""


load = BillingState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading("Billing", rx.cond(BillingState.payments, _portal()), lead="Prepaid: you spend what you put in."),
        _now(),
        _top_up(),
        _cap(),
        _months(),
        _bill(),
        _movements(),
        _orders(),
    )


def _portal() -> rx.Component:
    return post_form(
        button(
            "Cards and receipts",
            rx.icon("arrow-up-right", size=15, aria_hidden="true"),
            type="submit",
            kind="secondary",
        ),
        action="/billing/portal",
        class_name="",
    )


def _now() -> rx.Component:
    ready = BillingState.phase == "ready"
    limits = rx.fragment(
        "requests and ",
        number(BillingState.tokens_per_minute, compact=True),
        " tokens a minute, ",
        number(BillingState.concurrency),
        " calls at once",
    )
    return stats(
        stat(
            "Balance",
            amount(BillingState.balance),
            rx.cond(
                BillingState.in_debt, "paid calls are refused", rx.fragment("exactly ", BillingState.balance.exact)
            ),
            ready=ready,
        ),
        stat("Plan", BillingState.plan, BillingState.next_plan, ready=ready),
        stat("Limits", number(BillingState.requests_per_minute), limits, ready=ready),
        stat(
            rx.fragment("Bill of ", BillingState.month_title),
            BillingState.rounded,
            rx.cond(BillingState.growing, "so far", "final"),
            ready=ready,
        ),
    )


def _top_up() -> rx.Component:
    off = notice("Top-ups are switched off here: no payment provider is set up.", tone="warn")
    return card(
        rx.match(
            BillingState.phase,
            ("ready", rx.cond(BillingState.payments, _amounts(), off)),
            rx.el.div(class_name="h-32", aria_busy="true"),
        ),
        title="Add credit",
        lead="Paid at Stripe. We never see your card.",
    )


def _amounts() -> rx.Component:
    return post_form(
        rx.el.fieldset(
            rx.el.legend("Amount", class_name="sr-only"),
            *[_amount(cents, chosen=n == 1) for n, cents in enumerate(plans.TOP_UPS)],
            class_name="grid grid-cols-2 sm:grid-cols-5 gap-3",
        ),
        button("Continue to payment", type="submit"),
        action="/billing/top-up",
    )


def _amount(cents: int, *, chosen: bool) -> rx.Component:
    bonus = plans.bonus_cents(cents)
    return rx.el.label(
        rx.el.input(type="radio", name="amount", value=str(cents), default_checked=chosen, class_name="sr-only"),
        rx.el.span(dollars(from_cents(cents), 0).removesuffix("."), class_name="text-base font-semibold"),
        rx.el.span(
            f"+ {dollars(from_cents(bonus))} bonus" if bonus else "no bonus",
            class_name="text-xs " + ("text-good" if bonus else "text-muted"),
        ),
        class_name="relative flex flex-col gap-0.5 rounded-lg border border-line bg-surface px-3.5 py-3 cursor-pointer "
        "hover:border-strong has-checked:border-accent has-checked:bg-accent-soft "
        "has-focus-visible:outline-2 has-focus-visible:outline-accent",
    )


def _cap() -> rx.Component:
    spent = rx.fragment(amount(BillingState.capped_spent), " spent in this month so far")
    against = rx.fragment(
        amount(BillingState.capped_spent),
        " of ",
        BillingState.cap,
        " spent. It starts anew ",
        time(BillingState.cap_again),
    )
    return card(
        rx.cond(
            BillingState.cap_reached,
            notice(
                "The cap is reached: paid calls are refused until ",
                time(BillingState.cap_again),
                ".",
                tone="bad",
                class_name="mb-4",
            ),
        ),
        rx.match(BillingState.phase, ("ready", _cap_form()), rx.el.div(class_name="h-16", aria_busy="true")),
        rx.el.p(rx.cond(BillingState.cap != "", against, spent), class_name="mt-3 text-[0.8125rem] text-muted"),
        title="Spend cap",
        lead="The most that all keys together may spend in a calendar month (UTC). A call that could go beyond is refused.",
    )


def _cap_form() -> rx.Component:
    return form(
        field(
            "Dollars a month",
            "cap",
            hint="Empty for no cap. Keys can have budgets of their own: see API keys.",
            error=BillingState.cap_problem,
            default_value=BillingState.cap_typed,
            key=BillingState.cap_typed,
            input_mode="decimal",
            auto_complete="off",
            placeholder="no cap",
        ),
        button("Save cap", type="submit", kind="secondary"),
        on_submit=BillingState.cap_spending,
        class_name="max-w-sm",
    )


def _months() -> rx.Component:
    return rx.el.nav(
        button(
            rx.icon("chevron-left", size=16, aria_hidden="true"),
            kind="secondary",
            size="small",
            aria_label="The month before",
            on_click=BillingState.turn(False),
            disabled=~BillingState.earlier,
        ),
        rx.el.h2(
            BillingState.month_title, class_name="text-base font-semibold min-w-36 text-center", aria_live="polite"
        ),
        button(
            rx.icon("chevron-right", size=16, aria_hidden="true"),
            kind="secondary",
            size="small",
            aria_label="The month after",
            on_click=BillingState.turn(True),
            disabled=~BillingState.newer,
        ),
        aria_label="Month",
        class_name="flex items-center gap-2 pt-2",
    )


def _bill() -> rx.Component:
    return card(
        table(
            BillingState.bill,
            _bill_cells,
            label="Bill",
            columns=("Model", "Requests", "Input tokens", "Output tokens", "How it adds up", "Amount"),
            right=(1, 2, 3, 5),
            phase=BillingState.phase,
            empty=empty("Nothing to pay", "No live call was made in this month.", icon="receipt"),
            retry=BillingState.again,
            key=lambda line: line.key,
            more=_sum(),
        ),
        title=rx.cond(BillingState.growing, "Bill so far", "Bill"),
        lead="One line for each model and price, in UTC months. Signed receipts prove each call.",
        action=rx.cond(
            BillingState.bill.length() > 0,
            download_button("Download receipts", href="/download/receipt-months/" + BillingState.month),
        ),
    )


def _bill_cells(line: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            line.model, rx.el.span(line.version, class_name="block text-xs text-muted"), class_name="whitespace-nowrap"
        ),
        number(line.requests),
        number(line.input_tokens),
        number(line.output_tokens),
        rx.el.span(line.derivation, class_name="text-[0.8125rem] text-muted sm:whitespace-normal whitespace-nowrap"),
        rx.el.span(line.amount, rx.cond(line.holds, "", rx.fragment(" ", badge("does not add up", tone="bad")))),
    )


def _sum() -> rx.Component:
    return rx.el.div(
        rows(
            ("Exact sum", rx.el.span(BillingState.total, class_name="tabular-nums")),
            ("Rounded once, to the cent", rx.el.strong(BillingState.rounded, class_name="tabular-nums")),
        ),
        rx.cond(
            BillingState.holds,
            badge(
                rx.icon("check", size=12, aria_hidden="true"), "Each line equals the usage it comes from", tone="good"
            ),
            badge("A line differs from its usage; nothing is charged until that is cleared up", tone="bad"),
        ),
        class_name="border-t border-line pt-3 mt-1 space-y-2",
    )


def _movements() -> rx.Component:
    return card(
        table(
            BillingState.movements,
            lambda row: (
                time(row.at, "date"),
                rx.el.div(row.what, rx.el.span(row.about, class_name="block text-xs text-muted")),
                rx.el.span(row.amount, class_name=rx.cond(row.into, "text-good", "")),
            ),
            label="Movements of your wallet",
            columns=("When", "What", "Amount"),
            right=(2,),
            phase=BillingState.phase,
            empty=empty("Nothing moved", "No money went in or out in this month.", icon="arrow-left-right"),
            retry=BillingState.again,
            key=lambda row: row.key,
            more=rx.cond(BillingState.hidden > 0, _more()),
        ),
        title="Movements",
        lead="Everything that went into or out of your wallet in this month. Usage is one line for each day and model.",
    )


def _more() -> rx.Component:
    label = rx.fragment("Show ", BillingState.hidden, " more")
    return rx.el.div(button(label, kind="secondary", size="small", on_click=BillingState.show_all), class_name="pt-3")


def _orders() -> rx.Component:
    return card(
        table(
            BillingState.top_ups,
            lambda row: (
                time(row.at),
                rx.el.code(row.handle, class_name="font-mono text-[0.8125rem] text-muted"),
                badge(row.state, tone=row.tone),
                rx.cond(row.bonus != "", row.bonus, "—"),
                row.amount,
            ),
            label="Top-ups",
            columns=("When", "Order", "State", "Bonus", "Amount"),
            right=(3, 4),
            phase=BillingState.phase,
            empty=empty("No top-ups yet", "What you add to your wallet is listed here.", icon="wallet"),
            retry=BillingState.again,
            key=lambda row: row.handle,
        ),
        title="Top-ups",
    )


def _derivation(line: Line) -> str:
    """Write how an amount follows from counts and prices, so that anyone can recalculate it."""
    if line.price is None:
        return "free: the sandbox answered"
    price, fresh = line.price, line.input_tokens - line.cached_tokens
    parts = ((fresh, price.input), (line.cached_tokens, price.cached), (line.output_tokens, price.output))
    terms = [f"{count:,} × {dollars(each * TOKENS)}" for count, each in parts if count and each]  # noqa: RUF001 (the sign people know)
    by_tokens = [" + ".join(terms) + " per million tokens"] if terms else []
    by_units = [f"{line.units:,} × {dollars(price.per_unit)} per {price.unit}"] if line.units else []  # noqa: RUF001
    return " + ".join(by_tokens + by_units) or "free"


def _what_became(found: TopUpRow) -> tuple[str, str]:
    amount = dollars(from_cents(found.amount_cents + found.bonus_cents))
    if found.state == "paid":
        return f"Thank you. {amount} is in your wallet.", "good"
    if found.state == "open":
        return "This order has not been paid yet. Bank debits take some days; credit arrives by itself.", "good"
    return "This order was not completed. Nothing was charged.", "bad"


def _month(text: str) -> Month:
    year, _, number = text.partition("-")
    return Month(int(year), int(number)) if text else months.current()


def _before(month: Month) -> Month:
    return Month(month.year, month.number - 1) if month.number > 1 else Month(month.year - 1, 12)
