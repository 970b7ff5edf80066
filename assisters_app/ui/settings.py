"""Settings: what a person told us and its correction, how they sign in, and where they are signed in."""

import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

import reflex as rx

from assisters_app.accounts import (
    corrections,
    moving,
    oauth,
    organizations,
    profile,
    reauthentication,
    recovering,
    sessions,
)
from assisters_app.accounts.sessions import Person, SessionRow
from assisters_app.base.errors import NotFound, Refused
from assisters_app.billing import customers
from assisters_app.privacy.processors import PROCESSORS
from assisters_app.ui.devices import device
from assisters_app.ui.moments import day, iso
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    dialog_actions,
    empty,
    field,
    form,
    heading,
    link,
    link_button,
    modal,
    new_password,
    notice,
    post_form,
    rows,
    select,
    table,
    time,
    with_zone,
)
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.ui.shell import shell

PROCESSOR = {one.id: one.name for one in PROCESSORS}
CONFIRM = "/confirm?next=/dashboard/settings"
DONE = {
    "email": "A link is on its way to your present address, and one to the new one. Follow both: until then nothing changes.",
    "password": "Your password is changed. Other browsers were signed out.",
}


@dataclass(frozen=True, slots=True)
class Browser:
    """One signed-in browser."""

    id: str
    device: str
    ip: str
    opened: str
    seen: str
    current: bool

    @classmethod
    def of(cls, row: SessionRow) -> Self:
        """Write a session for its owner."""
        return cls(
            id=str(row.id),
            device=device(row.user_agent),
            ip=row.ip,
            opened=row.opened_at.isoformat(),
            seen=row.last_seen_at.isoformat(),
            current=row.current,
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of address under way; `until` is "" while there is none."""

    new_email: str = ""
    old_confirmed: bool = False
    new_confirmed: bool = False
    until: str = ""

    @classmethod
    def of(cls, pending: moving.Pending | None) -> Self:
        """Write it for who asked for it."""
        if pending is None:
            return cls()
        return cls(pending.new_email, pending.old_confirmed, pending.new_confirmed, pending.until.isoformat())


@dataclass(frozen=True, slots=True)
class Recovery:
    """That another mailbox was asked for; `new` is masked, `due` is "" before a second admin has approved it."""

    new: str = ""
    due: str = ""

    @classmethod
    def of(cls, one: recovering.Recovery | None) -> Self:
        """Write it for whose account it is."""
        return cls(one.new, iso(one.due_at)) if one else cls()


@dataclass(frozen=True, slots=True)
class CorrectionRow:
    """One correction, and who else was told."""

    id: str
    what: str
    before: str
    after: str
    at: str
    told: str

    @classmethod
    def of(cls, one: corrections.Corrected) -> Self:
        """Write a correction for who made it."""
        told = [f"{PROCESSOR.get(name, name)}: {_when(how)}" for name, how in one.told]
        return cls(
            id=f"{one.what} {one.at.isoformat()}",
            what=one.what.capitalize(),
            before=one.before,
            after=one.after,
            at=one.at.isoformat(),
            told="; ".join(told) or "Nobody else holds it",
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider that one can sign in with."""

    name: str
    title: str
    linked: bool


class SettingsState(AppState):
    """The profile as it is stored, and the sessions. `proven` says that the person has just shown who they are."""

    phase: str = "loading"
    name: str = ""
    time_zone: str = "UTC"
    browser_zone: str = ""
    member_since: str = ""
    has_password: bool = False
    providers: list[Provider] = []
    proven: bool = False
    browsers: list[Browser] = []
    change: Change = Change()
    recovery: Recovery = Recovery()
    corrected: list[CorrectionRow] = []
    problem: str = ""
    organization_problem: str = ""
    dialog: str = ""

    @rx.event
    @access("member")
    async def load(self, zone: str) -> None:
        """Read it all, for a browser in `zone`."""
        self.browser_zone = zone if zone in zoneinfo.available_timezones() else ""
        done = DONE.get(str(self.router.url.query_parameters.get("done", "")))
        if done:
            self._tell(done)
        await self._read()

    @rx.event
    @access("member")
    async def again(self) -> None:
        """Read it all once more."""
        await self._read()

    @rx.event
    @access("member")
    async def pick_zone(self, zone: str) -> None:
        """Put another zone into the form; it counts once the form is saved."""
        self.time_zone = zone[:64]

    @rx.event
    @access("member")
    async def correct(self, sent: dict[str, Any]) -> Any:
        """Correct name and time zone."""
        try:
            async with signed_in() as (tx, me):
                await profile.correct(tx, me, str(sent.get("name", "")), str(sent.get("time_zone", "")))
        except Refused as refused:
            self.problem = str(refused)
            return None
        self.problem = ""
        self._tell("Saved.")
        return [AppState.enter, SettingsState.again]

    @rx.event
    @access("member")
    async def rename(self, sent: dict[str, Any]) -> Any:
        """Correct the organization's name."""
        try:
            async with signed_in() as (tx, me):
                await organizations.rename(tx, me, str(sent.get("organization", "")))
                await customers.tell_stripe(tx, me.account_id)
        except Refused as refused:
            self.organization_problem = str(refused)
            return None
        self.organization_problem = ""
        self._tell("Saved.")
        return [AppState.enter, SettingsState.again]

    @rx.event
    @access("member")
    async def stay(self) -> Any:
        """End the change of address that is under way."""
        async with signed_in() as (tx, me):
            await moving.cancel(tx, me)
        self._tell("Your address stays as it is.")
        return SettingsState.again

    @rx.event
    @access("member")
    async def keep_mailbox(self) -> Any:
        """Stop the replacement of one's mailbox."""
        async with signed_in() as (tx, me):
            await recovering.keep(tx, me)
        self._tell("Stopped. Your address stays as it is.")
        return SettingsState.again

    @rx.event
    @access("member")
    async def unlink(self, provider: str) -> Any:
        """Stop signing in with a provider."""
        try:
            async with signed_in() as (tx, me):
                await oauth.unlink(tx, me, provider)
        except Refused as refused:
            if refused.code != "reauthenticate":
                raise
            return rx.redirect(CONFIRM)
        self._tell("It no longer signs you in.")
        return SettingsState.again

    @rx.event
    @access("member")
    async def end(self, session: str) -> Any:
        """Sign another browser out."""
        async with signed_in() as (tx, me):
            await sessions.revoke(tx, me, _session_id(session))
        self._tell("That browser is signed out.")
        return SettingsState.again

    @rx.event
    @access("member")
    async def ask(self, dialog: str) -> None:
        """Open a dialog ("everywhere") or close it ("")."""
        self.dialog = dialog if dialog == "everywhere" else ""

    async def _read(self) -> None:
        async with loading(self) as (tx, me):
            known = await profile.view(tx, me)
            self.name, self.time_zone, self.has_password = known.name, known.time_zone, known.has_password
            self.member_since, self.proven = known.member_since.isoformat(), _proven(me)
            self.providers = [Provider(one.name, one.title, one.linked) for one in await oauth.methods(tx, me)]
            self.change = Change.of(await moving.pending(tx, me))
            self.recovery = Recovery.of(await recovering.mine(tx, me))
            self.corrected = [CorrectionRow.of(one) for one in await corrections.history(tx, me)]
            self.browsers = [Browser.of(row) for row in await sessions.listed(tx, me)]


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        with_zone(SettingsState.load),
        heading("Settings", lead="What you told us, and how you sign in. Everything here can be corrected."),
        rx.cond(SettingsState.phase == "failed", _failed()),
        _profile(),
        _organization(),
        _email(),
        _signing_in(),
        _sessions(),
        _corrections(),
    )


