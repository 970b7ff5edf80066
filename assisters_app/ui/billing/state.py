"""The wallet now, and one month of it: what the page shows, and what is done there."""

from typing import Any

import reflex as rx

from assisters_app.accounts import organizations
from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.money import dollars, from_cents
from assisters_app.billing import invoices, months, plans, stripe, topups, wallet
from assisters_app.billing.invoices import Bill
from assisters_app.billing.months import Month
from assisters_app.billing.topups import TopUpRow
from assisters_app.ui.amounts import Amount, typed
from assisters_app.ui.billing.rows import BillRow, Moved, Paid
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.usage import spending

FIRST_FEW = 25  # movements shown before all of a month are asked for
FIRST_MONTH = Month(2025, 1)  # before it nothing was sold


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
        self.capped_spent, self.cap_reached = Amount.spent(spent), cap is not None and spent >= cap
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
