"""Who is at the other end of a socket, and what they may call: whatever carries no mark is denied.

Every public method of a State can be called by anyone who speaks to the socket. So a guard stands before every event:
it finds the person by the session that the socket was opened with (never by anything sent), reads the handler's
`@access` mark, checks the arguments against the handler's annotations, and only then lets the handler run.
"""

import functools
import inspect
import logging
import time
import typing
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar
from urllib.parse import quote
from uuid import uuid4

import reflex as rx
from pydantic import TypeAdapter, ValidationError
from reflex.event import Event, EventSpec
from reflex.middleware import Middleware
from reflex.state import BaseState, StateUpdate
from reflex_base.registry import RegistrationContext

from assisters_app.accounts import sessions
from assisters_app.accounts.rights import Right, may, rights_of
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.throttling import attempt
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.ui.binder import fingerprint_of, kick, place_in
from assisters_app.ui.limits import READING

Level = Literal["public", "member", "staff"]
Handler = TypeVar("Handler", bound=Callable[..., Any])

_FRAMEWORK = frozenset(
    {
        "hydrate",
        "hydrate_and_load",
        "on_load_internal",
        "set_is_hydrated",
        "update_vars_internal",
        "handle_frontend_exception",
    }
)
_SHOWN = timedelta(seconds=8)  # a message older than that is not shown again to who opens another page
_FRESH = 5.0  # seconds for which what the guard found is believed; a handler that runs longer is asked again

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Seen:
    """The person whom the guard found, by which session, and when (monotonic seconds)."""

    who: Person
    mark: str
    at: float


CURRENT: ContextVar[Seen | None] = ContextVar("current", default=None)


@functools.cache
def _arguments(handler: Callable[..., Any]) -> dict[str, TypeAdapter[Any]]:
    hints = typing.get_type_hints(handler)
    names = [name for name in inspect.signature(handler).parameters if name != "self"]
    missing = [name for name in names if name not in hints]
    if missing:
        raise TypeError(
            f"{handler.__qualname__}: annotate {', '.join(missing)}; what a browser sends is checked by it."
        )
    return {name: TypeAdapter(hints[name]) for name in names}


def access(level: Level, right: Right | None = None) -> Callable[[Handler], Handler]:
    """Say who may call a handler. Stands below `@rx.event`; a handler without it can be called by nobody.

    What is for staff names the `right` that one's role must have (`accounts.rights`).
    """
    if (level == "staff") != (right is not None):
        raise TypeError("A handler for staff, and no other, names the right that it takes.")

    def mark(handler: Handler) -> Handler:
        handler.__access__, handler.__right__ = level, right
        _arguments(handler)  # an argument without an annotation stops the start
        return handler

    return mark


@asynccontextmanager
async def signed_in() -> AsyncIterator[tuple[Tx, Person]]:
    """Open a transaction on behalf of the person whom the guard found: the only door from a screen to the data.

    Raises Refused when nobody is signed in, also when the session ended while the handler ran.
    """
    seen = CURRENT.get()
    who = seen.who if seen else None
    if seen and time.monotonic() - seen.at > _FRESH:
        who = await sessions.resolve_fingerprint(seen.mark)
    if who is None:
        raise Refused("You are signed out. Sign in again to go on.", code="signed_out", status=401)
    async with transaction() as tx:
        yield tx, who


@asynccontextmanager
async def for_anyone(state: BaseState) -> AsyncIterator[Tx]:
    """Open a transaction for what everyone may see (prices, the policy): there is no person in it to act for.

    Each use counts against what one place may read in a minute; raises Refused (too_many) when it was too much.
    """
    await attempt(READING, place_of(state))
    async with transaction() as tx:
        yield tx


def place_of(state: BaseState) -> str:
    """Return where a tab's socket comes from, as a keyed hash: what a stranger does is counted by it."""
    return place_in(state.router_data.get("headers", {}).get("cookie", ""))


@asynccontextmanager
async def loading(state: Any, phase: str = "phase") -> AsyncIterator[tuple[Tx, Person]]:
    """As `signed_in()`, for what fills a list: `state.phase` becomes "ready", or "failed" when the block raises.

    `phase` names the var (text, first value "loading") that tables and charts of the screen read.
    """
    try:
        async with signed_in() as door:
            yield door
    except Exception as problem:  # noqa: BLE001 (the screen shows its failed state; the log has the cause)
        setattr(state, phase, "failed")
        state._tell(_sentence(problem), "bad")  # noqa: SLF001 (our own base state)
    else:
        setattr(state, phase, "ready")


