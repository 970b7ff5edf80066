"""Grace keeps the register of incidents; nobody else knows that there is one."""

from cast import ADA

from assisters_app.base.clock import now
from assisters_app.ui.staff.incidents import IncidentsState

LOST = {
    "title": "A lost laptop",
    "what": "A laptop with a dump of the database was lost.",
    "consequences": "Somebody could read addresses.",
    "risk": "risk",
    "kind:user.contact.email": "on",
}


def typed(at):
    return f"{at:%Y-%m-%dT%H:%M}"


async def test_grace_enters_an_incident_sees_its_clock_and_tells(ada, grace, tab):
    page = tab(grace)
    await page.send(IncidentsState.load)
    await page.send(IncidentsState.ask, dialog="enter", handle="")
    shown = await page.send(IncidentsState.enter, sent={**LOST, "aware_at": typed(now()), "addresses": f"{ADA}\n"})
    assert shown.said() == "The incident is entered."
    (row,) = shown.of(IncidentsState)["rows"]
    assert (row.state, row.counts_down, row.notices) == ("open", True, "0 of 1 sent")
    drafted = (await page.send(IncidentsState.ask, dialog="authority", handle=row.handle)).of(IncidentsState)["draft"]
    assert "GDPR Art. 33" in drafted
    assert "user.contact.email" in drafted
    misread = await page.send(IncidentsState.told, sent={"told_at": "at noon", "why": ""})
    assert misread.of(IncidentsState)["problem"] == "That is no date and time."
    told = await page.send(IncidentsState.told, sent={"told_at": typed(now()), "why": ""})
    (row,) = told.of(IncidentsState)["rows"]
    assert (row.state, bool(row.told), row.counts_down) == ("settled", True, False)


async def test_what_is_missing_is_said_beside_the_form(ada, grace, tab):
    page = tab(grace)
    await page.send(IncidentsState.load)
    await page.send(IncidentsState.ask, dialog="enter", handle="")
    shown = await page.send(IncidentsState.enter, sent={**LOST, "aware_at": "yesterday"})
    assert shown.of(IncidentsState)["problem"].startswith("Fill in every field")


async def test_ada_is_not_told_that_there_are_incidents(ada, grace, tab):
    await tab(grace).send(IncidentsState.enter, sent={**LOST, "aware_at": typed(now()), "addresses": ADA})
    for handler, args in ((IncidentsState.load, {}), (IncidentsState.enter, {"sent": LOST})):
        assert "rows" not in (await tab(ada).send(handler, **args)).of(IncidentsState)
