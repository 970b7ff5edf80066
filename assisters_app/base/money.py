"""Money is an integer count of nano-USD (10⁻⁹ dollars) everywhere; it is rounded once, at the invoice."""

from decimal import ROUND_HALF_EVEN, Decimal

NANO = 1_000_000_000
NANO_PER_CENT = NANO // 100


def from_cents(cents: int) -> int:
    """Return nano-USD for whole US cents."""
    return cents * NANO_PER_CENT


def from_dollars(text: str | Decimal) -> int:
    """Return nano-USD for a decimal amount of dollars; raise ValueError when it is finer than a nano-dollar."""
    nano = Decimal(text) * NANO
    if nano != nano.to_integral_value():
        raise ValueError(f"{text} dollars is finer than one nano-dollar.")
    return int(nano)


def invoice_cents(nano: int) -> int:
    """Round an amount of nano-USD to whole cents, half to even: the only rounding of money in the house."""
    return int((Decimal(nano) / NANO_PER_CENT).quantize(Decimal(1), rounding=ROUND_HALF_EVEN))


def exact(nano: int) -> str:
    """Write nano-USD for a program: `-12.345678900`, always with nine decimals."""
    sign = "-" if nano < 0 else ""
    return f"{sign}{abs(nano) // NANO}.{abs(nano) % NANO:09d}"


def dollars(nano: int, least: int = 2) -> str:
    """Write nano-USD for a person: `$1,234.50`, with more digits (up to nine) only where they are not zero."""
    sign, whole, rest = "-" if nano < 0 else "", abs(nano) // NANO, abs(nano) % NANO
    digits = f"{rest:09d}".rstrip("0").ljust(least, "0")
    return f"{sign}${whole:,}.{digits}"