def _failed() -> rx.Component:
    again = button("Try again", kind="secondary", size="small", on_click=SettingsState.again)
    return notice("Your settings could not be loaded. Nothing was changed.", tone="bad", action=again)


def _profile() -> rx.Component:
    zones = [
        (name, name.replace("_", " "))
        for name in sorted(zoneinfo.available_timezones())
        if "/" in name or name == "UTC"
    ]
    use_browser = rx.cond(
        (SettingsState.browser_zone != "") & (SettingsState.browser_zone != SettingsState.time_zone),
        rx.fragment(
            " This browser is in ",
            rx.el.button(
                SettingsState.browser_zone,
                type="button",
                on_click=SettingsState.pick_zone(SettingsState.browser_zone),
                class_name="text-accent underline underline-offset-2",
            ),
            ".",
        ),
    )
    return card(
        form(
            field(
                "Your name",
                "name",
                hint="Optional. Used in mail to you.",
                key=SettingsState.name,
                default_value=SettingsState.name,
                auto_complete="name",
                max_length=120,
            ),
            select(
                "Time zone",
                "time_zone",
                zones,
                value=SettingsState.time_zone,
                on_change=SettingsState.pick_zone,
                hint=rx.fragment(
                    "All times are shown in it, and your days and months begin at its midnight. With UTC, your browser's "
                    "zone is used.",
                    use_browser,
                ),
                error=SettingsState.problem,
            ),
            button("Save", type="submit"),
            on_submit=SettingsState.correct,
            class_name="max-w-md",
        ),
        title="Profile",
        lead=rx.cond(
            SettingsState.member_since != "", rx.fragment("Member since ", time(SettingsState.member_since, "date")), ""
        ),
    )


