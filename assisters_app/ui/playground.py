"""Playground: a chat with a model under one of one's own keys, its cost and speed, and the same request as code.

The conversation lives in the page alone (`assets/playground.js`): the browser calls the API itself, with a ticket
(`ui/playground_routes.py`), and neither the State nor anything else of ours ever holds what was said.
"""

from dataclasses import dataclass
from typing import ClassVar, Self

import reflex as rx

from assisters_app.base.settings import settings
from assisters_app.gateway import catalog
from assisters_app.gateway.catalog import Offer
from assisters_app.keys import keys
from assisters_app.keys.keys import KeyView
from assisters_app.ui.parts import card, empty, failed, heading, link_button, skeleton
from assisters_app.ui.session import AppState, access, loading
from assisters_app.ui.shell import shell
from assisters_app.ui.words import BASE


@dataclass(frozen=True, slots=True)
class PlayKey:
    """A key that one may play with."""

    handle: str
    name: str
    mode: str
    models: list[str]  # those that it may call; none named: all

    @classmethod
    def of(cls, key: KeyView) -> Self:
        """Write a key for its owner."""
        return cls(key.handle, key.name, key.mode, list(key.terms.models))


@dataclass(frozen=True, slots=True)
class PlayModel:
    """A model that one may chat with; `most` is the most output tokens it gives."""

    id: str
    title: str
    most: int

    @classmethod
    def of(cls, offer: Offer) -> Self:
        """Write a model for who chooses one."""
        return cls(offer.id, offer.title, offer.max_output_tokens)


class PlaygroundState(AppState):
    """What may be chosen. Nothing of what is said is here."""

    phase: str = "loading"
    keys: list[PlayKey] = []
    models: list[PlayModel] = []
    sandbox: bool = False  # whether live keys too are answered by the sandbox

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the keys and the models."""
        async with loading(self) as (tx, me):
            live = [PlayKey.of(key) for key in await keys.live(tx, me) if "chat" in key.terms.scopes]
            self.keys = sorted(live, key=lambda key: key.mode != "test")  # what costs nothing comes first
            offers = (await catalog.offered(tx)).values()
            self.sandbox = not settings().upstreams
            self.models = [PlayModel.of(offer) for offer in offers if offer.family == "chat"]


load = PlaygroundState.load


class _Playground(rx.Component):
    """The conversation, in the browser."""

    library = "$/public/playground.js"
    tag = "Playground"
    _rename_props: ClassVar[dict[str, str]] = {}
    keys: rx.Var[list[PlayKey]]
    models: rx.Var[list[PlayModel]]
    base: rx.Var[str]
    sandbox: rx.Var[bool]


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "Playground",
            link_button("Request log", to="/dashboard/requests"),
            lead="Try a model under one of your keys. What is said stays in this tab: close it, and it is gone.",
        ),
        rx.match(
            PlaygroundState.phase,
            ("failed", card(failed(PlaygroundState.load))),
            (
                "ready",
                rx.cond(
                    PlaygroundState.keys.length() > 0,
                    _Playground.create(
                        keys=PlaygroundState.keys,
                        models=PlaygroundState.models,
                        base=BASE,
                        sandbox=PlaygroundState.sandbox,
                    ),
                    card(_no_key()),
                ),
            ),
            rx.el.div(skeleton("h-96 w-full"), aria_busy="true"),
        ),
        wide=True,
    )


def _no_key() -> rx.Component:
    return empty(
        "A key comes first",
        "Calls from here are counted and charged like any other. A test key is free: the sandbox answers it.",
        link_button("Make a key", to="/dashboard/api-keys", kind="primary"),
        icon="key-round",
    )
