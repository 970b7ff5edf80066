"""What usage costs: counts times the price version that was in force, exact in nano-USD, never rounded.

cost(price, input_tokens, cached_tokens, output_tokens, units) -> int   pure; the gateway calls it for every request
prices(tx, at=None) -> dict[str, PriceVersion]                          what each model costs at a moment
coming(tx) -> dict[str, PriceVersion]                                   what each model will cost next, if announced
publish(tx, who, list_price, valid_from) -> PriceVersion                a new version; announces ("price", model)
ensure_first_prices(tx)                                                 at each start; changes nothing that exists
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Protocol
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import distinct_on, insert
from sqlmodel import col, select

from assisters_app.accounts.rights import require
from assisters_app.base import trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.ids import new_id
from assisters_app.billing.plans import FIRST_DAY, FIRST_PRICES, ListPrice
from assisters_app.billing.tables import Price

TOKENS = 1_000_000  # prices are per million tokens; each is a whole number of nano-USD per token


class Staff(Protocol):
    """Whoever changes a price: a member of staff, as the guard resolved them."""

    @property
    def account_id(self) -> UUID:
        """Whose act it is."""

    @property
    def role(self) -> str:
        """One that has the right `models`, or it is refused."""


@dataclass(frozen=True, slots=True)
class PriceVersion:
    """One version of a model's price: nano-USD per single token, each kind, and per `unit`, from `valid_from` on."""

    model: str
    version: int
    valid_from: datetime
    input: int
    cached: int
    output: int
    unit: str = ""  # what else is counted: image, second, character, document; '' for a model sold by tokens alone
    per_unit: int = 0


def cost(price: PriceVersion, input_tokens: int, cached_tokens: int, output_tokens: int, units: int = 0) -> int:
    """Return nano-USD. `cached_tokens` are among `input_tokens`, as OpenAI counts them; `units` are of `price.unit`."""
    fresh = input_tokens - cached_tokens
    by_tokens = fresh * price.input + cached_tokens * price.cached + output_tokens * price.output
    return by_tokens + units * price.per_unit


async def prices(tx: Tx, at: datetime | None = None) -> dict[str, PriceVersion]:
    """Return the price version of each model that is in force at `at` (now when None)."""
    in_force = (
        select(Price)
        .where(col(Price.valid_from) <= (at or now()))
        .ext(distinct_on(col(Price.model)))
        .order_by(col(Price.model), col(Price.valid_from).desc(), col(Price.version).desc())
    )
    return {row.model: _version(row) for row in await tx.exec(in_force)}


async def coming(tx: Tx) -> dict[str, PriceVersion]:
    """Return the version of each model's price that is next to come in force, where one is announced."""
    ahead = (
        select(Price)
        .where(col(Price.valid_from) > now())
        .ext(distinct_on(col(Price.model)))
        .order_by(col(Price.model), col(Price.valid_from), col(Price.version).desc())
    )
    return {row.model: _version(row) for row in await tx.exec(ahead)}


async def versions(tx: Tx) -> dict[tuple[str, int], PriceVersion]:
    """Return every price version there ever was, by model and version: what old lines are derived from."""
    return {(row.model, row.version): _version(row) for row in await tx.exec(select(Price))}


async def publish(tx: Tx, who: Staff, price: ListPrice, valid_from: datetime | None = None) -> PriceVersion:
    """Put a new version of a model's price in force at `valid_from` (now when None), never in the past.

    Raises NotFound when `who` may not, Refused when the date has passed, when a token would not cost whole nano-USD, or
    when the unit has a price and no name.
    """
    require(who, "models")
    begins = valid_from or now()
    if valid_from and valid_from < now():
        raise Refused("A price cannot begin in the past.", code="price_in_the_past", field="valid_from")
    if any(amount < 0 or amount % TOKENS for amount in (price.input, price.cached, price.output)):
        raise Refused("A price is a multiple of $0.001 per million tokens.", code="price_too_fine")
    if price.unit_nano < 0 or (price.unit_nano and not price.unit):
        raise Refused("Say what the unit is that has a price.", code="price_without_unit", field="unit")
    latest = await tx.exec(select(func.max(Price.version)).where(Price.model == price.model))
    row = _row(price, (latest.one() or 0) + 1, begins)
    tx.add(row)
    trail.write(tx, "price:published", account_id=None, actor_id=who.account_id, model=row.model, version=row.version)
    tx.afterwards(partial(valkey.announce, "price", row.model))
    return _version(row)


async def ensure_first_prices(tx: Tx) -> None:
    """Put the first version of each model's price in place where it is missing."""
    rows = [_row(price, 1, FIRST_DAY).model_dump() | {"id": new_id()} for price in FIRST_PRICES]
    await tx.sql(insert(Price).values(rows).on_conflict_do_nothing(index_elements=["model", "version"]))


def _row(price: ListPrice, version: int, valid_from: datetime) -> Price:
    return Price(
        model=price.model,
        version=version,
        valid_from=valid_from,
        input_nano_per_million=price.input,
        cached_nano_per_million=price.cached,
        output_nano_per_million=price.output,
        unit=price.unit,
        unit_nano=price.unit_nano,
    )


def _version(row: Price) -> PriceVersion:
    return PriceVersion(
        row.model,
        row.version,
        row.valid_from,
        row.input_nano_per_million // TOKENS,
        row.cached_nano_per_million // TOKENS,
        row.output_nano_per_million // TOKENS,
        row.unit,
        row.unit_nano,
    )
