"""The models on offer: what they are called, what they can take, what they cost. Data that staff edit.

ensure_first_models(tx)                 at each start; changes nothing that exists
offered(tx) -> dict[str, Offer]         what can be called now, by name
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.dialects.postgresql import insert
from sqlmodel import col, select

from assisters_app.base.db import Tx
from assisters_app.base.settings import UpstreamPlace, settings
from assisters_app.billing import rating
from assisters_app.billing.rating import PriceVersion
from assisters_app.gateway.tables import Model

UNITS = {"images": "image", "transcriptions": "second", "speech": "character", "rerank": "document"}  # of a family

FIRST_MODELS = (
    Model(
        id="assisters-chat-v1",
        family="chat",
        title="Chat",
        upstream_model="assisters-chat-v1",
        context_tokens=128_000,
        max_output_tokens=4_096,
    ),
    Model(
        id="assisters-vision-v1",
        family="chat",
        title="Chat that sees images",
        upstream_model="assisters-vision-v1",
        context_tokens=128_000,
        max_output_tokens=4_096,
    ),
    Model(
        id="assisters-embed-v1",
        family="embeddings",
        title="Embeddings",
        upstream_model="assisters-embed-v1",
        context_tokens=8_192,
        max_output_tokens=0,
        dimensions=1_024,
    ),
    *(
        Model(
            id=name,
            family=family,
            title=title,
            upstream_model=name,
            context_tokens=context_tokens,
            max_output_tokens=0,
        )
        for name, family, title, context_tokens in (
            ("assisters-moderation-v1", "moderations", "Moderation", 32_768),
            ("assisters-rerank-v1", "rerank", "Rerank", 8_192),
            ("assisters-whisper-v1", "transcriptions", "Speech to text", 0),
            ("assisters-tts-v1", "speech", "Text to speech", 0),
            ("assisters-image-v1", "images", "Images", 0),
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Offer:
    """A model that can be called. `price` is None for one that has no price yet.

    `upstream` is the name of who answers. Tokens are 0 for a family that is not counted in tokens.
    """

    id: str
    family: str
    title: str
    upstream_model: str
    context_tokens: int
    max_output_tokens: int
    dimensions: int | None
    created_at: datetime
    price: PriceVersion | None
    upstream: str = ""

    @property
    def place(self) -> UpstreamPlace | None:
        """Return who answers for it, None when there is nobody of that name."""
        return settings().upstreams.get(self.upstream)

    @property
    def unit(self) -> str:
        """Return what the family counts besides tokens, '' for nothing."""
        return UNITS.get(self.family, "")

    @property
    def for_sale(self) -> bool:
        """Say whether live keys can call it: it has a price, and that for the unit which its family counts."""
        return self.price is not None and self.price.unit in ("", self.unit)


async def ensure_first_models(tx: Tx) -> None:
    """Put the first models in place where they are missing."""
    rows = [model.model_dump() for model in FIRST_MODELS]
    await (await tx.connection()).execute(insert(Model).on_conflict_do_nothing(), rows)


async def offered(tx: Tx) -> dict[str, Offer]:
    """Return every model that is not retired, with the price in force."""
    prices = await rating.prices(tx)
    rows = await tx.exec(select(Model).where(col(Model.retired_at).is_(None)).order_by(col(Model.id)))
    return {
        row.id: Offer(
            row.id,
            row.family,
            row.title,
            row.upstream_model,
            row.context_tokens,
            row.max_output_tokens,
            row.dimensions,
            row.created_at,
            prices.get(row.id),
            row.upstream,
        )
        for row in rows
    }
