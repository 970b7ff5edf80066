"""Every version of the privacy policy, and what each changed in the one before: published versions never change."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.privacy.policies import policy, versions
from assisters_app.privacy.policies.policy import Change
from assisters_app.ui.moments import day
from assisters_app.ui.parts import badge, card, failed, heading, rows, skeleton
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public

TONES = {"in force": "good", "announced": "warn", "superseded": "plain", "draft": "plain"}


@dataclass(frozen=True, slots=True)
class PieceView:
    """Some words of a changed sentence. `kind` is same, gone or new."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class ChangeView:
    """One sentence that a version changes. `kind` is changed, new, or gone."""

    id: str
    kind: str
    pieces: list[PieceView]

    @classmethod
    def of(cls, change: Change) -> Self:
        """Return what everyone sees of a change."""
        kind = "new" if not change.before else "gone" if not change.after else "changed"
        return cls(change.id, kind, [PieceView(one.kind, one.text) for one in policy.pieces(change)])


@dataclass(frozen=True, slots=True)
class EditionView:
    """One published version; its days are those of UTC, in words."""

    version: str
    state: str
    tone: str
    material: bool
    summary: str
    published_on: str
    effective_on: str
    sha256: str
    changes: list[ChangeView]

    @classmethod
    def of(cls, edition: versions.Edition) -> Self:
        """Return what everyone sees of a version."""
        return cls(
            version=edition.policy.version,
            state=edition.state,
            tone=TONES[edition.state],
            material=edition.policy.material,
            summary=edition.policy.summary,
            published_on=day(edition.published_at),
            effective_on=day(edition.effective_at),
            sha256=edition.policy.sha256,
            changes=[ChangeView.of(change) for change in edition.changes],
        )


class PolicyHistoryState(AppState):
    """The published versions, the newest first."""

    phase: str = "loading"
    editions: list[EditionView] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read which versions were published; drafts are nobody's business yet."""
        try:
            async with for_anyone(self) as tx:
                found = await versions.editions(tx)
        except Exception:
            self.phase = "failed"
            raise
        self.editions = [EditionView.of(one) for one in found if one.state != "draft"]
        self.phase = "ready"


load = PolicyHistoryState.load


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Versions of the privacy policy",
                lead="A published version never changes; its fingerprint is kept where it can be compared. Material changes are "
                "told to everybody 30 days ahead.",
            ),
            rx.match(
                PolicyHistoryState.phase,
                ("failed", failed(PolicyHistoryState.load)),
                ("ready", rx.foreach(PolicyHistoryState.editions, _edition)),
                card(skeleton("h-4 w-64 max-w-full")),
            ),
            class_name="max-w-3xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def changed(change: Any) -> rx.Component:
    """Return one changed sentence: its number, and word by word what it said and says now."""
    return rx.el.div(
        rx.el.p(
            change.id,
            rx.match(
                change.kind,
                ("new", rx.el.span(" · new", class_name="text-good")),
                ("gone", rx.el.span(" · no longer there", class_name="text-bad")),
                rx.fragment(),
            ),
            class_name="text-xs text-faint tabular-nums",
        ),
        rx.el.p(rx.foreach(change.pieces, _piece), class_name="leading-7"),
        class_name="space-y-1",
    )


def _piece(piece: Any) -> rx.Component:
    """Return some words: what is gone is crossed out, what is new underlined, so that no colour has to say it."""
    return rx.match(
        piece.kind,
        (
            "gone",
            rx.el.del_(
                piece.text, class_name="rounded-sm bg-bad-soft px-0.5 line-through decoration-bad whitespace-pre-wrap"
            ),
        ),
        (
            "new",
            rx.el.ins(
                piece.text,
                class_name="rounded-sm bg-good-soft px-0.5 underline decoration-good underline-offset-4 whitespace-pre-wrap",
            ),
        ),
        rx.el.span(piece.text, class_name="whitespace-pre-wrap"),
    )


def _edition(edition: Any) -> rx.Component:
    return card(
        rows(
            ("In force from", edition.effective_on),
            ("Published", edition.published_on),
            ("SHA-256 of the text", rx.el.code(edition.sha256, class_name="text-[0.6875rem] break-all")),
        ),
        rx.cond(
            edition.changes.length() > 0,
            rx.el.div(
                rx.el.h3("What changed", class_name="font-medium"),
                rx.foreach(edition.changes, changed),
                class_name="mt-4 space-y-4",
            ),
        ),
        title=edition.version,
        lead=edition.summary,
        action=rx.el.div(
            rx.cond(edition.material, badge("material", tone="warn")),
            badge(edition.state, tone=edition.tone),
            class_name="flex gap-2",
        ),
    )
