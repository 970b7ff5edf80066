"""Numbers of payment cards: recognised wherever one turns up, and taken out, so that none is kept (policy 1.3).

Nobody is ever asked for one: cards are entered on Stripe's own pages. Somebody may still type one into a field for
something else, and a program may send one in a header.
"""

import re

LIKELY = re.compile(r"(?<![0-9A-Za-z])(?:[0-9][ -]?){12,18}[0-9](?![0-9A-Za-z])")  # ISO/IEC 7812: up to 19 digits
BEGINNINGS = ("34", "35", "36", "37", "38", "39", "30", "4", "51", "52", "53", "54", "55", "6", "2")
TAKEN_OUT = "[card number]"


def taken_out(text: str) -> str:
    """Return `text` without the numbers of cards in it."""
    return LIKELY.sub(lambda found: TAKEN_OUT if _is_card(found[0]) else found[0], text)


def _is_card(written: str) -> bool:
    """Say whether the digits are those of a card: by how they begin, and by the check digit (Luhn)."""
    digits = [int(digit) for digit in written if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return written.startswith(BEGINNINGS) and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
