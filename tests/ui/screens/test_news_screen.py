"""Grace writes news, reads it in her own mailbox first, and sends it to who asked for it."""

import pytest
from cast import GRACE
from sqlmodel import select, update

from assisters_app.accounts.tables import Account
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail
from assisters_app.privacy.choices import consents
from assisters_app.privacy.choices.tables import News
from assisters_app.ui.staff.news import NewsState

WRITTEN = {"subject": "Faster streams", "text": "First tokens come sooner."}


async def waiting(kind, column):
    async with transaction() as tx:
        return (await tx.exec(select(column).select_from(kind))).all()


async def test_grace_reads_her_own_copy_before_anybody_gets_one(grace, tab):
    page = tab(grace)
    shown = (await page.send(NewsState.review, sent=WRITTEN)).of(NewsState)
    assert shown["asking"] is True
    assert await waiting(OutgoingMail, OutgoingMail.to_email) == [GRACE]
    assert await waiting(News, News.subject) == []
    shown = await page.send(NewsState.send)
    assert shown.said() == "On its way."
    assert [(row.subject, row.copies, row.done) for row in shown.of(NewsState)["rows"]] == [("Faster streams", 0, "")]


async def test_the_page_says_how_many_asked_for_news(ada, grace, tab):
    async with transaction() as tx:
        await tx.exec(update(Account).values(verified_at=now()))
        await consents.choose(tx, ada.person, "marketing", given=True)
    assert (await tab(grace).send(NewsState.load)).of(NewsState)["reach"] == 1


@pytest.mark.parametrize("sent", [{}, {"subject": "x" * 151, "text": "y"}, {"subject": "x", "text": " "}])
async def test_what_cannot_be_sent_is_said_beside_the_form(grace, tab, sent):
    shown = (await tab(grace).send(NewsState.review, sent=sent)).of(NewsState)
    assert shown["problem"]
    assert not shown.get("asking")
    assert await waiting(OutgoingMail, OutgoingMail.to_email) == []
