"""API keys: made, shown once, rotated, renamed, revoked."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Self
from uuid import UUID

import reflex as rx
from pydantic import ValidationError

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.keys import keys
from assisters_app.keys.keys import KeyView, NewKey
from assisters_app.ui.first_call import first_call
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    confirm,
    copyable,
    dialog_actions,
    empty,
    field,
    form,
    heading,
    modal,
    notice,
    number,
    select,
    table,
    time,
)
from assisters_app.ui.parts.lines import line
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell
from assisters_app.usage import periods, reports
from assisters_app.usage.reports import Series

LASTS = {"": None, "30": timedelta(days=30), "90": timedelta(days=90), "365": timedelta(days=365)}
GRACES = {"0": timedelta(), "1": timedelta(hours=1), "24": timedelta(hours=24), "168": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key in the list. Times are ISO 8601 in UTC, "" for never; `line` draws thirty days of its requests."""

    handle: str
    name: str
    prefix: str
    mode: str
    created: str
    last_used: str
    ends: str
    ended: str
    old_secret_until: str
    requests: int
    line: str

    @classmethod
    def of(cls, key: KeyView, used: Series | None = None) -> Self:
        """Return what the list shows of a key, and of what it was `used` for."""
        return cls(
            handle=key.handle,
            name=key.name,
            prefix=key.prefix,
            mode=key.mode,
            created=key.created_at.isoformat(),
            last_used=_iso(key.last_used_at),
            ends=_iso(key.expires_at),
            ended=_iso(key.revoked_at or key.expires_at),
            old_secret_until=_iso(key.old_secret_until),
            requests=used.total.requests if used else 0,
            line=line([point.sums.requests for point in used.points]) if used else "",
        )