class AppState(rx.State):
    """What every page knows: whose tab this is, and the message being shown. Every State of ours derives from it."""

    message: str = ""
    message_tone: str = "good"
    message_number: int = 0
    email: str = ""
    organization: str = ""
    rights: list[str] = []  # of staff: what their role may do, for the menu
    mailbox: str = ""
    times_in: str = ""  # the zone one has chosen to read times in; "" for the browser's own
    _told_at: float = 0.0

    @rx.event
    @access("member")
    async def enter(self) -> None:
        """Learn who has opened a page, and lead whoever is nobody to the sign-in page. Runs before the page's `load`."""
        self._recognise()

    @rx.event
    @access("public")
    async def greet(self) -> None:
        """Learn who has opened a page that is for everyone."""
        self._recognise()

    @rx.event
    @access("public")
    async def say(self, text: str, tone: str = "good") -> None:
        """Show a message in this tab; `tone` is "good" or "bad"."""
        self._tell(text, tone)

    def _recognise(self) -> None:
        if self.message and now().timestamp() - self._told_at > _SHOWN.total_seconds():
            self.message = ""
        seen = CURRENT.get()
        if seen is None:
            self.email, self.organization, self.rights, self.mailbox, self.times_in = "", "", [], "", ""
            return
        me = seen.who
        self.email, self.organization = me.email, me.organization_name
        self.rights, self.mailbox = list(rights_of(me.role)), settings().mailbox_url or ""
        self.times_in = "" if me.time_zone == "UTC" else me.time_zone  # as `asked.whose_zone` has it for days

    def _tell(self, text: str, tone: str = "good") -> None:
        self.message, self.message_tone, self.message_number = text, tone, self.message_number + 1
        self._told_at = now().timestamp()


def on_error(exception: Exception) -> EventSpec:
    """Turn what a handler raised into a message: a refusal in its own words, anything else with a reference."""
    return AppState.say(_sentence(exception), "bad")


class Guard(Middleware):
    """Stands before every event: page loads, clicks, chained and background events alike."""

    async def preprocess(self, app: rx.App, state: BaseState, event: Event) -> StateUpdate | None:  # noqa: ARG002 (its interface)
        """Let the event through (None), or answer in place of its handler."""
        mark = fingerprint_of(state.router_data.get("headers", {}).get("cookie", ""))
        who = await sessions.resolve_fingerprint(mark) if mark else None
        CURRENT.set(Seen(who, mark, time.monotonic()) if who else None)
        if mark and who is None:  # the session has ended: this socket, and what its tabs hold, end with it
            await kick(mark)
            return StateUpdate()
        if _allowed(event, who):
            return None
        if who is None and level_of(event.name) in ("member", "staff"):
            return StateUpdate(events=Event.from_event_type([rx.redirect(_sign_in_from(state))]))
        log.warning("denied event %s", event.name[:200])
        return StateUpdate()


def level_of(name: str) -> Literal["public", "member", "staff", "framework", "denied"]:
    """Return who may call the event of this full name."""
    registered = RegistrationContext.get().event_handlers.get(name)
    if registered is None:
        return "denied"
    handler = registered.handler.fn
    if handler.__module__.partition(".")[0] in {"reflex", "reflex_base"}:
        return "framework" if name.rpartition(".")[2] in _FRAMEWORK else "denied"
    return getattr(handler, "__access__", "denied")


def _allowed(event: Event, who: Person | None) -> bool:
    level = level_of(event.name)
    if level in ("framework", "denied"):
        return level == "framework"
    if level != "public" and (who is None or (level == "staff" and not _may(who, event.name))):
        return False
    return _well_typed(event)


def right_of(name: str) -> Right | None:
    """Return the right that the event of this full name takes, None where it is not one of staff's."""
    registered = RegistrationContext.get().event_handlers.get(name)
    return getattr(registered.handler.fn, "__right__", None) if registered else None


def _may(who: Person, name: str) -> bool:
    right = right_of(name)
    return right is not None and may(who, right)


def _sign_in_from(state: BaseState) -> str:
    path = str(state.router_data.get("asPath") or state.router_data.get("pathname") or "/").partition("#")[0]
    return f"/sign-in?next={quote(path, safe='/')}"


def _well_typed(event: Event) -> bool:
    handler = RegistrationContext.get().event_handlers[event.name].handler.fn
    expected = _arguments(handler)
    try:
        return all(name in expected and _fits(expected[name], value) for name, value in event.payload.items())
    except ValidationError:
        return False


def _fits(expected: TypeAdapter[Any], value: Any) -> bool:
    expected.validate_python(value, strict=True)
    return True


def _sentence(problem: Exception) -> str:
    if isinstance(problem, Refused):
        return str(problem)
    reference = uuid4().hex[:8]
    log.error("an event failed, reference %s", reference, exc_info=problem)
    return (
        f"Something went wrong on our side. Nothing was lost; if it happens again, tell us the reference {reference}."
    )
