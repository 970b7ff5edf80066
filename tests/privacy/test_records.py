"""What everyone may read of what is stored is read from the marks, in published words."""

import dataclasses

import pytest

from assisters_app.base.marks import Purpose
from assisters_app.privacy import activities, inventory, taxonomy
from assisters_app.privacy.policies import policy
from assisters_app.privacy.processors import PROCESSORS


def test_every_kind_and_every_use_is_a_word_of_the_published_taxonomy():
    kinds = {mark.category for _, mark in inventory.marked_columns() if mark.category}
    assert taxonomy.strangers(kinds, inventory.FIDESLANG_USES.values()) == ()
    assert len(taxonomy.CATEGORIES) > 80
    assert activities.SUBJECT in taxonomy.SUBJECTS
    assert set(inventory.FIDESLANG_USES) == set(Purpose)


def test_a_made_up_kind_stops_the_inventory(monkeypatch):
    monkeypatch.setitem(inventory.FIDESLANG_USES, Purpose.LAW, "essential.made_up")
    inventory.inventory.cache_clear()
    with pytest.raises(LookupError, match=r"no essential\.made_up"):
        inventory.inventory()
    inventory.inventory.cache_clear()


def test_the_record_holds_the_seven_things_of_article_30_for_each_purpose():
    record = activities.record()
    assert [one.purpose for one in record.activities] == [
        title for purpose, title in inventory.PURPOSES.items() if purpose in {one.id for one in record.activities}
    ]
    for activity in record.activities:
        told = dataclasses.asdict(activity)
        assert all(told.values()), [name for name, value in told.items() if not value]
        assert all(one.safeguard and one.country and one.terms for one in activity.recipients)
    assert record.controller
    assert [sentence for _, sentence in record.security] == [policy.CURRENT.sentence(f"5.{n}") for n in range(1, 6)]
    assert "4.3" in {limit.promise for limit in record.as_processor.limits}


def test_every_personal_column_stands_in_the_record():
    record = activities.record()
    for column, mark in inventory.marked_columns():
        for purpose in mark.purposes:
            (activity,) = [one for one in record.activities if one.id == str(purpose)]
            assert mark.category in activity.categories, column
            for processor in PROCESSORS:
                if processor.id in mark.recipients:
                    (transfer,) = [one for one in activity.recipients if one.name == processor.name]
                    assert mark.category in transfer.receives
