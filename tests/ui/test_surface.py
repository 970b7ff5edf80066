"""All that a browser can call or be sent: handlers marked, who is meant pinned, no row and no figure in a State."""

import dataclasses
import typing
import weakref

import plotly.graph_objects as go
import pytest
from reflex.state import State
from reflex_base.registry import RegistrationContext
from sqlmodel import SQLModel

import assisters_app.assisters_app  # noqa: F401 (registers every State)
from assisters_app.ui.pages import PAGES
from assisters_app.ui.session import AppState, level_of

HOUSE = "assisters_app.ui."

# Whoever adds to these lists decides that a stranger, or a member of staff, may call it. Both are worth a second look.
PUBLIC = {
    "check_receipt.check",
    "check_receipt.start",
    "cookies.load",
    "disclosures.load",
    "docs.load",
    "landing.check",
    "policy.load",
    "policy_history.load",
    "price_list.load",
    "providers.look",
    "receipt.load",
    "security.load",
    "session.greet",
    "session.say",
}
STAFF = {
    "staff.account.again",
    "staff.account.ask",
    "staff.account.load",
    "staff.account.suspend",
    "staff.account.unsuspend",
    "staff.accounts.find",
    "staff.accounts.load",
    "staff.accounts.load_more",
    "staff.disclosures.answer",
    "staff.disclosures.ask",
    "staff.disclosures.enter",
    "staff.disclosures.load",
    "staff.disclosures.tell",
    "staff.holds.ask",
    "staff.holds.load",
    "staff.holds.place",
    "staff.holds.release",
    "staff.holds.renew",
    "staff.holds.tell",
    "staff.incidents.ask",
    "staff.incidents.close",
    "staff.incidents.enter",
    "staff.incidents.load",
    "staff.incidents.send",
    "staff.incidents.told",
    "staff.news.close",
    "staff.news.load",
    "staff.news.review",
    "staff.news.send",
    "staff.policy.announce",
    "staff.policy.ask",
    "staff.policy.call_off",
    "staff.policy.load",
    "staff.policy.publish",
    "staff.request.acknowledge",
    "staff.request.again",
    "staff.request.answer",
    "staff.request.ask",
    "staff.request.ask_identity",
    "staff.request.assign",
    "staff.request.extend",
    "staff.request.identified",
    "staff.request.load",
    "staff.requests.ask",
    "staff.requests.enter",
    "staff.requests.load",
    "staff.requests.widen",
    "staff.retention.load",
    "staff.support.answer",
    "staff.support.load",
    "staff.support.read",
    "staff.support.widen",
    "staff.trail.load",
    "staff.trail.load_more",
    "staff.trail.narrow",
    "staff.trail.only_staff",
    "staff.usage.again",
    "staff.usage.load",
    "staff.usage.span",
}
FRAMEWORK = {  # what Reflex itself needs to be let through
    "handle_frontend_exception",
    "hydrate",
    "hydrate_and_load",
    "on_load_internal",
    "set_is_hydrated",
    "update_vars_internal",
}


def _handlers():
    """Yield the full name, the short name and the function of every registered handler."""
    for name, registered in RegistrationContext.get().event_handlers.items():
        function = registered.handler.fn
        yield name, f"{function.__module__.removeprefix(HOUSE)}.{function.__name__}", function


def _at(level):
    return {short for name, short, function in _handlers() if level_of(name) == level and _ours(function)}


def _ours(function):
    return function.__module__.startswith("assisters_app.")


def _states(state=State):
    yield state
    for sub in state.get_substates():
        yield from _states(sub)


OURS = [state for state in _states() if state.__module__.startswith("assisters_app.")]


def test_every_handler_says_who_may_call_it():
    assert not _at("denied")


def test_what_a_stranger_may_call_is_on_the_list():
    assert _at("public") == PUBLIC


def test_what_staff_alone_may_call_is_on_the_list():
    assert _at("staff") == STAFF


def test_nothing_in_the_rooms_of_staff_is_for_anyone_else():
    assert not [name for name in _at("member") | _at("public") if name.startswith("staff.")]


def test_of_the_frameworks_own_handlers_only_the_needed_ones_pass():
    passed = {short.rpartition(".")[2] for name, short, _ in _handlers() if level_of(name) == "framework"}
    assert passed <= FRAMEWORK
    assert not [name for name, short, _ in _handlers() if short.endswith(".setvar") and level_of(name) != "denied"]


def test_every_state_of_ours_knows_whose_tab_it_is_in():
    assert [state for state in OURS if not issubclass(state, AppState)] == []


@pytest.mark.parametrize("state", sorted(OURS, key=lambda state: state.__name__), ids=lambda state: state.__name__)
def test_a_state_holds_no_table_row_and_no_figure(state):
    for name, var in state.base_vars.items():
        for kind in _parts(var._var_type):
            assert not issubclass(kind, (SQLModel, go.Figure)), f"{state.__name__}.{name} holds a {kind.__name__}"


def test_no_computed_var_runs_for_everyone_on_every_connect():
    assert {f"{state.__name__}.{name}" for state in OURS for name in state.computed_vars} == set()


def test_every_page_for_staff_is_in_the_rooms_of_staff_and_the_other_way_round():
    assert {page.route for page in PAGES if page.module.startswith("staff.")} == {
        page.route for page in PAGES if page.access == "staff"
    }


def test_no_two_pages_share_a_place_or_a_name():
    assert len({page.route for page in PAGES}) == len(PAGES)
    named = [page.title for page in PAGES if page.access != "staff"]  # staff's pages stand under a heading of their own
    assert len(set(named)) == len(named)


def _parts(kind):
    """Yield every class that a value of type `kind` may hold."""
    if isinstance(kind, type):
        yield kind
    for argument in typing.get_args(kind):
        yield from _parts(argument)
    if dataclasses.is_dataclass(kind):
        for hint in typing.get_type_hints(kind).values():
            yield from _parts(hint)


class Name(str):
    """A text that can be watched."""

    __slots__ = ("__weakref__",)


def test_names_that_strangers_make_up_are_not_kept():
    name = Name("made.up")
    kept = weakref.ref(name)
    assert level_of(name) == "denied"
    del name
    assert kept() is None