class KeysState(AppState):
    """The list, and the one dialog that may be open: "" | "new" | "secret" | "rename" | "rotate" | "revoke"."""

    phase: str = "loading"
    rows: list[KeyRow] = []
    ended: list[KeyRow] = []
    dialog: str = ""
    problem: str = ""
    handle: str = ""
    name: str = ""
    secret: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the keys and what each was used for in thirty days."""
        async with loading(self) as (tx, me):
            month = periods.days(periods.zone_named(me.time_zone), 30)
            used: dict[UUID, Series] = await reports.key_sparklines(tx, reports.own(me), month)
            self.rows = [KeyRow.of(key, used.get(key.id)) for key in await keys.live(tx, me)]
            self.ended = [KeyRow.of(key) for key in await keys.ended(tx, me)]

    @rx.event
    @access("member")
    async def ask(self, dialog: str, handle: str) -> None:
        """Open a dialog, about one key or ("") a new one."""
        about = next((row for row in self.rows if row.handle == handle), None)
        if dialog not in ("new", "rename", "rotate", "revoke") or (about is None) != (dialog == "new"):
            self._tell("That key does not exist.", "bad")
            return
        self.dialog, self.problem, self.secret = dialog, "", ""
        self.handle, self.name = (about.handle, about.name) if about else ("", "")

    @rx.event
    @access("member")
    async def close(self) -> None:
        """Close whichever dialog is open."""
        self.dialog, self.problem, self.secret = "", "", ""

    @rx.event
    @access("member")
    async def create(self, sent: dict[str, Any]) -> Any:
        """Make a key and show its secret."""
        try:
            async with signed_in() as (tx, me):
                issued = await keys.issue(tx, me, _asked_for(sent))
        except Refused as refused:
            self.problem = str(refused)
            return
        self.name = issued.key.name
        self.dialog, self.secret = "secret", issued.secret.reveal()
        yield KeysState.load
        self._keep_no_secret()

    @rx.event
    @access("member")
    async def rotate(self, sent: dict[str, Any]) -> Any:
        """Give the key another secret and show it."""
        try:
            async with signed_in() as (tx, me):
                issued = await keys.rotate(tx, me, self.handle, GRACES.get(str(sent.get("grace")), keys.GRACE))
        except Refused as refused:
            self.problem = str(refused)
            return
        self.dialog, self.secret = "secret", issued.secret.reveal()
        yield KeysState.load
        self._keep_no_secret()

    @rx.event
    @access("member")
    async def rename(self, sent: dict[str, Any]) -> Any:
        """Give the key another name."""
        try:
            async with signed_in() as (tx, me):
                renamed = await keys.rename(tx, me, self.handle, str(sent.get("name", "")))
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.dialog = ""
        self._tell(f"The key is called “{renamed.name}” now.")
        return KeysState.load

    @rx.event
    @access("member")
    async def revoke(self, sent: dict[str, Any]) -> Any:  # noqa: ARG002 (as above; a form always sends itself)
        """End the key for good."""
        self.dialog = ""
        async with signed_in() as (tx, me):
            ended = await keys.revoke(tx, me, self.handle)
        self._tell(f"“{ended.name}” is revoked. It no longer works anywhere.")
        return KeysState.load

    def _keep_no_secret(self) -> None:
        """Forget the secret here, without telling the browser, where it is being shown: it is kept nowhere else."""
        self.secret = ""
        self.dirty_vars.discard("secret")


load = KeysState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading(
            "API keys", _new_button(), lead="A key lets a program of yours call the API. Its secret is shown once."
        ),
        card(
            table(
                KeysState.rows,
                _cells,
                label="API keys",
                columns=("Name", "Key", "Requests, 30 days", "Last used", "Created", ""),
                phase=KeysState.phase,
                empty=empty(
                    "No keys yet",
                    "Make one, and the next screen has a first call that is ready to paste.",
                    _new_button(),
                    icon="key-round",
                ),
                retry=KeysState.load,
                key=lambda row: row.handle,
            )
        ),
        rx.cond(KeysState.ended.length() > 0, _ended()),
        _new(),
        _secret(),
        _rename(),
        _rotate(),
        _revoke(),
    )


def _new_button() -> rx.Component:
    return button(rx.icon("plus", size=16, aria_hidden="true"), "New key", on_click=KeysState.ask("new", ""))


def _cells(row: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            rx.el.span(row.name, class_name="font-medium break-words"),
            rx.cond(row.mode == "test", badge("test", tone="warn")),
            rx.cond(row.ends != "", badge("until ", time(row.ends, "date"))),
            rx.cond(row.old_secret_until != "", badge("old secret until ", time(row.old_secret_until), tone="accent")),
            class_name="flex flex-wrap items-center gap-1.5 min-w-40",
        ),
        rx.el.code(row.prefix, "…", class_name="font-mono text-[0.8125rem] text-muted whitespace-nowrap"),
        _sparkline(row),
        time(row.last_used, "ago", "never"),
        time(row.created, "date"),
        rx.el.div(
            _act("Rename", "rename", row),
            _act("Rotate", "rotate", row),
            _act("Revoke", "revoke", row),
            class_name="flex justify-end gap-0.5",
        ),
    )


def _sparkline(row: Any) -> rx.Component:
    drawn = rx.el.svg(
        rx.el.svg.polyline(points=row.line, fill="none", stroke="currentColor", stroke_width="1.5"),
        view_box="0 0 96 24",
        aria_hidden="true",
        class_name="w-24 h-6 text-accent shrink-0",
    )
    return rx.el.div(rx.cond(row.line != "", drawn), number(row.requests), class_name="flex items-center gap-2")


def _act(label: str, dialog: str, row: Any) -> rx.Component:
    return button(
        label, kind="ghost", size="small", on_click=KeysState.ask(dialog, row.handle), aria_label=label + " " + row.name
    )


def _ended() -> rx.Component:
    return card(
        table(
            KeysState.ended,
            lambda row: (
                rx.el.span(row.name, class_name="break-words"),
                rx.el.code(row.prefix, "…", class_name="font-mono text-[0.8125rem] text-muted"),
                time(row.last_used, "ago", "never"),
                time(row.ended),
            ),
            label="Ended keys",
            columns=("Name", "Key", "Last used", "Ended"),
            phase=KeysState.phase,
            empty=rx.fragment(),
            retry=KeysState.load,
            key=lambda row: row.handle,
        ),
        title="Ended keys",
        lead="Revoked or expired. They work nowhere; they stay listed because your usage names them.",
    )


def _new() -> rx.Component:
    return modal(
        form(
            field(
                "Name",
                "name",
                hint="For you, to tell keys apart: the program or the machine that will use it.",
                error=KeysState.problem,
                required=True,
                max_length=255,
                auto_complete="off",
                auto_focus=True,
                placeholder="Production server",
            ),
            select(
                "Kind",
                "mode",
                (("live", "Live: calls models and costs money"), ("test", "Test: answered by the sandbox, free")),
            ),
            select(
                "Works",
                "lasts",
                (("", "until it is revoked"), ("30", "for 30 days"), ("90", "for 90 days"), ("365", "for a year")),
            ),
            dialog_actions(button("Make key", type="submit"), on_close=KeysState.close),
            on_submit=KeysState.create,
        ),
        open=KeysState.dialog == "new",
        on_close=KeysState.close,
        title="New key",
    )


def _secret() -> rx.Component:
    shown = rx.fragment(
        notice("Copy it now. We keep only a fingerprint of it, so nobody can show it again.", tone="warn"),
        copyable(KeysState.secret, "Copy key", class_name="mt-4"),
        rx.el.h3("Your first call", class_name="mt-6 mb-2 font-medium"),
        first_call(KeysState.secret, name="secret-language"),
    )
    gone = notice(
        "This page was loaded anew before you closed this, so the secret can no longer be shown. Rotate the key to get "
        "another.",
        tone="bad",
    )
    return modal(
        rx.cond(KeysState.secret != "", shown, gone),
        rx.el.div(
            button(rx.cond(KeysState.secret != "", "I have copied it", "Close"), on_click=KeysState.close),
            class_name="flex justify-end pt-5",
        ),
        open=KeysState.dialog == "secret",
        on_close=KeysState.close,
        title="The secret of “" + KeysState.name + "”",
        class_name="max-w-2xl!",
    )


def _rename() -> rx.Component:
    return modal(
        form(
            field(
                "Name",
                "name",
                error=KeysState.problem,
                default_value=KeysState.name,
                required=True,
                max_length=255,
                auto_complete="off",
                auto_focus=True,
            ),
            dialog_actions(button("Rename", type="submit"), on_close=KeysState.close),
            on_submit=KeysState.rename,
        ),
        open=KeysState.dialog == "rename",
        on_close=KeysState.close,
        title="Rename key",
    )


def _rotate() -> rx.Component:
    return modal(
        form(
            rx.el.p(
                rx.el.strong(KeysState.name),
                " gets a new secret, shown once. Its name, history and handle stay. After the time below the old secret "
                "stops working, which cannot be undone.",
            ),
            select(
                "The old secret works",
                "grace",
                (
                    ("24", "for 24 hours more"),
                    ("1", "for an hour more"),
                    ("168", "for 7 days more"),
                    ("0", "no longer"),
                ),
                error=KeysState.problem,
            ),
            dialog_actions(button("Rotate key", type="submit"), on_close=KeysState.close),
            on_submit=KeysState.rotate,
        ),
        open=KeysState.dialog == "rotate",
        on_close=KeysState.close,
        title="Rotate “" + KeysState.name + "”?",
    )


def _revoke() -> rx.Component:
    return confirm(
        rx.el.p(
            "Programs that use ",
            rx.el.strong(KeysState.name),
            " are refused at once, everywhere. This cannot be undone; what the key was used for stays in your usage.",
        ),
        open=KeysState.dialog == "revoke",
        on_close=KeysState.close,
        on_confirm=KeysState.revoke,
        title="Revoke “" + KeysState.name + "”?",
        act="Revoke key",
    )


def _asked_for(sent: dict[str, Any]) -> NewKey:
    lasts = LASTS.get(str(sent.get("lasts", "")))
    try:
        return NewKey.model_validate(
            {
                "name": sent.get("name", ""),
                "mode": sent.get("mode", "live"),
                "expires_at": now() + lasts if lasts else None,
            }
        )
    except ValidationError:
        raise Refused("A key's name has 1 to 255 characters.", code="bad_name", field="name") from None


def _iso(at: datetime | None) -> str:
    return at.isoformat() if at else ""
