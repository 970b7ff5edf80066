"""What is sold, as data: plans with their limits, the first prices, and what a top-up adds.

Plans and bonuses follow the public tiers; prices are ours. Prices live in the database from the first start on, where a
new one is a new version (`rating.publish`).
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from assisters_app.base.money import from_dollars


@dataclass(frozen=True, slots=True)
class Plan:
    """A tier. Limits are counts per minute; `monthly_tokens` is the tier's token limit per calendar month (UTC)."""

    id: str
    title: str
    requests_per_minute: int
    tokens_per_minute: int
    monthly_tokens: int


@dataclass(frozen=True, slots=True)
class ListPrice:
    """Nano-USD per million input, cached input and output tokens of one model."""

    model: str
    input: int
    cached: int
    output: int


PLANS = {
    plan.id: plan
    for plan in (
        Plan("free", "Free", 10, 100_000, 100_000),
        Plan("developer", "Developer", 100, 1_000_000, 5_000_000),
        Plan("startup", "Startup", 500, 5_000_000, 25_000_000),
    )
}

FIRST_DAY = datetime(2025, 1, 1, tzinfo=UTC)  # when the first prices began

FIRST_PRICES = tuple(
    ListPrice(model, from_dollars(input_), from_dollars(cached), from_dollars(output))
    for model, input_, cached, output in (
        ("assisters-chat-v1", "0.10", "0.05", "0.40"),
        ("assisters-vision-v1", "0.20", "0.10", "0.80"),
        ("assisters-embed-v1", "0.02", "0.02", "0"),
        ("assisters-rerank-v1", "0.02", "0.02", "0"),
        ("assisters-moderation-v1", "0", "0", "0"),
        ("assisters-whisper-v1", "3.00", "3.00", "5.00"),
        ("assisters-tts-v1", "0.60", "0.60", "12.00"),
        ("assisters-image-v1", "5.00", "1.25", "40.00"),
    )
)

TOP_UPS = (1_000, 2_500, 5_000, 10_000, 25_000)  # cents, as offered
LEAST_TOP_UP = 1_000  # cents
SALES_FROM = 50_000  # cents: from here on one talks to sales
BONUSES = ((25_000, 15), (10_000, 10), (5_000, 5))  # cents from which, percent


def bonus_cents(amount_cents: int) -> int:
    """Return the credit that a top-up adds for nothing, in whole cents, a fraction of a cent left off."""
    percent = next((percent for least, percent in BONUSES if amount_cents >= least), 0)
    return amount_cents * percent // 100
