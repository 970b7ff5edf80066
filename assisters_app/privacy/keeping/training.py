"""The one way from what customers say to the training of models (policy 1.10), and it is closed unless they open it.

    training_export(tx)      yields what may be used: of accounts whose consent is in force, said after it was given;
                             raises Refused in a restored database until whoever was erased since is erased again

Whatever trains a model asks here, every time, and keeps nothing between two runs: who has withdrawn, or was erased, is
in no run after that. Only content that is kept at all can be used, which is off unless a key turns it on, and lasts a
day. Consent is asked of `choices.consents`: never of continued use, nor of an older version of the words.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from sqlmodel import col, select

from assisters_app.accounts.tables import Organization
from assisters_app.base.db import Tx
from assisters_app.gateway.content import contents
from assisters_app.privacy.choices import consents
from assisters_app.privacy.choices.tables import Consent
from assisters_app.privacy.erasing import stamp

PURPOSE = "training"


@dataclass(frozen=True, slots=True)
class Sample:
    """What was said in one call. It names nobody but whom its words name."""

    sent: str
    got: str


async def training_export(tx: Tx) -> AsyncIterator[Sample]:
    """Yield what may be used to train models now."""
    await stamp.require_open(tx)
    willing = (
        select(Organization.id, Organization.owner_id)
        .join(Consent, col(Consent.account_id) == Organization.owner_id)
        .where(consents.in_force(PURPOSE))
        .distinct()
    )
    for organization_id, owner_id in (await tx.exec(willing)).all():
        since = await consents.given_since(tx, owner_id, PURPOSE)
        if since is None:
            continue
        async for said in contents.since(tx, organization_id, since):
            yield Sample(said.sent.text, said.got.text)
