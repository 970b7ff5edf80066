"""What the forms of the keys page send, read at the door; and what they are filled with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from pydantic import ValidationError

from assisters_app.base.clock import now
from assisters_app.base.money import dollars
from assisters_app.gateway.catalog import Offer
from assisters_app.keys.keys import KeyView, NewKey
from assisters_app.keys.terms import SCOPES, SPANS, USUAL_SCOPES, Terms, refusal
from assisters_app.ui.amounts import typed

LASTS = {"": None, "30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}
COUNTS = ("requests_per_minute", "tokens_per_minute", "concurrency")
BUDGETS = tuple(f"budget_{span}" for span in SPANS)
TEXTS = ("networks", "domains")


@dataclass(frozen=True, slots=True)
class Choice:
    """A box to tick."""

    value: str
    text: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class Filled:
    """What the form of a key's terms begins with, "" where there is no limit; and which parts of it are unfolded."""

    scopes: list[Choice]
    models: list[Choice]
    requests_per_minute: str
    tokens_per_minute: str
    concurrency: str
    budget_day: str
    budget_week: str
    budget_month: str
    networks: str
    domains: str
    budgets_shown: bool
    limits_shown: bool
    models_shown: bool
    places_shown: bool

    @classmethod
    def of(cls, key: KeyView | None, offers: Iterable[Offer]) -> Self:
        """Return the terms of a key, or those of a new one."""
        terms = key.terms if key else Terms()
        on_offer = {offer.id: offer.title for offer in offers}
        known = {**on_offer, **{name: "no longer on offer" for name in terms.models if name not in on_offer}}
        chosen = terms.scopes if key else USUAL_SCOPES
        return cls(
            scopes=[Choice(scope, text, scope in chosen) for scope, text in SCOPES.items()],
            models=[Choice(name, title, name in terms.models) for name, title in known.items()],
            networks="\n".join(terms.networks),
            domains="\n".join(terms.domains),
            budgets_shown=bool(terms.budgets),
            limits_shown=any(getattr(terms, name) for name in COUNTS),
            models_shown=bool(terms.models),
            places_shown=bool(terms.networks or terms.domains),
            **{name: str(getattr(terms, name) or "") for name in COUNTS},
            **{name: _amount(getattr(terms, name)) for name in BUDGETS},
        )


def new_key(sent: Mapping[str, Any]) -> NewKey:
    """Read the form of a new key; raise Refused with the field at fault."""
    lasts = LASTS.get(str(sent.get("lasts", "")))
    try:
        return NewKey.model_validate(
            {
                **_terms(sent),
                "name": sent.get("name", ""),
                "mode": sent.get("mode", "live"),
                "expires_at": now() + lasts if lasts else None,
            }
        )
    except ValidationError as problem:
        raise refusal(problem) from None


def terms(sent: Mapping[str, Any]) -> Terms:
    """Read the terms that a key is to have from now on; raise Refused with the field at fault."""
    try:
        return Terms.model_validate(_terms(sent))
    except ValidationError as problem:
        raise refusal(problem) from None


def _terms(sent: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "scopes": _ticked(sent, "scope_"),
        "models": _ticked(sent, "model_"),
        **{name: str(sent.get(name) or "") for name in (*COUNTS, *TEXTS)},
        **{name: typed(str(sent.get(name) or ""), name) for name in BUDGETS},
    }


def _ticked(sent: Mapping[str, Any], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name, value in sent.items() if name.startswith(prefix) and value]


def _amount(stored: int | None) -> str:
    return dollars(stored).removeprefix("$").replace(",", "") if stored else ""
