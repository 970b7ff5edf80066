"""The ledger adds up, whoever writes to it, and forgets nothing but what the law lets it forget."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
import sqlalchemy.exc
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tills import balance

from assisters_app.accounts.tables import Organization
from assisters_app.base import clock, valkey
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.money import from_dollars
from assisters_app.billing import invariants, invoices, ledger, months, rating, topups, wallet
from assisters_app.billing.ledger import Movement
from assisters_app.billing.stripe import Dispute, Payment, Refund
from assisters_app.billing.tables import LedgerEntry, LedgerTransaction, TopUp
from assisters_app.usage import events
from assisters_app.usage.events import Event

CHAT = "assisters-chat-v1"


def call(organization_id, *, at=None, version=1, output=1_000, model=CHAT):
    return Event(
        request_id=new_id(),
        at=at or clock.now(),
        organization_id=organization_id,
        key_id=uuid4(),
        mode="live",
        endpoint="/v1/chat/completions",
        model=model,
        status=200,
        outcome="completed",
        input_tokens=500,
        cached_tokens=100,
        output_tokens=output,
        cost_nano=400 * 100 + 100 * 50 + output * 400,
        price_version=version,
    )


async def ingest(*calls):
    async with transaction() as tx:
        return await ledger.post_usage(tx, await events.insert(tx, calls))


async def broken():
    async with transaction() as tx:
        return [invariant.name for invariant in await invariants.check(tx) if not invariant.holds]


async def test_a_movement_is_posted_once_for_its_cause(ada):
    for expected in (True, False):
        async with transaction() as tx:
            assert await wallet.give(tx, ada.organization_id, 5, "welcome:ada") is expected
    assert await balance(ada.organization_id) == 5


async def test_legs_that_do_not_add_up_are_not_even_tried(ada, tx):
    with pytest.raises(ValueError, match="not two sides"):
        await ledger.post(tx, Movement(ada.organization_id, "bonus", "x", {"wallet": 5, "bonus": -4}))
    with pytest.raises(ValueError, match="not two sides"):
        await ledger.post(tx, Movement(ada.organization_id, "bonus", "x", {"wallet": 0, "bonus": 0}))


async def test_the_database_refuses_entries_that_do_not_add_up_to_zero(ada):
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="add up to 1, not to zero"):
        await by_hand(ada.organization_id, ada.organization_id, 5, -4)
    assert await balance(ada.organization_id) == 0


async def test_the_database_refuses_a_movement_without_entries_or_across_organizations(ada):
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="needs two entries"):
        await by_hand(ada.organization_id, ada.organization_id)
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="of its own organization"):
        await by_hand(ada.organization_id, uuid4(), 5, -5)


async def by_hand(organization_id, owner_of_entries, *amounts):
    """Write a movement past the ledger's own door."""
    async with transaction() as tx:
        movement = LedgerTransaction(organization_id=organization_id, kind="adjustment", cause="by hand")
        tx.add(movement)
        await tx.flush()
        for amount in amounts:
            about = {"transaction_id": movement.id, "organization_id": owner_of_entries}
            tx.add(LedgerEntry(**about, account="wallet", amount_nano=amount))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET amount_nano = amount_nano * 2",
        "UPDATE ledger_transaction SET kind = 'topup'",
        "DELETE FROM ledger_entry",
        "DELETE FROM ledger_transaction",
    ],
)
async def test_nobody_rewrites_the_ledger(ada, statement):
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, 5, "welcome:ada")
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="append-only"):
        async with transaction() as tx:
            await tx.sql(text(statement))


async def test_erasure_may_unlink_a_wallet_but_only_all_of_a_movement(ada):
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, 5, "welcome:ada")
    pseudonym = {"new": uuid4(), "old": ada.organization_id}
    unlink = "UPDATE {} SET organization_id = :new WHERE organization_id = :old"
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="of its own organization"):
        async with transaction() as tx:
            await tx.sql(text(unlink.format("ledger_entry")), pseudonym)
    async with transaction() as tx:
        await tx.sql(text(unlink.format("ledger_entry")), pseudonym)
        await tx.sql(text(unlink.format("ledger_transaction")), pseudonym)
    assert await balance(ada.organization_id) == 0
    assert await balance(pseudonym["new"]) == 5


async def test_usage_is_charged_once_per_day_model_and_price_however_often_it_is_ingested(ada):
    evening = datetime(2026, 10, 31, 23, 59, tzinfo=UTC)
    with clock.frozen(evening + timedelta(minutes=2)):
        batch = [call(ada.organization_id, at=evening) for _ in range(3)]
        batch += [call(ada.organization_id, at=evening + timedelta(minutes=1)), call(ada.organization_id, version=2)]
        spent = await ingest(*batch)
        assert spent == sum(c.cost_nano for c in batch)
        assert await ingest(*batch) == 0
        async with transaction() as tx:
            found = await tx.sql(text("SELECT day, price_version, cause FROM ledger_transaction ORDER BY 1, 2"))
            lines = [(row.day.isoformat(), row.price_version) for row in found]
    assert lines == [("2026-10-31", 1), ("2026-11-01", 1), ("2026-11-01", 2)]
    assert await balance(ada.organization_id) == -spent


