"""A State to attack, and the pages served with it: what the tests of this folder run in a process of its own."""

import os
from typing import Any

import reflex as rx

from assisters_app.base import log
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.base.valkey import valkey
from assisters_app.ui.session import AppState, access, loading, signed_in

GO = "target:go"


class Target(AppState):
    """Has one of everything that a stranger would like to call."""

    secret: str = ""
    count: int = 0
    mark: int = 0
    phase: str = "loading"
    _hidden: str = "kept-on-the-server"

    @rx.event
    @access("member")
    async def load(self) -> None:
        async with loading(self) as (_, me):
            self.secret = f"private to {me.email}"

    @rx.event
    @access("member")
    async def add(self, by: int) -> None:
        self.count += by

    @rx.event
    @access("member")
    async def fill(self, sent: dict[str, Any]) -> None:
        self.secret = str(sent.get("name"))

    @rx.event
    @access("staff", right="accounts")
    async def grant(self, account: str) -> None:
        self.secret = f"granted {account}"

    @rx.event
    @access("public")
    async def note(self, mark: int) -> None:
        self.mark = mark

    @rx.event
    @access("member")
    async def refuse(self) -> None:
        raise Refused("That key does not exist.", code="not_found")

    @rx.event
    @access("member")
    async def fail(self) -> None:
        raise ValueError("hunter2 is the password")

    @rx.event
    @access("member")
    async def fail_to_load(self) -> None:
        async with loading(self):
            raise ValueError("hunter2 is the password")

    @rx.event(background=True)
    @access("member")
    async def wait(self) -> None:
        await valkey().blpop(GO, timeout=20)
        async with signed_in() as (_, me):
            who = me.email
        async with self:
            self.secret = f"late news for {who}"

    @rx.event
    async def unmarked(self) -> None:
        self.secret = "an unmarked handler ran"

    async def helper(self, text: str = "") -> None:
        self.secret = f"a helper ran {text}"


def create() -> Any:
    """Return the web face, as the product serves it."""
    from assisters_app.asgi import REFLEX

    log.configure()
    os.environ.update(REFLEX, REFLEX_REDIS_URL=settings().redis_url)
    from assisters_app.assisters_app import app

    return app()
