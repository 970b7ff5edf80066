"""The models as staff edit them: what is offered, who answers for it, and what it costs from when on.

listed(tx, staff) -> tuple[Listed, ...]     every model, the retired ones too, with each version of its price
add(tx, staff, terms), change(tx, staff, terms)
retire(tx, staff, id), offer_again(tx, staff, id)
price(tx, staff, id, amounts, begins)       a new version of a price; never an edit of one

Each act takes a recent proof of who it is (Refused: reauthenticate), is in the trail, and is heard by every process at
once (`known`). A model is never deleted: old lines name it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlmodel import col, select

from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.base import money, trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.settings import settings
from assisters_app.billing import plans, rating
from assisters_app.billing.plans import ListPrice
from assisters_app.billing.rating import PriceVersion
from assisters_app.gateway.catalog import UNITS
from assisters_app.gateway.tables import Model

Family = Literal["chat", "embeddings", "moderations", "rerank", "transcriptions", "speech", "images"]
COUNTED = ("chat", "embeddings", "moderations", "rerank")  # families of which a request has a largest number of tokens

MOST = money.from_dollars("100000")  # what a price is told for costs no more than that

_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_GROUPED = re.compile(r"[0-9]{1,3}(,[0-9]{3})+(\.[0-9]*)?")  # the only commas that are left out: "0,10" is not ten
_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]
_Tokens = Annotated[int, Field(ge=0, le=100_000_000)]


class Terms(BaseModel):
    """What staff say of a model. Tokens are the most of one request, and the most of one answer (chat alone)."""

    model_config = ConfigDict(extra="ignore")

    id: str
    family: Family
    title: _Text
    upstream: str = ""
    upstream_model: _Text
    context_tokens: _Tokens = 0
    max_output_tokens: _Tokens = 0
    dimensions: Annotated[int, Field(ge=1, le=100_000)] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A model and every version of its price, the newest first; `in_force` is the number of today's, 0 for none."""

    model: Model
    prices: tuple[PriceVersion, ...]
    in_force: int


async def listed(tx: Tx, staff: Person) -> tuple[Listed, ...]:
    """Return every model, those on offer first."""
    require(staff, "models")
    rows = await tx.exec(select(Model).order_by(col(Model.retired_at).is_not(None), col(Model.id)))
    today = await rating.prices(tx)
    ever = sorted((await rating.versions(tx)).values(), key=lambda price: (price.valid_from, price.version))
    return tuple(
        Listed(
            row,
            tuple(price for price in reversed(ever) if price.model == row.id),
            today[row.id].version if row.id in today else 0,
        )
        for row in rows
    )


async def add(tx: Tx, staff: Person, terms: Terms) -> None:
    """Offer a new model. Live keys can call it once it has a price.

    Raises Refused: model_name, model_exists, unknown_upstream, tokens_missing.
    """
    require(staff, "models")
    require_recent(staff)
    _check(terms)
    if not _ID.fullmatch(terms.id):
        raise Refused(
            "A model's name has small letters, digits, dots and hyphens, at most 64.", code="model_name", field="id"
        )
    if await tx.get(Model, terms.id) is not None:
        raise Refused(f"There is a model called {terms.id} already.", code="model_exists", field="id")
    tx.add(Model(**terms.model_dump()))
    _tell(tx, staff, "model:added", terms.id, terms.model_dump(exclude={"id"}))


async def change(tx: Tx, staff: Person, terms: Terms) -> None:
    """Change what is said of a model; its name and what it does stay, since prices and old lines rest on them.

    Raises NotFound; Refused: unknown_upstream, tokens_missing.
    """
    row = await _named(tx, staff, terms.id)
    _check(terms.model_copy(update={"family": row.family}))
    given = terms.model_dump(exclude={"id", "family"})
    changed = {name: value for name, value in given.items() if getattr(row, name) != value}
    if changed:
        row.sqlmodel_update(changed)
        tx.add(row)
        _tell(tx, staff, "model:changed", row.id, changed)