def _organization() -> rx.Component:
    return card(
        form(
            field(
                "Name",
                "organization",
                key=AppState.organization,
                default_value=AppState.organization,
                error=SettingsState.organization_problem,
                required=True,
                max_length=120,
                auto_complete="organization",
            ),
            button("Save", type="submit"),
            on_submit=SettingsState.rename,
            class_name="max-w-md",
        ),
        title="Organization",
        lead="Keys, usage and credit belong to it.",
    )


def _email() -> rx.Component:
    change = post_form(
        field("New e-mail address", "email", type="email", required=True, auto_complete="email", max_length=254),
        button("Send a link to both addresses", type="submit"),
        action="/auth/change-email",
        class_name="space-y-4 max-w-md mt-4",
    )
    return card(
        rx.el.p("You sign in and get mail as ", rx.el.strong(AppState.email), "."),
        rx.cond(SettingsState.recovery.new != "", _recovering()),
        rx.cond(
            SettingsState.change.until != "", _changing(), rx.cond(SettingsState.proven, change, _prove("to change it"))
        ),
        title="E-mail address",
        lead="It changes once both addresses have said yes: nobody who is in one mailbox alone can move your account.",
    )


def _recovering() -> rx.Component:
    recovery = SettingsState.recovery
    return notice(
        rx.el.strong("Somebody told us that you can no longer read your mail, "),
        "and asked for ",
        rx.el.strong(recovery.new, class_name="break-all"),
        " in its place. ",
        rx.cond(
            recovery.due != "",
            rx.fragment("It counts from ", time(recovery.due), ", unless it is stopped."),
            "Nothing has been approved yet.",
        ),
        tone="warn",
        action=button("Stop it", kind="secondary", size="small", on_click=SettingsState.keep_mailbox),
        class_name="mt-4",
    )


def _changing() -> rx.Component:
    change = SettingsState.change
    said = [badge("said yes", tone="good"), badge("has not answered yet", tone="accent")]
    return notice(
        rx.el.p(
            "Changing to ", rx.el.strong(change.new_email, class_name="break-all"), ", open until ", time(change.until)
        ),
        rx.el.ul(
            rx.el.li("Your present address ", rx.cond(change.old_confirmed, *said)),
            rx.el.li("The new address ", rx.cond(change.new_confirmed, *said)),
            class_name="mt-2 space-y-1",
        ),
        action=button("Keep my address", kind="secondary", size="small", on_click=SettingsState.stay),
        class_name="mt-4",
    )


def _prove(what_for: str) -> rx.Component:
    return rx.el.div(
        rx.el.p("Show that it is you ", what_for, ".", class_name="mb-3 text-muted"),
        link_button("Confirm that it is you", to=CONFIRM),
        class_name="mt-4",
    )


