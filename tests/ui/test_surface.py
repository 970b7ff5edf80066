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
from assisters_app.ui.session import AppState, access, level_of, right_of

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
STAFF = {  # and which right it takes, so whose role has it (accounts.rights)
    "staff.account.again": "accounts",
    "staff.account.ask": "suspend",
    "staff.account.load": "accounts",
    "staff.account.suspend": "suspend",
    "staff.account.unsuspend": "suspend",
    "staff.accounts.find": "accounts",
    "staff.accounts.load": "accounts",
    "staff.accounts.load_more": "accounts",
    "staff.audits.ask": "audits",
    "staff.audits.enter": "audits",
    "staff.audits.load": "audits",
    "staff.disclosures.answer": "disclosures",
    "staff.disclosures.ask": "disclosures",
    "staff.disclosures.enter": "disclosures",
    "staff.disclosures.load": "disclosures",
    "staff.disclosures.tell": "disclosures",
    "staff.holds.ask": "holds",
    "staff.holds.load": "holds",
    "staff.holds.place": "holds",
    "staff.holds.release": "holds",
    "staff.holds.renew": "holds",
    "staff.holds.tell": "holds",
    "staff.incidents.ask": "incidents",
    "staff.incidents.close": "incidents",
    "staff.incidents.enter": "incidents",
    "staff.incidents.load": "incidents",
    "staff.incidents.send": "incidents",
    "staff.incidents.told": "incidents",
    "staff.mailboxes.approve": "recovery",
    "staff.mailboxes.ask": "recovery",
    "staff.mailboxes.begin": "recovery",
    "staff.mailboxes.load": "recovery",
    "staff.mailboxes.stop": "recovery",
    "staff.models.add": "models",
    "staff.models.ask": "models",
    "staff.models.change": "models",
    "staff.models.load": "models",
    "staff.models.offer_again": "models",
    "staff.models.publish": "models",
    "staff.models.retire": "models",
    "staff.news.close": "news",
    "staff.news.load": "news",
    "staff.news.review": "news",
    "staff.news.send": "news",
    "staff.policy.announce": "policy",
    "staff.policy.ask": "policy",
    "staff.policy.call_off": "policy",
    "staff.policy.load": "policy",
    "staff.policy.publish": "policy",
    "staff.request.acknowledge": "requests",
    "staff.request.again": "requests",
    "staff.request.answer": "requests",
    "staff.request.ask": "requests",
    "staff.request.ask_identity": "requests",
    "staff.request.assign": "requests",
    "staff.request.extend": "requests",
    "staff.request.identified": "requests",
    "staff.request.load": "requests",
    "staff.request.send_link": "requests",
    "staff.request.unsubscribe": "requests",
    "staff.requests.ask": "requests",
    "staff.requests.enter": "requests",
    "staff.requests.load": "requests",
    "staff.requests.widen": "requests",
    "staff.retention.load": "retention",
    "staff.roles.ask": "roles",
    "staff.roles.give": "roles",
    "staff.roles.load": "desk",
    "staff.support.answer": "support",
    "staff.support.load": "support",
    "staff.support.read": "support",
    "staff.support.widen": "support",
    "staff.trail.load": "trail",
    "staff.trail.load_more": "trail",
    "staff.trail.narrow": "trail",
    "staff.trail.only_staff": "trail",
    "staff.usage.again": "usage",
    "staff.usage.load": "usage",
    "staff.usage.span": "usage",
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
    ours = [(name, short) for name, short, function in _handlers() if level_of(name) == "staff" and _ours(function)]
    assert {short: right_of(name) for name, short in ours} == STAFF


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


def test_a_page_for_staff_takes_the_right_that_its_load_takes():
    for page in PAGES:
        if page.access == "staff":
            load = f"{page.module}.load"
            assert page.right == STAFF[load], page.route
        else:
            assert page.right is None


def test_a_handler_for_staff_that_names_no_right_stops_the_start():
    with pytest.raises(TypeError, match="names the right"):
        access("staff")
    with pytest.raises(TypeError, match="names the right"):
        access("member", right="holds")


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
