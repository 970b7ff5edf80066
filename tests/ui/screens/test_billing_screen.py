"""Ada's money on screen: the balance, the bill that grows, what moved, and the way back from paying."""

from datetime import UTC, datetime

import pytest
from uses import calls, has_credit, has_key

from assisters_app.base import clock
from assisters_app.base.db import transaction
from assisters_app.billing import topups
from assisters_app.ui.billing.state import BillingState


async def test_the_bill_adds_up_line_by_line(ada, tab):
    key = await has_key(ada)
    await has_credit(ada, "10")
    # 1,000 x $0.10 + 500 x $0.05 + 2,000 x $0.40 per million
    await calls(ada, key, input_tokens=1_500, cached_tokens=500, output_tokens=2_000, cost_nano=925_000)
    shown = (await tab(ada).send(BillingState.load)).of(BillingState)
    (line,) = shown["bill"]
    assert line.derivation == "1,000 × $0.10 + 500 × $0.05 + 2,000 × $0.40 per million tokens"  # noqa: RUF001 (as shown)
    assert (line.amount, line.holds, shown["holds"]) == ("$0.000925", True, True)
    assert (shown["balance"].exact, shown["total"], shown["rounded"]) == ("$9.999075", "$0.000925", "$0.00")


async def test_a_line_that_differs_from_its_usage_says_so(ada, tab):
    key = await has_key(ada)
    await calls(ada, key, cost_nano=5_000)
    async with transaction() as tx:
        from sqlalchemy import text

        await tx.sql(text("UPDATE usage_tally SET cost_nano = 1"))
    shown = (await tab(ada).send(BillingState.load)).of(BillingState)
    assert (shown["bill"][0].holds, shown["holds"]) == (False, False)


async def test_what_moved_is_listed_with_its_sign(ada, tab):
    key = await has_key(ada)
    await has_credit(ada, "10")
    await calls(ada, key, 2, cost_nano=1_000_000)
    shown = (await tab(ada).send(BillingState.load)).of(BillingState)
    assert {(row.what, row.amount, row.into) for row in shown["movements"]} == {
        ("Bonus", "+$10.00", True),
        ("Usage", "\N{MINUS SIGN}$0.002", False),
    }


async def test_months_are_turned_and_end_at_this_one(ada, tab):
    page = tab(ada)
    with clock.frozen(datetime(2026, 1, 15, tzinfo=UTC)):
        shown = (await page.send(BillingState.load)).of(BillingState)
        assert (shown["month_title"], shown.get("newer", False)) == ("January 2026", False)
        before = (await page.send(BillingState.turn, later=False)).of(BillingState)
        assert (before["month_title"], before["newer"], before["growing"]) == ("December 2025", True, False)
        await page.send(BillingState.turn, later=True)
        still = (await page.send(BillingState.turn, later=True)).of(BillingState)
        assert still.get("month_title", "January 2026") == "January 2026"


async def test_the_plan_and_its_limits_are_shown(ada, tab):
    shown = (await tab(ada).send(BillingState.load)).of(BillingState)
    assert (shown["plan"], shown["requests_per_minute"], shown["next_plan"]) == (
        "Free",
        10,
        "Developer from $10 topped up",
    )


async def test_without_stripe_top_ups_are_off(ada, tab):
    assert (await tab(ada).send(BillingState.load)).of(BillingState)["payments"] is False


async def test_ada_comes_back_from_paying_and_sees_her_credit_at_once(ada, tab, payments_on):
    async with transaction() as tx:
        placed = await topups.order(tx, ada.person, 5_000)
    payments_on.press(placed.url, "pay")
    shown = await tab(ada).send(BillingState.load, path="/dashboard/billing", query={"top_up": placed.handle})
    assert shown.said() == "Thank you. $52.50 is in your wallet."
    assert shown.of(BillingState)["balance"].exact == "$52.50"


async def test_mallory_learns_nothing_of_adas_order(ada, mallory, tab, payments_on):
    async with transaction() as tx:
        placed = await topups.order(tx, ada.person, 5_000)
    shown = await tab(mallory).send(BillingState.load, path="/dashboard/billing", query={"top_up": placed.handle})
    assert shown.said() == "That top-up does not exist."
    assert shown.of(BillingState).get("top_ups", []) == []


async def test_mallory_sees_nothing_of_adas_wallet(ada, mallory, tab):
    await has_credit(ada, "10")
    await calls(ada, await has_key(ada))
    shown = (await tab(mallory).send(BillingState.load)).of(BillingState)
    assert (shown["balance"].exact, shown.get("bill", []), shown.get("movements", [])) == ("$0.00", [], [])


async def test_ada_caps_what_a_month_may_cost_and_lifts_the_cap_again(ada, tab):
    key, page = await has_key(ada), tab(ada)
    await calls(ada, key, cost_nano=2_500_000_000)
    shown = await page.send(BillingState.cap_spending, sent={"cap": "$2.50"})
    assert "No month costs more than $2.50" in shown.said()
    state = shown.of(BillingState)
    assert (state["cap"], state["capped_spent"].short, state["cap_reached"]) == ("$2.50", "$2.50", True)
    shown = await page.send(BillingState.cap_spending, sent={"cap": " "})
    assert "no spend cap" in shown.said()
    assert (shown.of(BillingState)["cap"], shown.of(BillingState)["cap_reached"]) == ("", False)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("0", "above zero"), ("-5", "above zero"), ("a lot", "such as 5"), ("9e9", "at most"), ("1e999999", "such as 5")],
)
async def test_a_cap_that_cannot_be_is_refused_beside_its_field(ada, tab, wrong, said):
    shown = (await tab(ada).send(BillingState.cap_spending, sent={"cap": wrong})).of(BillingState)
    assert said in shown["cap_problem"]
