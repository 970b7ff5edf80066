"""Which whole numbers Ada's request may hold: as many as fit, and nothing that only looks like one that does not."""

import json

import pytest

from assisters_app.api.numbers import LARGEST, SMALLEST, require_whole
from assisters_app.base.errors import Refused

EDGES = [0, 10**17, 10**18, 10**19, 10**20, 10**40, 2**63, LARGEST, -LARGEST, SMALLEST, 18 * 10**18, 19 * 10**18]
NUMBERS = sorted({edge + by for edge in EDGES for by in (-1, 0, 1)})
OTHERS = [  # no whole number, though it has the digits of one
    "%d.0",
    "%d.5e+3",
    "%de2",
    "%de-2",
    '"%d"',
    '"\\u0031%d"',
    '"\\ue123%d"',
    '"\\\\%d"',
    '"\\"%d\\""',
    '"a-%d"',
    '{"%d": 1}',
]


def refuses(text):
    """Return the number that a JSON text is refused for, "" when it is not."""
    json.loads(text)
    try:
        require_whole(text.encode())
    except Refused as refused:
        return str(refused).partition(": ")[2].partition(".")[0]
    return ""


@pytest.mark.parametrize("around", ["%s", "[%s]", '{"é": [1, %s, "x"]}', '{"a":%s,"b":"99999999999999999999999"}'])
def test_a_whole_number_is_refused_exactly_where_it_does_not_fit(around):
    for number in NUMBERS:
        fits = SMALLEST <= number <= LARGEST
        assert refuses(around % number) == ("" if fits else str(number)[:32])


@pytest.mark.parametrize("form", OTHERS)
def test_digits_of_anything_else_are_no_whole_number(form):
    for number in NUMBERS:
        assert refuses(f"[{form % number}]") == ""


def test_fractions_and_exponents_are_as_long_as_they_like():
    digits = "9" * 40
    for number in (f"0.{digits}", f"1.5e-{digits}", f"1E+{digits}", f"-1e{digits}"):
        assert refuses(f"[{number}, 1]") == ""
