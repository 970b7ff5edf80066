"""What waits to be mailed, opened."""

import json

from sqlmodel import select

from assisters_app.base import crypto
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail


async def waiting_mail(to):
    """Return the mails that wait for `to`, oldest first, as they are drawn: `subject`, `paragraphs`, `action`."""
    async with transaction() as tx:
        found = await tx.exec(select(OutgoingMail).where(OutgoingMail.to_email == to).order_by(OutgoingMail.id))
        return [json.loads(crypto.unseal("mail", one.sealed)) for one in found]
