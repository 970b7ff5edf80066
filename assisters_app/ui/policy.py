"""The privacy policy, from the data that the product is checked against; each sentence can be linked to by its id."""

from dataclasses import dataclass
from typing import Any, Self

import reflex as rx

from assisters_app.base.marks import UNSTATED
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.policies import policy
from assisters_app.privacy.policies.policy import Part, Section
from assisters_app.ui.parts import anchor, badge, card, empty, heading, link, notice, rows, table, time
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public


@dataclass(frozen=True, slots=True)
class GaugeView:
    """The oldest row of one table against its limit. `oldest` is ISO 8601 in UTC, "" when the table is empty."""

    table: str
    title: str
    promise: str
    limit: str
    oldest: str
    kept: bool

    @classmethod
    def of(cls, gauge: retention.Gauge) -> Self:
        """Return what everyone sees of a gauge."""
        oldest = gauge.oldest_at.isoformat() if gauge.oldest_at else ""
        return cls(gauge.table, gauge.title, gauge.promise, gauge.limit, oldest, gauge.kept)


class PolicyState(AppState):
    """The gauges of section 4."""

    phase: str = "loading"
    gauges: list[GaugeView] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read how old the oldest row of each kind is."""
        try:
            async with for_anyone() as tx:
                found = [GaugeView.of(gauge) for gauge in await retention.gauges(tx)]
        except Exception:
            self.phase = "failed"
            raise
        self.gauges = sorted(found, key=lambda gauge: (gauge.promise == UNSTATED, gauge.promise, gauge.title))
        self.phase = "ready"


load = PolicyState.load


def page() -> rx.Component:
    """Draw the page."""
    now = policy.CURRENT
    wrong = policy.differences()
    return public(
        rx.el.div(
            rx.el.aside(_contents(now.sections), class_name="hidden lg:block w-56 shrink-0 sticky top-24 self-start"),
            rx.el.article(
                heading("Privacy Policy", lead="Each sentence has a number that stays, and can be linked to."),
                rows(
                    ("In force since", f"{now.effective_at.day} {now.effective_at:%B %Y}"),
                    ("Version", now.version),
                    ("SHA-256 of the text", rx.el.code(now.sha256, class_name="text-xs break-all")),
                    (
                        "For programs",
                        rx.fragment(_file("The policy", "policy"), " · ", _file("what is stored", "inventory")),
                    ),
                ),
                *[notice(sentence, tone="bad") for sentence in wrong],
                *[_section(section) for section in now.sections],
                class_name="min-w-0 flex-1 max-w-3xl space-y-8",
            ),
            class_name="max-w-6xl mx-auto px-4 sm:px-6 py-8 sm:py-12 flex gap-12",
        )
    )


def _file(words: str, name: str) -> rx.Component:
    return link(words, to=f"/download/{name}.json")


def _contents(sections: tuple[Section, ...]) -> rx.Component:
    lines = [
        rx.el.li(
            anchor(
                f"{section.number}. {section.title}",
                href=f"#section-{section.number}",
                class_name="block py-1 text-[0.8125rem] text-muted hover:text-ink",
            )
        )
        for section in sections
        if section.title
    ]
    return rx.el.nav(rx.el.ul(*lines), aria_label="Sections")


def _section(section: Section) -> rx.Component:
    title = rx.el.h2(
        f"{section.number}. {section.title}", class_name="text-lg font-semibold tracking-tight scroll-mt-24"
    )
    return rx.el.section(
        title if section.title else rx.fragment(),
        *[_part(part) for part in section.parts],
        *_beside(section.number),
        id=f"section-{section.number}",
        class_name="space-y-2.5 scroll-mt-24",
    )


def _part(part: Part) -> rx.Component:
    if part.kind == "heading":
        return rx.el.h3(part.text, class_name="pt-2 font-medium")
    look = {"sentence": "", "item": "pl-4 border-l-2 border-line ", "address": "text-muted "}[part.kind]
    said = _promise(part)
    anchor = {"id": part.id} if part.id else {}
    return rx.el.p(
        rx.el.span(said, class_name="min-w-0 flex-1"),
        _number(part.id) if part.id else rx.fragment(),
        class_name=f"flex items-baseline gap-4 scroll-mt-24 rounded target:bg-accent-soft {look}",
        **anchor,
    )


def _promise(part: Part) -> Any:
    """Return the words; where they speak of a page of ours, as a link to it."""
    pages = {
        "7.3": "/cookies",
        "11.1": "/dashboard/privacy",
        "11.2": "/dashboard/privacy",
        "11.3": "/dashboard/privacy/delete",
    }
    return link(part.text, to=pages[part.id]) if part.id in pages else part.text


def _number(sentence: str) -> rx.Component:
    return anchor(
        sentence,
        href=f"#{sentence}",
        aria_label=f"Link to sentence {sentence}",
        class_name="shrink-0 text-xs text-faint tabular-nums hover:text-accent",
    )


def _beside(number: int) -> list[rx.Component]:
    """Return what stands below a section: where its promises can be looked up."""
    if number == 3:  # noqa: PLR2004 (the policy's own number: who receives data)
        return [rx.el.p(link("Each of them: what for, which data, where, under which safeguard", to="/processors"))]
    if number == 4:  # noqa: PLR2004 (what is kept, and how long)
        return [_gauges()]
    return []


def _gauges() -> rx.Component:
    return card(
        table(
            PolicyState.gauges,
            lambda gauge: (
                rx.el.div(
                    gauge.title, rx.el.code(gauge.table, class_name="block text-xs text-faint"), class_name="min-w-44"
                ),
                rx.el.span(
                    gauge.limit,
                    rx.el.span(gauge.promise, class_name="block text-xs text-faint"),
                    class_name="block min-w-40",
                ),
                time(gauge.oldest, "date", "none"),
                rx.cond(gauge.kept, badge("kept", tone="good"), badge("not currently true", tone="bad")),
            ),
            label="How old the oldest row of each kind is",
            columns=("What", "Kept for", "Oldest", ""),
            phase=PolicyState.phase,
            retry=PolicyState.load,
            key=lambda gauge: gauge.table,
            empty=empty("Nothing is stored", "No table has a row yet."),
        ),
        title="Is this true right now?",
        lead="The oldest row of each table that has a limit, as the last hourly sweep left it. When sweeping stops, this turns "
        "red by itself.",
    )
