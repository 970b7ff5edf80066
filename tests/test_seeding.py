"""The pretend people's thirteen months are kept in the same books as real ones."""

import pytest
from argon2 import PasswordHasher, profiles
from sqlmodel import func, select

from assisters_app import doctor, seeding
from assisters_app.accounts import passwords
from assisters_app.accounts.tables import Organization
from assisters_app.base.db import transaction
from assisters_app.base.errors import Refused
from assisters_app.billing import months, proofs, receipts
from assisters_app.usage.tables import UsageEvent, UsageTally


async def test_a_seeded_house_has_thirteen_months_of_usage_and_balanced_books(house, monkeypatch):
    monkeypatch.setattr(passwords, "hasher", PasswordHasher.from_parameters(profiles.CHEAPEST))
    monkeypatch.setattr(seeding, "DAYS", 45)
    await seeding.seed()
    async with transaction() as tx:
        for check in doctor.INVARIANTS:
            assert [found.sentence for found in await check(tx) if not found.holds] == []
        oldest, newest = (await tx.exec(select(func.min(UsageTally.bucket), func.max(UsageTally.bucket)))).one()
        assert (newest - oldest).days >= 43
        oldest_event = (await tx.exec(select(func.min(UsageEvent.at)))).one()
        assert (newest - oldest_event).days <= 31
        ada = (await tx.exec(select(Organization.id).where(Organization.name == "Analytical Engines"))).one()
    for month in (months.of(newest), months.of(oldest_event)):
        file = b"".join([part async for part in receipts.month(ada, month)])
        assert proofs.check_month(file).receipts > 100
    with pytest.raises(Refused, match="seeded before"):
        await seeding.seed()
