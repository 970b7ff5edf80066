"""What is sold, as data: plans with their limits, the first prices, and what a top-up adds.

Plans and bonuses follow the public tiers; prices are ours. Prices live in the database from the first start on, where a
new one is a new version (`rating.publish`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from assisters_app.base.money import from_dollars


@dataclass(frozen=True, slots=True)
class Plan:
    """A tier: its limits as counts per minute, and how many calls may be in flight at once.

    An organization is on it once it has paid in `from_paid_cents`.
    """

    id: str
    title: str
    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int
    from_paid_cents: int


@dataclass(frozen=True, slots=True)
class ListPrice:
    """Nano-USD per million input, cached input and output tokens of one model, and per `unit` of what else it sells."""

    model: str
    input: int = 0
    cached: int = 0
    output: int = 0
    unit: str = ""
    unit_nano: int = 0


PLANS = {
    plan.id: plan
    for plan in (
        Plan("free", "Free", 10, 100_000, 10, 0),
        Plan("developer", "Developer", 100, 1_000_000, 100, 1_000),
        Plan("startup", "Startup", 500, 5_000_000, 500, 25_000),
    )
}

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)  # when the first prices began

FIRST_PRICES = (
    *(
        ListPrice(model, from_dollars(input_), from_dollars(cached), from_dollars(output))
        for model, input_, cached, output in (
            ("assisters-chat-v1", "0.10", "0.05", "0.40"),
            ("assisters-vision-v1", "0.20", "0.10", "0.80"),
            ("assisters-embed-v1", "0.02", "0.02", "0"),
            ("assisters-moderation-v1", "0.01", "0.01", "0"),
        )
    ),
    *(
        ListPrice(model, unit=unit, unit_nano=from_dollars(each))
        for model, unit, each in (
            ("assisters-rerank-v1", "document", "0.00001"),
            ("assisters-whisper-v1", "second", "0.0001"),
            ("assisters-tts-v1", "character", "0.00001"),
            ("assisters-image-v1", "image", "0.02"),
        )
    ),
)

USUAL = {  # for how many of a unit its price is told, and what so many are called
    "second": (60, "minute"),
    "character": (1_000_000, "million characters"),
    "document": (1_000, "thousand documents"),
}

TOP_UPS = (1_000, 2_500, 5_000, 10_000, 25_000)  # cents, as offered
LEAST_TOP_UP = 1_000  # cents
SALES_FROM = 50_000  # cents: from here on one talks to sales
BONUSES = ((25_000, 15), (10_000, 10), (5_000, 5))  # cents from which, percent


def told_per(unit: str) -> tuple[int, str]:
    """Return for how many of a unit people are used to hearing its price, and what so many are called."""
    return USUAL.get(unit, (1, unit))


def earned(paid_cents: int) -> Plan:
    """Return the plan of an organization that has paid in so many cents, refunds not counted."""
    return max((plan for plan in PLANS.values() if plan.from_paid_cents <= paid_cents), key=lambda p: p.from_paid_cents)


def after(plan: Plan) -> Plan | None:
    """Return the next plan up, or None."""
    return next((other for other in PLANS.values() if other.from_paid_cents > plan.from_paid_cents), None)


def bonus_cents(amount_cents: int) -> int:
    """Return the credit that a top-up adds for nothing, in whole cents, a fraction of a cent left off."""
    percent = next((percent for least, percent in BONUSES if amount_cents >= least), 0)
    return amount_cents * percent // 100
