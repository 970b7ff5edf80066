"""The list of keys, and the one dialog that may be open over it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

import reflex as rx

from assisters_app.base.clock import now
from assisters_app.base.errors import Refused
from assisters_app.base.money import dollars
from assisters_app.gateway import catalog
from assisters_app.keys import keys
from assisters_app.keys.keys import KeyView
from assisters_app.keys.terms import SPANS, Span, Window
from assisters_app.ui.amounts import Amount
from assisters_app.ui.keys import asked
from assisters_app.ui.keys.asked import Filled
from assisters_app.ui.moments import iso
from assisters_app.ui.parts.lines import line
from assisters_app.ui.session import AppState, access, loading, signed_in
from assisters_app.usage import periods, reports, spending
from assisters_app.usage.reports import Series

GRACES = {"0": timedelta(), "1": timedelta(hours=1), "24": timedelta(hours=24), "168": timedelta(days=7)}
DIALOGS = ("new", "edit", "rotate", "revoke")
NEARLY = 80  # percent of a budget from which it is shown as nearly spent
ITS: dict[Span, str] = {"day": "today", "week": "this week", "month": "this month"}


@dataclass(frozen=True, slots=True)
class BudgetRow:
    """One budget of a key: what is spent of it, and when it is whole again (ISO 8601 in UTC)."""

    span: str
    spent: str
    budget: str
    percent: int
    tone: str  # "bad" when nothing is left, "warn" from four fifths on
    again: str

    @classmethod
    def of(cls, span: Span, spent: int, budget: int) -> Self:
        """Return what is shown of a budget of nano-USD."""
        percent = min(100, spent * 100 // budget)
        tone = "bad" if spent >= budget else "warn" if percent >= NEARLY else ""
        again = Window.of(now()).ends(span).isoformat()
        return cls(ITS[span], Amount.of(spent).short, dollars(budget), percent, tone, again)


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key in the list. Times are ISO 8601 in UTC, "" for never; `line` draws thirty days of its requests."""

    handle: str
    name: str
    prefix: str
    mode: str
    may: str
    limits: list[str]
    budgets: list[BudgetRow]
    created: str
    last_used: str
    ends: str
    ended: str
    why_ended: str
    old_secret_until: str
    requests: int
    line: str

    @classmethod
    def of(cls, key: KeyView, used: Series | None = None, spent: Sequence[int] = (0, 0, 0)) -> Self:
        """Return what the list shows of a key, of what it was `used` for, and what it has `spent` in each span."""
        return cls(
            handle=key.handle,
            name=key.name,
            prefix=key.prefix,
            mode=key.mode,
            may=", ".join(key.terms.scopes),
            limits=_limits(key),
            budgets=_budgets(key, spent),
            created=key.created_at.isoformat(),
            last_used=iso(key.last_used_at),
            ends=iso(key.expires_at),
            ended=iso(key.revoked_at or key.expires_at),
            why_ended="found in public" if key.leaked_at else "revoked" if key.revoked_at else "expired",
            old_secret_until=iso(key.old_secret_until),
            requests=used.total.requests if used else 0,
            line=line([point.sums.requests for point in used.points]) if used else "",
        )


