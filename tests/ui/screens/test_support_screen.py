"""Ada asks in the dashboard, Grace answers at the desk; what went wrong is said beside the form."""

import pytest

from assisters_app.ui.staff.support import DeskState
from assisters_app.ui.support import SupportState

ASKED = {"subject": "A refusal", "text": "Why was it refused?"}


@pytest.mark.promise("2.6")
async def test_a_question_goes_to_the_desk_and_its_answer_comes_back(ada, grace, tab):
    page, desk = tab(ada), tab(grace)
    await page.send(SupportState.write_in, where="new")
    sent = await page.send(SupportState.begin, sent=ASKED)
    assert sent.said().startswith("Sent.")
    (talk,) = sent.of(SupportState)["talks"]
    (row,) = (await desk.send(DeskState.load)).of(DeskState)["rows"]
    assert row.handle == talk.handle
    assert "refus" not in repr(row)
    opened = (await desk.send(DeskState.read, handle=row.handle)).of(DeskState)["talk"]
    assert [line.text for line in opened.lines] == ["Why was it refused?"]
    answered = await desk.send(DeskState.answer, sent={"text": "Its budget was used up."})
    assert answered.of(DeskState)["rows"] == []
    (talk,) = (await page.send(SupportState.load)).of(SupportState)["talks"]
    assert [(line.from_us, line.text) for line in talk.lines][1:] == [(True, "Its budget was used up.")]
    await page.send(SupportState.write_in, where=talk.handle)
    await page.send(SupportState.add, sent={"more": "Thank you."})
    closed = await page.send(SupportState.close, handle=talk.handle)
    assert closed.of(SupportState)["talks"][0].closed


async def test_a_question_without_words_is_refused_beside_its_form(ada, tab):
    shown = (await tab(ada).send(SupportState.begin, sent={"subject": "A refusal", "text": None})).of(SupportState)
    assert shown["problem"].startswith("Write something")


async def test_mallory_adds_nothing_to_adas_conversation(ada, mallory, tab):
    (talk,) = (await tab(ada).send(SupportState.begin, sent=ASKED)).of(SupportState)["talks"]
    page = tab(mallory)
    await page.send(SupportState.write_in, where=talk.handle)
    assert (await page.send(SupportState.add, sent={"more": "Me"})).of(SupportState)["problem"].endswith("not exist.")
    assert (await page.send(SupportState.close, handle=talk.handle)).said() == "That conversation does not exist."
    assert (await page.send(SupportState.load)).of(SupportState).get("talks", []) == []
