"""Money is exact until the invoice; time is held still for whoever asks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assisters_app.base import clock, money


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_whole_cents_survive_the_invoice(cents):
    assert money.invoice_cents(money.from_cents(cents)) == cents


@pytest.mark.parametrize(
    ("nano", "cents"), [(5_000_000, 0), (15_000_000, 2), (5_000_001, 1), (-5_000_001, -1), (14_999_999, 1)]
)
def test_half_a_cent_goes_to_the_even_neighbour(nano, cents):
    assert money.invoice_cents(nano) == cents


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "$0.00"), (1_234_500_000_000, "$1,234.50"), (1, "$0.000000001"), (-2_500_000_000, "-$2.50")],
)
def test_money_is_written_for_people(nano, text):
    assert money.dollars(nano) == text


def test_an_amount_finer_than_a_nano_dollar_is_refused():
    assert money.from_dollars("0.10") == 100_000_000
    with pytest.raises(ValueError, match="finer"):
        money.from_dollars("0.0000000001")


def test_time_stands_still_and_moves_when_told():
    start = datetime(2026, 3, 1, tzinfo=UTC)
    with clock.frozen(start) as move:
        assert clock.now() == start
        move(start + timedelta(days=1))
        assert clock.now() == start + timedelta(days=1)
    assert clock.now() > start + timedelta(days=1)