async def test_what_costs_nothing_moves_nothing(ada):
    assert await ingest(replace(call(ada.organization_id), cost_nano=0)) == 0
    async with transaction() as tx:
        assert (await tx.sql(text("SELECT count(*) FROM ledger_transaction"))).scalar_one() == 0


async def test_every_process_hears_that_a_wallet_changed_only_once_it_has(ada):
    async with valkey.valkey().pubsub(ignore_subscribe_messages=True) as inbox:
        await inbox.subscribe(valkey.CHANNEL)
        await inbox.get_message(timeout=1)
        with pytest.raises(ZeroDivisionError):
            await give_and_fail(ada.organization_id)
        async with transaction() as tx:
            await wallet.give(tx, ada.organization_id, 5, "done")
        assert (await inbox.get_message(timeout=5))["data"] == f"organization:{ada.organization_id}"
        assert await inbox.get_message(timeout=0) is None
        assert await balance(ada.organization_id) == 5


async def give_and_fail(organization_id):
    async with transaction() as tx:
        await wallet.give(tx, organization_id, 5, "undone")
        raise ZeroDivisionError


async def test_the_month_grows_line_by_line_and_is_rounded_once(ada):
    november = datetime(2026, 11, 10, 12, tzinfo=UTC)
    with clock.frozen(november):
        await ingest(*[call(ada.organization_id, output=11) for _ in range(3)], call(ada.organization_id, version=2))
        await ingest(call(ada.organization_id, at=november - timedelta(days=11)))
        async with transaction() as tx:
            await rating.ensure_first_prices(tx)
            bill = await invoices.bill(tx, ada.organization_id, months.current())
            before = await invoices.bill(tx, ada.organization_id, months.Month(2026, 10))
    assert [(line.model, line.price and line.price.version, line.requests) for line in bill.lines] == [
        (CHAT, 1, 3),
        (CHAT, None, 1),
    ]
    first = bill.lines[0]
    assert first.amount_nano == rating.cost(first.price, first.input_tokens, first.cached_tokens, first.output_tokens)
    assert (bill.total_nano, bill.total_cents, bill.holds, bill.growing) == (593_200, 0, True, True)
    assert (before.total_nano, before.growing) == (445_000, False)


async def test_a_line_that_its_usage_does_not_bear_out_is_seen(ada):
    await ingest(call(ada.organization_id))
    async with transaction() as tx:
        await tx.sql(text("UPDATE usage_tally SET cost_nano = cost_nano + 1"))
    async with transaction() as tx:
        assert not (await invoices.bill(tx, ada.organization_id, months.current())).holds
    assert await broken() == [
        "Events and tallies cost the same",
        "Tallies and the ledger's usage cost the same",
    ]


async def test_the_invariants_hold_over_ordinary_use_and_name_what_broke(ada):
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, from_dollars("1"), "welcome")
    await ingest(call(ada.organization_id), call(ada.organization_id))
    assert await broken() == []
    async with transaction() as tx:
        await tx.sql(text("UPDATE usage_event SET output_tokens = output_tokens + 1"))
    assert await broken() == ["Every charged event follows from its price version"]


async def test_a_line_of_units_follows_from_its_events_and_price_and_a_wrong_unit_is_seen(ada):
    model = "assisters-image-v1"
    drawn = replace(
        call(ada.organization_id, model=model),
        input_tokens=0,
        cached_tokens=0,
        output_tokens=0,
        units=2,
        unit="image",
        cost_nano=2 * 20_000_000,
    )
    await ingest(drawn, replace(drawn, request_id=new_id(), units=1, cost_nano=20_000_000))
    assert await broken() == []
    async with transaction() as tx:
        [line] = (await invoices.bill(tx, ada.organization_id, months.current())).lines
    assert (line.units, line.price.unit, line.amount_nano) == (3, "image", rating.cost(line.price, 0, 0, 0, 3))
    for wrong in ("units = units + 1", "unit = 'second'"):
        async with transaction() as tx:
            await tx.sql(text(f"UPDATE usage_event SET {wrong} WHERE units > 0"))
        assert await broken() == ["Every charged event follows from its price version"]
        async with transaction() as tx:
            await tx.sql(text("UPDATE usage_event SET units = cost_nano / 20000000, unit = 'image'"))


async def test_an_erased_organizations_usage_does_not_break_the_invariants(ada):
    await ingest(call(ada.organization_id))
    async with transaction() as tx:
        for statement in ("DELETE FROM usage_event", "DELETE FROM usage_tally"):
            await tx.sql(text(statement))
        new = {"new": uuid4()}
        await tx.sql(text("UPDATE ledger_entry SET organization_id = :new"), new)
        await tx.sql(text("UPDATE ledger_transaction SET organization_id = :new"), new)
        await tx.delete(await tx.get(Organization, ada.organization_id))
    assert await broken() == []


