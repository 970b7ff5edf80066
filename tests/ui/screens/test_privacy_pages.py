"""What everyone may read about privacy is what the product is checked against."""

from datetime import timedelta

from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.privacy import inventory
from assisters_app.privacy.keeping.tables import Sweep
from assisters_app.privacy.policies import policy
from assisters_app.ui import cookies, processors
from assisters_app.ui import policy as policy_page
from assisters_app.ui.cookies import CookiesState
from assisters_app.ui.policy import PolicyState
from assisters_app.ui.privacy.kinds import KINDS


async def test_every_sentence_of_the_policy_can_be_linked_to_by_its_id(house):
    drawn = str(policy_page.page())
    sentences = policy.as_json()["sentences"]
    assert len(sentences) > 50
    for sentence in sentences:
        assert f'id:"{sentence["id"]}"' in drawn, sentence
        assert f'href:"#{sentence["id"]}"' in drawn, sentence


async def test_a_policy_that_is_not_true_says_so_on_its_page(house, monkeypatch):
    monkeypatch.setattr(policy, "differences", lambda: ("Rows stay 31 days, but 4.2 promises 30 days.",))
    assert "Rows stay 31 days" in str(policy_page.page())


async def test_anyone_sees_whether_the_retention_promises_are_kept(house, tab):
    async with transaction() as tx:
        old = now() - timedelta(days=31)
        tx.add(Sweep(rule="request-logs", table_name="usage_event", removed=0, oldest_left_at=old))
    shown = (await tab().send(PolicyState.load)).of(PolicyState)
    gauges = {gauge.table: gauge for gauge in shown["gauges"]}
    assert shown["phase"] == "ready"
    assert (gauges["usage_event"].promise, gauges["usage_event"].kept) == ("4.2", False)
    assert gauges["consent"].kept


async def test_the_cookie_page_shows_the_inventory_row_by_row(house, tab):
    shown = (await tab().send(CookiesState.load)).of(CookiesState)
    assert [one.identifier for one in shown["stored"]] == [one.identifier for one in cookies.cookies.stored()]
    assert {one.exempt for one in shown["stored"]} == {True}


async def test_every_kind_of_data_that_is_sent_anywhere_has_a_name_in_words(house):
    kinds = {kind for entry in inventory.inventory() for kind in entry.categories}
    assert kinds == set(KINDS)


async def test_every_processor_of_the_policy_is_on_the_page(house):
    drawn = str(processors.page())
    for processor in processors.processors.PROCESSORS:
        assert processor.name in drawn
        assert processor.safeguard in drawn
