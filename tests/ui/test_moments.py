"""What Grace picks or types as a day or a moment is what is meant, or is refused in the field that holds it."""

from datetime import UTC, date, datetime

import pytest

from assisters_app.base.errors import Refused
from assisters_app.ui.moments import day_picked, moment_picked
from assisters_app.usage.periods import between, zone_named


@pytest.mark.parametrize("typed", ["", "yesterday", "2026-02-30", "0001-01-01", "9999-12-31"])
def test_what_is_no_day_that_anybody_means_is_refused_in_its_field(typed):
    with pytest.raises(Refused, match="Choose a day") as refused:
        day_picked({"first": typed}, "first", "Choose a day.")
    assert refused.value.field == "first"


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "UTC", "Pacific/Pago_Pago"])
@pytest.mark.parametrize("typed", ["1900-01-01", "8999-12-31"])
def test_each_day_that_can_be_picked_has_a_beginning_and_an_end_in_every_zone(typed, zone):
    picked = day_picked({"first": typed}, "first")
    assert picked == date.fromisoformat(typed)
    between(picked, picked, zone_named(zone))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("", None),
        (" 2026-11-24 10:00 ", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24T10:00Z", datetime(2026, 11, 24, 10, tzinfo=UTC)),
        ("2026-11-24 10:00+01:00", datetime(2026, 11, 24, 9, tzinfo=UTC)),
        ("2026-11-24T22:00-05:00", datetime(2026, 11, 25, 3, tzinfo=UTC)),
    ],
)
def test_a_moment_is_utc_unless_it_says_how_far_from_that_it_is(typed, meant):
    found = moment_picked({"at": typed}, "at")
    assert found == meant
    assert found is None or found.tzinfo is UTC


@pytest.mark.parametrize("typed", ["now", "2026-11-24 25:00", "9999-12-31T23:59-01:00", "0001-01-01T00:00+01:00"])
def test_what_is_no_moment_is_refused_in_its_field(typed):
    with pytest.raises(Refused, match="no date and time") as refused:
        moment_picked({"at": typed}, "at")
    assert refused.value.field == "at"