class KeysState(AppState):
    """The list, and the one dialog that may be open: "" | "new" | "secret" | "edit" | "rotate" | "revoke"."""

    phase: str = "loading"
    rows: list[KeyRow] = []
    ended: list[KeyRow] = []
    dialog: str = ""
    problem: str = ""
    wrong: str = ""  # the field that `problem` is about
    handle: str = ""
    name: str = ""
    filled: Filled = Filled.of(None, ())
    secret: str = ""

    @rx.event
    @access("member")
    async def load(self) -> None:
        """Read the keys, what each was used for in thirty days, and what it has spent of its budgets."""
        async with loading(self) as (tx, me):
            month = periods.days(periods.zone_named(me.time_zone), 30)
            used: dict[UUID, Series] = await reports.key_sparklines(tx, reports.own(me), month)
            around = Window.of(now())
            spent = await spending.by_key(tx, me, [around.begins(span) for span in SPANS])
            live = await keys.live(tx, me)
            self.rows = [KeyRow.of(key, used.get(key.id), spent.get(key.id, (0, 0, 0))) for key in live]
            self.ended = [KeyRow.of(key) for key in await keys.ended(tx, me)]

    @rx.event
    @access("member")
    async def ask(self, dialog: str, handle: str) -> None:
        """Open a dialog, about one key or ("") a new one."""
        if dialog not in DIALOGS or (handle == "") != (dialog == "new"):
            self._tell("That key does not exist.", "bad")
            return
        async with signed_in() as (tx, me):
            about = await keys.one(tx, me, handle) if handle else None
            self.filled = Filled.of(about, (await catalog.offered(tx)).values())
        self.dialog, self.problem, self.wrong, self.secret = dialog, "", "", ""
        self.handle, self.name = (about.handle, about.name) if about else ("", "")

    @rx.event
    @access("member")
    async def close(self) -> None:
        """Close whichever dialog is open."""
        self.dialog, self.problem, self.wrong, self.secret = "", "", "", ""

    @rx.event
    @access("member")
    async def create(self, sent: dict[str, Any]) -> Any:
        """Make a key and show its secret."""
        try:
            async with signed_in() as (tx, me):
                issued = await keys.issue(tx, me, asked.new_key(sent))
        except Refused as refused:
            self._refuse(refused)
            return
        self.name = issued.key.name
        self.dialog, self.secret = "secret", issued.secret.reveal()
        yield KeysState.load
        self._keep_no_secret()

    @rx.event
    @access("member")
    async def change(self, sent: dict[str, Any]) -> Any:
        """Give the key another name, other terms, or both."""
        try:
            changed = await self._change(sent)
        except Refused as refused:
            self._refuse(refused)
            return None
        self.dialog = ""
        self._tell(f"“{changed.name}” is changed. Every worker knows within a second.")
        return KeysState.load

    @rx.event
    @access("member")
    async def rotate(self, sent: dict[str, Any]) -> Any:
        """Give the key another secret and show it."""
        try:
            async with signed_in() as (tx, me):
                issued = await keys.rotate(tx, me, self.handle, GRACES.get(str(sent.get("grace")), keys.GRACE))
        except Refused as refused:
            self._refuse(refused)
            return
        self.dialog, self.secret = "secret", issued.secret.reveal()
        yield KeysState.load
        self._keep_no_secret()

    @rx.event
    @access("member")
    async def revoke(self, sent: dict[str, Any]) -> Any:  # noqa: ARG002 (a form always sends itself)
        """End the key for good."""
        self.dialog = ""
        async with signed_in() as (tx, me):
            ended = await keys.revoke(tx, me, self.handle)
        self._tell(f"“{ended.name}” is revoked. It no longer works anywhere.")
        return KeysState.load

    async def _change(self, sent: Mapping[str, Any]) -> KeyView:
        async with signed_in() as (tx, me):
            before = await keys.one(tx, me, self.handle)
            wanted, name = asked.terms(sent), str(sent.get("name", ""))
            after = await keys.rename(tx, me, self.handle, name) if name != before.name else before
            return await keys.restrict(tx, me, self.handle, wanted) if wanted != before.terms else after

    def _refuse(self, refused: Refused) -> None:
        self.problem, self.wrong = str(refused), refused.field or ""

    def _keep_no_secret(self) -> None:
        """Forget the secret here, without telling the browser, where it is being shown: it is kept nowhere else."""
        self.secret = ""
        self.dirty_vars.discard("secret")


load = KeysState.load


def _limits(key: KeyView) -> list[str]:
    """Return what a key is restricted to, each in a few words."""
    terms, limits = key.terms, []
    if terms.models:
        limits.append(terms.models[0] if len(terms.models) == 1 else f"{len(terms.models)} models")
    if terms.requests_per_minute:
        limits.append(f"{terms.requests_per_minute:,} requests a minute")
    if terms.tokens_per_minute:
        limits.append(f"{terms.tokens_per_minute:,} tokens a minute")
    if terms.concurrency:
        limits.append(f"{terms.concurrency:,} at the same time")
    for kept, one, many in ((terms.networks, "from", "addresses"), (terms.domains, "on", "domains")):
        if kept:
            limits.append(f"{one} {kept[0]}" if len(kept) == 1 else f"{one} {len(kept)} {many}")
    return limits


def _budgets(key: KeyView, spent: Sequence[int]) -> list[BudgetRow]:
    budgets = key.terms.budgets
    return [
        BudgetRow.of(span, so_far, budgets[span]) for span, so_far in zip(SPANS, spent, strict=True) if span in budgets
    ]