async def retire(tx: Tx, staff: Person, model_id: str) -> None:
    """Take a model off the list: from the next second on calls of it get 404. What was called is billed as ever."""
    row = await _named(tx, staff, model_id)
    if row.retired_at is None:
        row.retired_at = now()
        tx.add(row)
        _tell(tx, staff, "model:retired", row.id)


async def offer_again(tx: Tx, staff: Person, model_id: str) -> None:
    """Put a model that was retired back on the list, at the price in force."""
    row = await _named(tx, staff, model_id)
    if row.retired_at is not None:
        row.retired_at = None
        tx.add(row)
        _tell(tx, staff, "model:offered_again", row.id)


async def price(tx: Tx, staff: Person, model_id: str, amounts: Mapping[str, str], begins: datetime | None) -> None:
    """Put a new version of a model's price in force at `begins` (now when None).

    `amounts` are dollars as typed: `input`, `cached`, `output` per million tokens, or `unit` for as many as
    `plans.told_per` says. Which of them count depends on what the model does; the others are left aside.

    Raises NotFound; Refused: price_unreadable, price_too_fine, price_in_the_past.
    """
    row = await _named(tx, staff, model_id)
    await rating.publish(tx, staff, _list_price(row, amounts), begins)


def upstreams() -> tuple[str, ...]:
    """Return the names of who can answer, "" being the usual one."""
    return tuple(sorted({"", *settings().upstreams}))


async def _named(tx: Tx, staff: Person, model_id: str) -> Model:
    require(staff, "models")
    require_recent(staff)
    row = await tx.get(Model, model_id, with_for_update=True)
    if row is None:
        raise NotFound("model")
    return row


def _check(terms: Terms) -> None:
    if terms.upstream not in upstreams():
        raise Refused("The settings name no such upstream.", code="unknown_upstream", field="upstream")
    if terms.family in COUNTED and not terms.context_tokens:
        raise Refused("Say how many tokens a request may have.", code="tokens_missing", field="context_tokens")
    if terms.family == "chat" and not 0 < terms.max_output_tokens <= terms.context_tokens:
        raise Refused(
            "Say how many tokens an answer may have: at least one, and no more than a request.",
            code="tokens_missing",
            field="max_output_tokens",
        )


def _list_price(row: Model, amounts: Mapping[str, str]) -> ListPrice:
    unit = UNITS.get(row.family, "")
    if unit:
        many, _ = plans.told_per(unit)
        each, rest = divmod(_nano(amounts, "unit"), many)
        if rest:
            raise Refused(f"One {unit} would cost a fraction of a billionth of a dollar.", code="price_too_fine")
        return ListPrice(row.id, unit=unit, unit_nano=each)
    if row.family == "chat":
        return ListPrice(row.id, _nano(amounts, "input"), _nano(amounts, "cached"), _nano(amounts, "output"))
    asked = _nano(amounts, "input")  # nothing is said in answer, and nothing is cached
    return ListPrice(row.id, asked, asked, 0)


def _nano(amounts: Mapping[str, str], name: str) -> int:
    """Return nano-USD of an amount as typed, such as "0.10" or "$1,000"."""
    typed = amounts.get(name, "").strip().removeprefix("$")
    if _GROUPED.fullmatch(typed):
        typed = typed.replace(",", "")
    try:
        nano = money.from_dollars(typed)
    except (ArithmeticError, ValueError):
        nano = -1
    if not 0 <= nano <= MOST:
        raise Refused("Write each price in dollars, such as 0.10.", code="price_unreadable", field=name)
    return nano


def _tell(tx: Tx, staff: Person, act: str, model_id: str, said: Mapping[str, str | int | None] | None = None) -> None:
    details = {"model": model_id, **(said or {})}
    trail.write(tx, act, account_id=None, actor_id=staff.account_id, ip="", **details)
    tx.afterwards(partial(valkey.announce, "model", model_id))
