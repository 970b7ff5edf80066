"""Before an old secret dies its owner is told, once."""

import asyncio
from datetime import timedelta

from cast import ADA
from customers import customer, key_of
from sqlmodel import select

from assisters_app.accounts.tables import Account
from assisters_app.base import clock, crypto
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail
from assisters_app.keys import keys, warning


async def mails():
    async with transaction() as tx:
        return [(mail.to_email, mail.subject, crypto.unseal("mail", mail.sealed)) for mail in await read(tx)]


async def read(tx):
    return (await tx.exec(select(OutgoingMail))).all()


async def rotated(grace):
    ada = await customer()
    _, handle, _ = await key_of(ada, name="Server")
    async with transaction() as tx:
        await keys.rotate(tx, ada, handle, grace)
    return ada, handle


async def test_a_day_before_an_old_secret_ends_its_owner_is_told_once(house):
    at = now().replace(microsecond=0)
    with clock.frozen(at) as move:
        await rotated(timedelta(days=7))
        move(at + timedelta(days=6) - timedelta(seconds=1))
        await warning.warn()
        assert await mails() == []
        move(at + timedelta(days=6))
        await asyncio.gather(*(warning.warn() for _ in range(3)))
        await warning.warn()
        [(to, subject, text)] = await mails()
    ends = f"{at + timedelta(days=7):%Y-%m-%d %H:%M} UTC"
    assert (to, subject) == (ADA, f"The old secret of “Server” stops working at {ends}")
    assert "/dashboard/api-keys" in text


async def test_another_rotation_is_warned_of_anew(house):
    ada, handle = await rotated(timedelta(hours=1))
    await warning.warn()
    async with transaction() as tx:
        await keys.rotate(tx, ada, handle, timedelta(hours=2))
    await warning.warn()
    assert len(await mails()) == 2


async def test_nobody_is_told_of_a_secret_that_has_ended_or_whose_key_is_revoked(house):
    ada, handle = await rotated(timedelta(hours=1))
    with clock.frozen(now() + timedelta(hours=1)):
        await warning.warn()
    async with transaction() as tx:
        await keys.revoke(tx, ada, handle)
    await warning.warn()
    await key_of(ada)
    await warning.warn()
    assert await mails() == []


async def test_a_suspended_account_gets_no_such_mail(house):
    ada, _ = await rotated(timedelta(hours=1))
    async with transaction() as tx:
        (await tx.get_one(Account, ada.account_id)).suspended_at = now()
    await warning.warn()
    assert await mails() == []
