"""What is said in calls: for which keys it is kept for a day, and a way to delete it."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.gateway.content import contents
from assisters_app.keys import keys
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    confirm,
    empty,
    heading,
    link_button,
    notice,
    number,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell

CALLS = "/dashboard/requests"


@dataclass(frozen=True, slots=True)
class KeyLine:
    """One live key. `since` is ISO 8601 in UTC, "" while nothing is kept."""

    handle: str
    name: str
    prefix: str
    since: str

    @classmethod
    def of(cls, key: keys.KeyView) -> Self:
        """Return what is shown of a key."""
        since = key.content_kept_since
        return cls(key.handle, key.name, key.prefix, iso(since))


class ContentState(AppState):
    """The live keys, and of how many requests something is kept. What was said never comes here."""

    phase: str = "loading"
    rows: list[KeyLine] = []
    requests: int = 0
    deleting: bool = False

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the keys, and count what is kept."""
        async with loading(self) as (tx, me):
            self.rows = [KeyLine.of(key) for key in await keys.live(tx, me)]
            self.requests = await contents.count(tx, me)

    @rx.event
    @access("member")
    async def turn(self, handle: str, on: bool) -> Any:
        """Keep what is said with a key from now on, or no more."""
        async with signed_in() as (tx, me):
            await contents.turn(tx, me, handle, on=on)
        self._tell("Kept for 24 hours from now on." if on else "Not kept from now on.")
        return ContentState.load

    @rx.event
    @access("member")
    def ask(self, deleting: bool) -> None:
        """Open the dialog that deletes everything, or close it."""
        self.deleting = deleting

    @rx.event
    @access("member")
    async def delete(self, sent: dict[str, Any]) -> Any:  # noqa: ARG002 (a form always sends itself)
        """Delete all that is kept."""
        async with signed_in() as (tx, me):
            gone = await contents.forget_all(tx, me)
        self.deleting = False
        self._tell(f"Deleted what was said in {gone} request{'' if gone == 1 else 's'}.")
        return ContentState.load


load = ContentState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "What is said in your calls",
            link_button("Back to privacy", to="/dashboard/privacy"),
            link_button("Request log", to=CALLS),
            lead="Prompts and answers are not kept, unless you turn it on for a key, to find out what went wrong.",
        ),
        card(
            table(
                ContentState.rows,
                _cells,
                label="Keys, and whether what is said with them is kept",
                columns=("Name", "Key", "Kept", ""),
                phase=ContentState.phase,
                retry=ContentState.load,
                key=lambda row: row.handle,
                right=(3,),
                empty=empty(
                    "No live keys",
                    "Once you have a key, you can have its prompts and answers kept for a day.",
                    link_button("API keys", to="/dashboard/api-keys"),
                    icon="key-round",
                ),
            ),
            title="For each key",
            lead="What you send and what you get, from the moment you turn it on.",
        ),
        card(
            rx.el.ul(
                *[
                    rx.el.li(words)
                    for words in (
                        "Up to 256 kB each of what you send and what you get, as text. Sound and pictures are not kept.",
                        "Sealed to a key outside the database that is destroyed within 24 hours. After that nobody can read it.",
                        "Only you can read it, on the page of its request. Nobody at Assisters has a way to.",
                        "Never used to train models, unless you agree to that as well, which is a choice of its own.",
                        "A single call stays out of it with the header X-Store-Content: false, or store: false in the body.",
                    )
                ],
                class_name="list-disc pl-5 space-y-1.5 max-w-prose",
            ),
            title="What happens to it",
        ),
        card(
            rx.cond(
                ContentState.requests > 0,
                notice("Something is kept of ", number(ContentState.requests), " of your requests."),
                rx.el.p("Nothing is kept at the moment.", class_name="text-muted"),
            ),
            title="Kept now",
            action=rx.cond(
                ContentState.requests > 0, button("Delete all of it", kind="danger", on_click=ContentState.ask(True))
            ),
        ),
        confirm(
            rx.el.p("What was said in all your requests is deleted now. The requests stay in your log, without it."),
            rx.el.p("It cannot be brought back."),
            open=ContentState.deleting,
            on_close=ContentState.ask(False),
            on_confirm=ContentState.delete,
            title="Delete what was said?",
            act="Delete all of it",
        ),
    )


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.span(row.name, class_name="font-medium break-words"),
        rx.el.code(row.prefix, "…", class_name="font-mono text-[0.8125rem]"),
        rx.cond(
            row.since != "",
            rx.el.span(
                badge("for 24 hours", tone="warn"),
                rx.el.span(" since ", time(row.since), class_name="max-sm:hidden text-[0.8125rem] text-muted"),
            ),
            rx.el.span("no", class_name="text-muted"),
        ),
        rx.cond(
            row.since != "",
            button(
                "Turn off",
                kind="secondary",
                size="small",
                on_click=ContentState.turn(row.handle, False),
                aria_label="Turn off for " + row.name,
            ),
            button(
                "Turn on",
                kind="secondary",
                size="small",
                on_click=ContentState.turn(row.handle, True),
                aria_label="Turn on for " + row.name,
            ),
        ),
    )