def _signing_in() -> rx.Component:
    change = post_form(
        new_password(rx.cond(SettingsState.has_password, "New password", "Password")),
        button(rx.cond(SettingsState.has_password, "Change password", "Set a password"), type="submit"),
        action="/auth/change-password",
        class_name="space-y-4 max-w-md",
    )
    return card(
        rows(
            ("Password", rx.cond(SettingsState.has_password, badge("set", tone="good"), badge("none"))),
        ),
        rx.foreach(SettingsState.providers, _provider),
        rx.el.div(
            rx.cond(SettingsState.proven, change, _prove("to choose a new password")),
            class_name="mt-4",
        ),
        title="Signing in",
        lead="Changing the password signs out every other browser.",
    )


def _provider(one: Any) -> rx.Component:
    join = post_form(
        rx.el.input(type="hidden", name="intent", value="link"),
        rx.el.input(type="hidden", name="next", value="/dashboard/settings"),
        button("Link ", one.title, type="submit", kind="secondary", size="small"),
        action="/auth/oauth/" + one.name,
        class_name="",
    )
    first = link_button("Confirm that it is you to link it", to=CONFIRM, size="small")
    leave = button("Unlink", kind="secondary", size="small", on_click=SettingsState.unlink(one.name))
    return rx.el.div(
        rx.el.span(one.title, class_name="text-muted sm:w-48 shrink-0"),
        rx.cond(one.linked, badge("linked", tone="good"), badge("not linked")),
        rx.el.div(rx.cond(one.linked, leave, rx.cond(SettingsState.proven, join, first)), class_name="ml-auto"),
        class_name="flex flex-wrap items-center gap-3 py-2.5 border-t border-line",
        key=one.name,
    )


def _sessions() -> rx.Component:
    return card(
        table(
            SettingsState.browsers,
            lambda one: (
                rx.el.span(
                    one.device,
                    rx.cond(one.current, rx.fragment(" ", badge("this browser", tone="accent"))),
                    class_name="font-medium",
                ),
                rx.el.span(one.ip, class_name="tabular-nums"),
                time(one.seen, "ago"),
                time(one.opened),
                rx.cond(
                    one.current,
                    "",
                    button("Sign out", kind="ghost", size="small", on_click=SettingsState.end(one.id)),
                ),
            ),
            label="Signed-in browsers",
            columns=("Browser", "Address", "Last seen", "Signed in", ""),
            right=(4,),
            phase=SettingsState.phase,
            empty=empty("No browser", "You are signed in nowhere.", icon="monitor"),
            retry=SettingsState.again,
            key=lambda one: one.id,
        ),
        modal(
            rx.el.p("Every browser is signed out at once, this one too. Your API keys go on working."),
            post_form(
                dialog_actions(
                    button("Sign out everywhere", kind="danger", type="submit"), on_close=SettingsState.ask("")
                ),
                action="/auth/sign-out-everywhere",
            ),
            open=SettingsState.dialog == "everywhere",
            on_close=SettingsState.ask(""),
            title="Sign out everywhere?",
        ),
        title="Where you are signed in",
        lead=rx.fragment(
            "Something you do not know? Sign it out, then change your password. ",
            link("Your data", to="/dashboard/privacy"),
        ),
        action=button("Sign out everywhere", kind="secondary", on_click=SettingsState.ask("everywhere")),
    )


def _corrections() -> rx.Component:
    return card(
        table(
            SettingsState.corrected,
            lambda one: (
                rx.el.span(one.what, class_name="font-medium"),
                rx.cond(one.before != "", one.before, "—"),
                rx.cond(one.after != "", one.after, "—"),
                time(one.at),
                rx.el.span(one.told, class_name="text-muted"),
            ),
            label="What you corrected",
            columns=("What", "Before", "Now", "When", "Who else was told"),
            phase=SettingsState.phase,
            empty=empty(
                "Nothing corrected yet", "What you change above is kept here, with who else was told.", icon="pencil"
            ),
            retry=SettingsState.again,
            key=lambda one: one.id,
        ),
        title="Corrections",
        lead="Kept for 24 months, for you to see. Companies that work for us and hold the old value are told.",
    )


def _when(how: str) -> str:
    """Say when a processor was told, from what is noted of it."""
    if how in ("", corrections.NOTHING_THERE):
        return how or "being told"
    return f"told on {day(datetime.fromisoformat(how))}"


def _proven(me: Person) -> bool:
    try:
        reauthentication.require_recent(me)
    except Refused:
        return False
    return True


def _session_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise NotFound("session") from None
