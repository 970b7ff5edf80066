"""News for everyone who asked for news: written, tried out, sent, and what was sent before."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx
from pydantic import ValidationError

from assisters_app.base.errors import Refused
from assisters_app.privacy.choices import news
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import (
    area,
    badge,
    button,
    card,
    dialog_actions,
    empty,
    field,
    form,
    heading,
    modal,
    notice,
    number,
    table,
    time,
)
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell


@dataclass(frozen=True, slots=True)
class SentRow:
    """One message of news. Times are ISO 8601 in UTC, "" for none."""

    handle: str
    subject: str
    at: str
    copies: int
    done: str

    @classmethod
    def of(cls, sent: news.Sent) -> Self:
        """Return what staff sees of it."""
        done = iso(sent.done_at)
        return cls(sent.handle, sent.subject, sent.at.isoformat(), sent.copies, done)


class NewsState(AppState):
    """What is being written, how many would get it, and what was sent."""

    phase: str = "loading"
    reach: int = 0
    rows: list[SentRow] = []
    subject: str = ""
    text: str = ""
    asking: bool = False
    problem: str = ""

    @rx.event
    @access("staff", right="news")
    async def load(self) -> None:
        """Count who asked for news, and list what they got."""
        async with loading(self) as (tx, me):
            self.reach = await news.reach(tx, me)
            self.rows = [SentRow.of(one) for one in await news.sent(tx, me)]

    @rx.event
    @access("staff", right="news")
    async def review(self, sent: dict[str, Any]) -> None:
        """Mail a copy to who wrote it, and ask whether it is to go out."""
        self.problem = ""
        try:
            written = news.Written.model_validate({"subject": sent.get("subject"), "text": sent.get("text")})
            async with signed_in() as (tx, me):
                await news.try_out(tx, me, written)
        except ValidationError:
            self.problem = "The subject has at most 150 characters, the text at most 10,000."
        except Refused as refused:
            self.problem = str(refused)
        else:
            self.asking, self.subject, self.text = True, written.subject, written.text

    @rx.event
    @access("staff", right="news")
    async def close(self) -> None:
        """Go back to writing."""
        self.asking = False

    @rx.event
    @access("staff", right="news")
    async def send(self) -> Any:
        """Send what was reviewed."""
        try:
            async with signed_in() as (tx, me):
                await news.send(tx, me, news.Written(subject=self.subject, text=self.text))
        except Refused as refused:
            if refused.code != "reauthenticate":
                raise
            return rx.redirect("/confirm?next=/staff/news")
        self.asking, self.subject, self.text = False, "", ""
        self._tell("On its way.")
        return NewsState.load


load = NewsState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading("News", lead="Mail to those who asked for news, and to nobody else. One click in any copy ends it."),
        card(
            form(
                field(
                    "Subject",
                    "subject",
                    required=True,
                    max_length=150,
                    key=NewsState.subject,
                    default_value=NewsState.subject,
                    error=NewsState.problem,
                ),
                area(
                    "Text",
                    "text",
                    hint="Plain text. An empty line begins another paragraph.",
                    required=True,
                    max_length=10_000,
                    rows="10",
                    key=NewsState.text,
                    default_value=NewsState.text,
                ),
                button("Review", type="submit"),
                on_submit=NewsState.review,
                class_name="max-w-2xl",
            ),
            title="Write",
            lead=rx.fragment("Asked for news: ", number(NewsState.reach), ". A copy goes to you first."),
        ),
        _sent(),
        modal(
            rx.el.p("A copy is in your mailbox: read it there first. What has been sent cannot be taken back."),
            rx.el.p(rx.el.strong(NewsState.subject), class_name="mt-2"),
            notice(
                "Who unsubscribes before their copy leaves does not get it. Messages about accounts do not belong here.",
                class_name="mt-3",
            ),
            dialog_actions(
                button("Send to ", NewsState.reach, kind="danger", on_click=NewsState.send), on_close=NewsState.close
            ),
            open=NewsState.asking,
            on_close=NewsState.close,
            title="Send this news?",
        ),
    )


def _sent() -> rx.Component:
    return card(
        table(
            NewsState.rows,
            lambda row: (
                rx.el.div(row.subject, rx.el.span(row.handle, class_name="block text-xs text-faint font-mono")),
                time(row.at),
                number(row.copies),
                rx.cond(row.done != "", badge("sent", tone="good"), badge("on its way", tone="accent")),
            ),
            label="News that was sent",
            columns=("Subject", "Sent", "Copies", "State"),
            phase=NewsState.phase,
            retry=NewsState.load,
            key=lambda row: row.handle,
            empty=empty(
                "Nothing was sent yet", "News that is sent stands here, with how many got it.", icon="megaphone"
            ),
        ),
        title="Sent",
    )
