"""The quickstart and the reference show what the API's document says, and stand ready for the reader's own key."""

import pytest
from uses import has_key

from assisters_app.openapi.operations import OPERATIONS
from assisters_app.openapi.problems import PROBLEMS
from assisters_app.ui import docs, reference
from assisters_app.ui.docs import DocsState
from assisters_app.ui.words import YOUR_KEY


async def test_ada_sees_how_her_own_key_begins_and_a_stranger_a_placeholder(ada, tab):
    assert (await tab().send(DocsState.load)).of(DocsState).get("key", YOUR_KEY) == YOUR_KEY
    assert (await tab(ada).send(DocsState.load)).of(DocsState).get("key", YOUR_KEY) == YOUR_KEY
    key = await has_key(ada)
    shown = (await tab(ada).send(DocsState.load)).of(DocsState)["key"]
    assert shown == f"{key.prefix}…"
    assert len(shown) < 20


@pytest.fixture(scope="module")
def drawn():
    return str(reference.page())


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
def test_every_route_has_its_place_in_the_reference(drawn, operation):
    assert f'id:"{operation.id}"' in drawn
    assert operation.title in drawn
    assert operation.path in drawn


def test_every_error_has_its_place_in_the_reference(drawn):
    missing = [code for code in PROBLEMS if f'id:"error-{code}"' not in drawn]
    assert missing == []


def test_the_quickstart_leads_to_every_route_of_a_key():
    drawn = str(docs.page())
    assert [one.path for one in OPERATIONS if not one.public and one.path not in drawn] == []
