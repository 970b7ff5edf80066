"""Corrections (policy 6.2) are made in `accounts.profile` and `accounts.moving`; here we watch that others know.

Here, too, who lost their mailbox gets another one (`accounts.recovering`) once the seven days are over.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import func
from sqlmodel import select

from assisters_app.accounts import corrections, recovering
from assisters_app.accounts.tables import Correction
from assisters_app.base import jobs, mail
from assisters_app.base.db import Tx, transaction
from assisters_app.base.settings import settings
from assisters_app.billing import customers
from assisters_app.keys import keys
from assisters_app.keys.keys import KeyView
from assisters_app.privacy import promises

TOLD_WITHIN = timedelta(days=1)


@jobs.job("accounts.replace-mailboxes", every="4,14,24,34,44,54 * * * *")
async def replace_mailboxes() -> None:
    """Replace each lost mailbox whose waiting time is over, in a transaction of its own, and have Stripe told.

    Its API keys run out: whoever had the account before may hold them, and its owner is told which they are.
    """
    while True:
        async with transaction() as tx:
            moved = await recovering.due(tx)
            if moved is None:
                return
            await customers.tell_stripe(tx, moved.account_id)
            if ending := await keys.run_out(tx, moved.account_id):
                await mail.send(tx, moved.new, _keys_end(ending), account_id=moved.account_id)


def _keys_end(ending: Sequence[KeyView]) -> mail.Message:
    at = max(key.expires_at for key in ending if key.expires_at)
    return mail.Message(
        "Your API keys end in two weeks",
        (
            "Your account has another mailbox now. Whoever had the old one may have had your API keys, too.",
            f"So they end on {at:%-d %B %Y, %H:%M} UTC at the latest. Until then they go on working. They are:",
            *(f"“{key.name}” ({key.prefix}…), {_used(key)}" for key in ending),
            "Revoke at once what you do not know. Make new keys for the programs that are yours.",
        ),
        ("Look at your keys", f"{settings().public_url}/dashboard/api-keys"),
    )


def _used(key: KeyView) -> str:
    return f"last used on {key.last_used_at:%-d %B %Y}" if key.last_used_at else "never used"


@promises.check("6.2", says="Corrections are kept, and the companies that hold the old value are told within a day.")
async def corrections_are_passed_on(tx: Tx) -> str:
    """Look for corrections that somebody has not been told (GDPR Art. 19)."""
    if late := await corrections.waiting_since(tx, TOLD_WITHIN):
        raise promises.Broken(f"{late} corrections have not been passed on for more than a day.")
    count = (await tx.exec(select(func.count()).select_from(Correction))).one()
    return f"{count} corrections are kept, every one older than a day was passed on."
