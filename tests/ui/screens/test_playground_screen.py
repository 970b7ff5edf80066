"""The playground: what may be chosen, and the ticket with which a browser calls the API by itself."""

import httpx
import pytest
from starlette.applications import Starlette
from uses import has_key

from assisters_app.base.db import transaction
from assisters_app.gateway import catalog, tickets
from assisters_app.keys import keys
from assisters_app.keys.keys import NewKey
from assisters_app.ui import playground_routes
from assisters_app.ui.playground import PlaygroundState

OURS = {"sec-fetch-site": "same-origin", "accept": "application/json"}


@pytest.fixture
async def http(house):
    transport = httpx.ASGITransport(Starlette(routes=playground_routes.ROUTES))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:3000") as client:
        yield client


def cookie(who):
    return {"cookie": f"session={who.cookie}"}


async def ticket(http, who, handle, **headers):
    return await http.post("/playground/ticket", data={"key": handle}, headers=cookie(who) | OURS | headers)


async def test_ada_chooses_among_her_own_keys_those_that_cost_nothing_first(ada, mallory, tab):
    async with transaction() as tx:
        await catalog.ensure_first_models(tx)
        await keys.issue(tx, ada.person, NewKey(name="Trying", mode="test"))
        await keys.issue(tx, ada.person, NewKey(name="Server"))
        await keys.issue(tx, mallory.person, NewKey(name="Hers"))
    shown = (await tab(ada).send(PlaygroundState.load)).of(PlaygroundState)
    assert [key.name for key in shown["keys"]] == ["Trying", "Server"]
    assert "assisters-chat-v1" in {model.id for model in shown["models"]}
    assert "assisters-embed-v1" not in {model.id for model in shown["models"]}


async def test_adas_browser_gets_a_ticket_for_her_key(ada, http):
    answer = await ticket(http, ada, (await has_key(ada)).handle)
    assert answer.json()["seconds"] == tickets.LASTS.total_seconds()
    assert answer.headers["cache-control"] == "no-store"
    opened = await tickets.opened(answer.json()["ticket"])
    assert opened.organization_id == ada.person.organization_id


async def test_mallory_gets_none_for_adas_key(ada, mallory, http):
    answer = await ticket(http, mallory, (await has_key(ada)).handle)
    assert (answer.status_code, answer.json()["refused"]) == (404, "That key does not exist.")


async def test_nobody_gets_a_ticket(ada, http):
    handle = (await has_key(ada)).handle
    answer = await http.post("/playground/ticket", data={"key": handle}, headers=OURS)
    assert (answer.status_code, answer.json()["code"]) == (401, "signed_out")


async def test_another_site_gets_no_ticket_in_adas_name(ada, http):
    evil = {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}
    answer = await ticket(http, ada, (await has_key(ada)).handle, **evil)
    assert (answer.status_code, answer.json()["code"]) == (403, "cross_site")


async def test_tickets_are_handed_out_no_faster_than_a_person_plays(ada, http, monkeypatch):
    monkeypatch.setattr(
        playground_routes, "OFTEN", playground_routes.Limit("playground", 2, playground_routes.OFTEN.period)
    )
    handle = (await has_key(ada)).handle
    answers = [await ticket(http, ada, handle) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
