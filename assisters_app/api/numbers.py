"""Whole numbers that do not survive being read: beyond 64 bits they would reach an upstream rounded, as other numbers.

require_whole(sent)                                   raises Refused (400); `sent` is known to be JSON
"""

import re

from assisters_app.base.errors import Refused

SMALLEST, LARGEST = -(2**63), 2**64 - 1
DIGITS = 19  # as many has the first number that does not fit
AS_NINES = bytes(ord("9") if byte in b"0123456789" else 0 for byte in range(256))
TEXT = re.compile(rb'"(?:[^"\\]++|\\.)*+"', re.DOTALL)
WHOLE = re.compile(rb"(?<![0-9.eE+])(?<![eE]-)-?[0-9]{19,}+(?![.eE])")


def require_whole(sent: bytes) -> None:
    """Raise Refused (400) for a JSON text with a whole number that does not fit into 64 bits.

    A run of digits is looked for first, which takes a hundredth of what parsing takes: hardly any request has one.
    """
    if b"9" * DIGITS not in sent.translate(AS_NINES):
        return
    for found in WHOLE.finditer(TEXT.sub(b'""', sent)):
        digits = found.group()
        if len(digits) > DIGITS + 2 or not SMALLEST <= int(digits) <= LARGEST:
            raise Refused(
                f"A whole number in the body of your request does not fit into 64 bits: {digits[:32].decode()}. "
                "Send it as a text, or as a smaller number.",
                code="number_too_large",
            )
