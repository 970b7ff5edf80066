"""GET /v1/models and /v1/models/{id}: what can be called. Not billed."""

from typing import Any

import orjson

from assisters_app.api.exchange import Exchange
from assisters_app.base.errors import Refused
from assisters_app.billing.rating import PriceVersion
from assisters_app.gateway.catalog import Offer

PREFIX = "/v1/models/"


async def listed(exchange: Exchange) -> None:
    """Send every model that the key may call."""
    grant = await exchange.enter(None)
    data = [_model(offer) for offer in exchange.gate.known.offers.values() if grant.may_call(offer.id)]
    await exchange.reply(200, orjson.dumps({"object": "list", "data": data}))


async def one(exchange: Exchange) -> None:
    """Send one model; raise Refused (404) when there is none of that name, 403 when the key may not call it."""
    grant = await exchange.enter(None)
    name = str(exchange.scope["path"]).removeprefix(PREFIX)
    offer = exchange.gate.known.offers.get(name)
    if offer is None:
        raise Refused(f"The model `{name[:64]}` does not exist.", code="model_not_found", status=404, field="model")
    grant.require_model(offer.id)
    await exchange.reply(200, orjson.dumps(_model(offer)))


def _model(offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.id,
        "object": "model",
        "created": int(offer.created_at.timestamp()),
        "owned_by": "assisters",
        "title": offer.title,
        "family": offer.family,
        "context_tokens": offer.context_tokens,
        "max_output_tokens": offer.max_output_tokens,
        "dimensions": offer.dimensions,
        "unit": offer.unit or "token",
        "pricing": _pricing(offer.price),
    }


def _pricing(price: PriceVersion | None) -> dict[str, Any] | None:
    """Return what one token of each kind and one unit cost, in whole nano-USD; None for what cannot be bought yet."""
    if price is None:
        return None
    return {
        "version": price.version,
        "input_token_nano_usd": price.input,
        "cached_input_token_nano_usd": price.cached,
        "output_token_nano_usd": price.output,
        "unit_nano_usd": price.per_unit,
    }