async def test_a_wallet_shows_a_month_with_usage_by_the_day(ada):
    async with transaction() as tx:
        await wallet.give(tx, ada.organization_id, 7, "welcome")
    await ingest(call(ada.organization_id))
    await ingest(call(ada.organization_id))
    async with transaction() as tx:
        rows = await wallet.movements(tx, ada.organization_id, months.current())
        nothing = await wallet.movements(tx, ada.organization_id, months.Month(2020, 1))
    assert [(row.kind, row.amount_nano) for row in rows] == [("usage", -890_000), ("bonus", 7)]
    assert nothing == []


async def test_after_seven_years_movements_go_and_balances_stay(people, ada):
    bob = await people("bob@example.org")
    long_ago = datetime(2019, 1, 1, tzinfo=UTC)
    with clock.frozen(long_ago):
        for person in (ada, bob):
            async with transaction() as tx:
                await wallet.give(tx, person.organization_id, 100, f"welcome:{person.organization_id}")
        async with transaction() as tx:
            posted = Movement(ada.organization_id, "usage", "usage:old", {"wallet": -30, "revenue": 30}, CHAT, 1)
            await ledger.post(tx, posted)
    async with transaction() as tx:
        await tx.delete(await tx.get(Organization, bob.organization_id))
        assert await ledger.sweep(tx, long_ago + timedelta(days=1)) == 3
    assert await balance(ada.organization_id) == 70
    assert await balance(bob.organization_id) == 0
    async with transaction() as tx:
        kinds = (await tx.sql(text("SELECT kind FROM ledger_transaction"))).scalars().all()
        assert await ledger.sweep(tx, long_ago + timedelta(days=1)) == 0
    assert kinds == ["carried"]
    assert await broken() == []
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="append-only"):
        async with transaction() as tx:
            await tx.sql(text("DELETE FROM ledger_entry"))


Act = st.one_of(
    st.tuples(st.just("use"), st.lists(st.integers(0, 10**6), max_size=4)),
    st.tuples(st.just("pay"), st.integers(0, 2)),
    st.tuples(st.just("refund"), st.integers(0, 2), st.integers(1, 30_000), st.booleans()),
    st.tuples(st.just("undo"), st.integers(0, 2)),
    st.tuples(st.just("dispute"), st.integers(0, 2), st.sampled_from(["needs_response", "won", "lost"])),
)


@given(st.lists(Act, max_size=12), st.permutations([1_001, 5_003, 25_000]))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_the_ledger_adds_up_whatever_happens_in_whatever_order(people, acts, amounts):
    person = await people(f"{uuid4()}@example.com")
    async with transaction() as tx:
        (await tx.get(Organization, person.organization_id)).stripe_customer_id = f"cus_{person.organization_id}"
    shop = [Order(person, index, cents) for index, cents in enumerate(amounts)]
    async with transaction() as tx:
        tx.add_all([order.placed() for order in shop])
    spent = 0
    for act, *words in acts:
        if act == "use":
            calls = [call(person.organization_id, output=output) for output in words[0]]
            spent += await ingest(*calls) if calls else 0
        else:
            await getattr(shop[words[0]], act)(*words[1:])
    assert await balance(person.organization_id) == sum(order.worth() for order in shop) - spent
    assert await broken() == []


class Order:
    """One order of the property's shop: what Stripe would say of it, and what it should be worth."""

    def __init__(self, person, index, cents):
        self.person, self.cents = person, cents
        self.name = f"{person.organization_id}_{index}"
        self.paid, self.refunds, self.dispute_status = False, [], None

    def placed(self):
        bonus = self.cents // 10
        return TopUp(
            handle=f"top_{self.name}"[-32:], organization_id=self.person.organization_id, amount_cents=self.cents,
            bonus_cents=bonus,
        )  # fmt: skip

    async def pay(self):
        self.paid = True
        async with transaction() as tx:
            customer = f"cus_{self.person.organization_id}"
            paid = Payment(f"pi_{self.name}", True, self.cents, "usd", customer, f"top_{self.name}"[-32:])
            await topups.payment_succeeded(tx, paid)

    async def refund(self, cents, stands):
        left = self.cents - sum(refund.cents for refund in self.refunds if refund.stands)
        if self.paid and cents <= left:
            self.refunds.append(Refund(f"re_{self.name}_{len(self.refunds)}", cents, stands))
        await self._tell()

    async def undo(self):
        if self.refunds:
            self.refunds[-1] = replace(self.refunds[-1], stands=False)
        await self._tell()

    async def _tell(self):
        async with transaction() as tx:
            await topups.payment_refunded(tx, f"pi_{self.name}", self.refunds)

    async def dispute(self, status):
        if not self.paid or self.dispute_status not in (None, "needs_response"):
            return
        self.dispute_status = status
        async with transaction() as tx:
            await topups.payment_disputed(tx, Dispute(f"du_{self.name}", f"pi_{self.name}", self.cents, status))

    def worth(self):
        if not self.paid:
            return 0
        back = sum(refund.cents for refund in self.refunds if refund.stands)
        bonus = self.cents // 10 * 10_000_000
        credit = (self.cents - back) * 10_000_000 + bonus - bonus * back // self.cents
        return credit - (self.cents * 10_000_000 + bonus if self.dispute_status in ("needs_response", "lost") else 0)
