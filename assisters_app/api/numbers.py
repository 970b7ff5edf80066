"""Whole numbers that do not survive being read: beyond 64 bits they would reach an upstream rounded, as other numbers.

require_whole(sent)                                   raises Refused (400); `sent` is known to be JSON

Whoever has a key has a say in how long this takes, while everybody else waits: nothing is done in Python, or kept, for
each of the millions of texts and numbers that a body may hold.
"""

import re

import orjson

from assisters_app.base.errors import Refused

SMALLEST, LARGEST = -(2**63), 2**64 - 1
DIGITS = 19  # as many has the first number that does not fit
AS_NINES = bytes(ord("9") if byte in b"0123456789" else 0 for byte in range(256))


def _beyond(limit: str) -> str:
    """Return a pattern of what follows the first digit of a whole number that is larger than `limit`."""
    rising = [
        f"(?<={limit[0]}){limit[1:at]}[{int(digit) + 1}-9][0-9]{{{len(limit) - at - 1}}}"
        for at, digit in enumerate(limit)
        if at and digit != "9"
    ]
    higher = [f"(?<=[{int(limit[0]) + 1}-9])[0-9]{{{len(limit) - 1}}}"] if limit[0] != "9" else []
    return "|".join([f"[0-9]{{{len(limit)},}}+", *higher, *rising])


TOO_LARGE = re.compile(  # begins with one digit: what does is found many times as quickly
    f"[0-9](?<![0-9.eE+].)(?=[0-9]{{{DIGITS - 1}}})(?:(?<!-.)(?:{_beyond(str(LARGEST))})|"
    f"(?<=-.)(?<![eE]-.)(?:{_beyond(str(-SMALLEST))}))(?![0-9.eE])".encode(),
    re.DOTALL,
)


def require_whole(sent: bytes) -> None:
    """Raise Refused (400) for a JSON text with a whole number that does not fit into 64 bits.

    A run of digits is looked for first, which takes less than parsing takes: hardly any request has one. Digits in a
    text are no number, and to tell the two is the parser's work: a letter behind them spoils a number, but no text.
    """
    if b"9" * DIGITS not in sent.translate(AS_NINES):
        return
    spoiled, found = TOO_LARGE.subn(rb"\g<0>x", sent)
    if not found:
        return
    try:
        orjson.loads(spoiled)
    except orjson.JSONDecodeError as problem:
        number = re.findall(r"-?[0-9]+", problem.doc[max(0, problem.pos - 400) : problem.pos])[-1]
        raise Refused(
            f"A whole number in the body of your request does not fit into 64 bits: {number[:32]}. "
            "Send it as a text, or as a smaller number.",
            code="number_too_large",
        ) from None
