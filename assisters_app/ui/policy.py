"""The privacy policy, alive: beside each sentence whether it is true now, by which check, since when, and which tests.

The words are drawn from the files of the versions; what the checks found is read when the page is opened. A sentence whose
check failed, or was not run for an hour, says "not currently true" for everyone to read.
"""

from dataclasses import dataclass
from typing import Self

import reflex as rx

from assisters_app.privacy import promises, proving
from assisters_app.privacy.inventory import TableEntry
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.policies import policy, versions
from assisters_app.privacy.policies.policy import Part, Policy, Section
from assisters_app.ui import meaning
from assisters_app.ui.moments import day, iso
from assisters_app.ui.parts import anchor, badge, card, heading, link, notice, rows, skeleton, time
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public

PAGES = {  # sentences that speak of a page of ours
    "7.3": "/cookies",
    "11.1": "/dashboard/privacy",
    "11.2": "/dashboard/privacy",
    "11.3": "/dashboard/privacy/delete",
}


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
        oldest = iso(gauge.begun_at)
        return cls(gauge.table, gauge.title, gauge.promise, gauge.limit, oldest, gauge.kept)


@dataclass(frozen=True, slots=True)
class FoundView:
    """What one check found. `state` is holds, broken or unknown; times are ISO 8601 in UTC, "" for never."""

    state: str
    found: str
    since: str
    looked_at: str

    @classmethod
    def of(cls, result: proving.Result) -> Self:
        """Return what everyone sees of a check."""
        since, looked_at = (iso(at) for at in (result.since, result.looked_at))
        return cls(result.state, result.found, since, looked_at)


class PolicyState(AppState):
    """Which version is in force, what its checks found, and the gauges of section 4."""

    phase: str = "loading"
    version: str = policy.CURRENT.version
    coming: str = ""
    coming_on: str = ""
    states: dict[str, str] = {}
    found: dict[str, FoundView] = {}
    untrue: list[str] = []
    checked: int = 0
    looked_at: str = ""
    gauges: dict[str, GaugeView] = {}

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read what is in force, what the checks found, and how old the oldest row of each kind is."""
        try:
            async with for_anyone(self) as tx:
                editions = await versions.editions(tx)
                standing = await proving.standing(tx)
                gauges = {gauge.table: GaugeView.of(gauge) for gauge in await retention.gauges(tx)}
        except Exception:
            self.phase = "failed"
            raise
        self._show_versions(editions)
        self._show(standing)
        self.gauges = gauges
        self.phase = "ready"

    def _show_versions(self, editions: tuple[versions.Edition, ...]) -> None:
        for edition in editions:
            if edition.state == "in force":
                self.version = edition.policy.version
            if edition.state == "announced":
                self.coming, self.coming_on = edition.policy.summary, day(edition.effective_at)

    def _show(self, standing: tuple[proving.Standing, ...]) -> None:
        results = {result.name: result for sentence in standing for result in sentence.results}
        self.states = {sentence.id: sentence.state for sentence in standing}
        self.found = {name: FoundView.of(result) for name, result in results.items()}
        self.untrue = [sentence.id for sentence in standing if not sentence.true]
        self.checked = sum(1 for sentence in standing if sentence.state == "holds")
        looked = [result.looked_at for result in results.values() if result.looked_at]
        self.looked_at = min(looked).isoformat() if looked else ""


load = PolicyState.load


def page() -> rx.Component:
    """Draw the page: the version in force, as the words that this build knows of each version."""
    known = [(one.version, _version(one)) for one in policy.VERSIONS if one.effective_at >= policy.CURRENT.effective_at]
    return public(
        rx.el.div(
            rx.match(PolicyState.version, *known, _version(policy.CURRENT))
            if len(known) > 1
            else _version(policy.CURRENT),
            class_name="max-w-6xl mx-auto px-4 sm:px-6 py-8 sm:py-12",
        )
    )


def _version(one: Policy) -> rx.Component:
    return rx.el.div(
        rx.el.aside(_contents(one.sections), class_name="hidden lg:block w-56 shrink-0 sticky top-24 self-start"),
        rx.el.article(
            heading(
                "Privacy Policy",
                lead="Each sentence is checked against the running system. Open one to see how, and what was found.",
            ),
            _verdict(),
            _coming(),
            rows(
                ("In force since", day(one.effective_at)),
                (
                    "Version",
                    rx.fragment(one.version, " · ", link("What changed, version by version", to="/privacy/history")),
                ),
                ("SHA-256 of the text", rx.el.code(one.sha256, class_name="text-xs break-all")),
                (
                    "For programs",
                    rx.fragment(
                        _file("The policy", "policy"),
                        " · ",
                        _file("what its checks found", "promises"),
                        " · ",
                        _file("what is stored", "inventory"),
                    ),
                ),
            ),
            *[_section(section) for section in one.sections],
            class_name="min-w-0 flex-1 max-w-3xl space-y-8",
        ),
        class_name="flex gap-12",
    )


def _verdict() -> rx.Component:
    """Say in one line whether all of it is true now."""
    held = rx.fragment(
        rx.el.strong("Every sentence is true at the moment. "),
        PolicyState.checked,
        " of them are checked by the clock; the last look was ",
        time(PolicyState.looked_at, "ago"),
        ".",
    )
    broken = rx.fragment(
        rx.el.strong(
            rx.cond(
                PolicyState.untrue.length() == 1,
                "One sentence is not currently true: ",
                rx.fragment(PolicyState.untrue.length(), " sentences are not currently true: "),
            )
        ),
        rx.foreach(
            PolicyState.untrue,
            lambda id_: anchor(
                id_, href="#" + id_, class_name="inline-block mr-2 underline underline-offset-2 tabular-nums"
            ),
        ),
    )
    return rx.el.div(
        rx.match(
            PolicyState.phase,
            ("ready", rx.cond(PolicyState.untrue.length() == 0, notice(held, tone="good"), notice(broken, tone="bad"))),
            ("failed", notice("What the checks found could not be read. Reload the page to try again.", tone="warn")),
            notice(skeleton("h-4 w-80 max-w-full")),
        ),
        role="status",
    )


def _coming() -> rx.Component:
    return rx.cond(
        PolicyState.coming != "",
        notice(
            rx.el.strong("A new version comes into force on ", PolicyState.coming_on, ". "),
            PolicyState.coming,
            action=link("See what changes", to="/privacy/history"),
        ),
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
        class_name="space-y-1 scroll-mt-24",
    )


def _part(part: Part) -> rx.Component:
    if part.kind == "heading":
        return rx.el.h3(part.text, class_name="pt-2 font-medium")
    if not part.id:
        return rx.el.p(part.text, class_name="text-muted")
    bar = "border-l-2 border-line pl-4 py-0.5 -my-0.5 " if part.kind == "item" else ""
    return rx.el.div(
        rx.el.div(
            rx.el.p(link(part.text, to=PAGES[part.id])) if part.id in PAGES else rx.fragment(),
            rx.el.details(
                rx.el.summary(
                    rx.el.span(
                        "How this is checked" if part.id in PAGES else part.text,
                        class_name="min-w-0 flex-1 basis-3/4 sm:basis-0"
                        + (" text-[0.8125rem] text-muted" if part.id in PAGES else ""),
                    ),
                    _mark(part.id),
                    class_name="flex flex-wrap sm:flex-nowrap items-start gap-x-3 rounded py-0.5 hover:bg-raised",
                ),
                _proofs(part.id),
            ),
            rx.el.p(said, class_name="pb-1.5 text-[0.8125rem] text-muted text-pretty")
            if (said := meaning.in_short(part.id))
            else rx.fragment(),
            class_name="min-w-0 flex-1 " + bar,
        ),
        _number(part.id),
        id=part.id,
        class_name="flex items-start gap-4 scroll-mt-24 rounded target:bg-accent-soft",
    )


def _mark(sentence: str) -> rx.Component:
    """Return what a sentence is worth now, in a word; nothing while that is not known."""
    untrue = badge("not currently true", tone="bad")
    good = rx.el.span(
        rx.icon("check", size=15, aria_hidden="true"),
        rx.el.span("true now", class_name="sr-only"),
        class_name="mt-0.5 text-good",
    )
    said = rx.el.span(
        rx.icon("minus", size=15, aria_hidden="true"),
        rx.el.span("a statement", class_name="sr-only"),
        class_name="mt-0.5 text-faint",
    )
    return rx.el.span(
        rx.match(
            PolicyState.states[sentence],
            ("holds", good),
            ("statement", said),
            ("broken", untrue),
            ("unknown", untrue),
            ("unproven", untrue),
            rx.fragment(),
        ),
        rx.icon(
            "chevron-down",
            size=14,
            aria_hidden="true",
            class_name="mt-1 text-faint in-open:rotate-180 transition-transform",
        ),
        class_name="shrink-0 flex items-start gap-1.5",
    )


def _proofs(sentence: str) -> rx.Component:
    """Return what is behind a sentence: its checks and what they found, or why there are none, and its tests."""
    checks = [check for check in promises.checks() if sentence in check.sentences]
    why = promises.statements().get(sentence, "Nothing checks it yet.")
    return rx.el.div(
        meaning.in_full(sentence),
        _kept(meaning.under(sentence)),
        *[_check(check) for check in checks],
        rx.fragment() if checks else rx.el.p(why),
        _tests(proving.tests().get(sentence, ())),
        class_name="my-2 rounded-lg border border-line bg-surface p-3 sm:p-4 space-y-3 text-[0.8125rem] text-muted",
    )


def _check(check: promises.Check) -> rx.Component:
    found = PolicyState.found[check.name]
    return rx.el.div(
        rx.el.p(check.says, class_name="text-ink"),
        rx.cond(
            PolicyState.phase == "ready",
            rx.fragment(
                rx.el.p(found.found, class_name=rx.cond(found.state == "holds", "", "text-bad")),
                rx.el.p(
                    rx.match(
                        found.state,
                        ("holds", rx.fragment("Has held since ", time(found.since))),
                        ("broken", rx.fragment("Broken since ", time(found.since))),
                        rx.fragment("Not run lately, so not called true"),
                    ),
                    ". Looked at ",
                    time(found.looked_at, "ago", "never"),
                    ".",
                    class_name="text-xs text-faint",
                ),
            ),
        ),
        class_name="space-y-0.5",
    )


def _tests(tests: tuple[proving.Proof, ...]) -> rx.Component:
    if not tests:
        return rx.fragment()
    return rx.el.div(
        rx.el.p("Proven by these tests on every change of the software:", class_name="text-ink"),
        rx.el.ul(
            *[rx.el.li(test.words, title=test.file) for test in tests], class_name="mt-0.5 list-disc pl-5 space-y-0.5"
        ),
    )


def _number(sentence: str) -> rx.Component:
    return anchor(
        sentence,
        href=f"#{sentence}",
        aria_label=f"Link to sentence {sentence}",
        class_name="shrink-0 w-8 text-right pt-1 text-xs text-faint tabular-nums hover:text-accent",
    )


def _beside(number: int) -> list[rx.Component]:
    """Return what stands below a section: where its promises can be looked up."""
    if number == 3:  # noqa: PLR2004 (the policy's own number: who receives data)
        return [rx.el.p(link("Each of them: what for, which data, where, under which safeguard", to="/processors"))]
    if number == 4:  # noqa: PLR2004 (what is kept, and how long)
        return [_unstated()]
    return []


def _kept(entries: tuple[TableEntry, ...]) -> rx.Component:
    """Return what is kept by one rule, and how old the oldest of each is."""
    if not entries:
        return rx.fragment()
    return rx.el.div(
        rx.el.p("What it means exactly, and how old the oldest is now:", class_name="text-ink"),
        rx.el.ul(*[_gauge(entry) for entry in entries], class_name="mt-1 divide-y divide-line"),
    )


def _gauge(entry: TableEntry) -> rx.Component:
    """Return one line: a kind of thing, its oldest as the last sweep left it, and whether that is within its limit."""
    gauge = PolicyState.gauges[entry.name]
    late = rx.cond(
        gauge.kept,
        rx.fragment(
            rx.icon("check", size=14, aria_hidden="true", class_name="shrink-0 text-good"),
            rx.el.span("within its limit", class_name="sr-only"),
        ),
        badge("not currently true", tone="bad"),
    )
    known = rx.el.span(
        time(gauge.oldest, "date", "none now"), late, class_name="inline-flex items-center gap-1.5 tabular-nums"
    )
    return rx.el.li(
        link(entry.title, to=f"/privacy/inventory#{entry.name}"),
        rx.cond(PolicyState.phase == "ready", known) if entry.ends else rx.fragment(),
        class_name="flex flex-wrap justify-between gap-x-4 py-1.5",
    )


def _unstated() -> rx.Component:
    """Return the rules that the policy does not state: ours, and shown as such."""
    return card(
        rx.el.div(
            *[
                rx.el.div(
                    rx.el.h3(rule, class_name="font-medium"),
                    rx.el.ul(*[_gauge(entry) for entry in entries], class_name="mt-0.5 divide-y divide-line"),
                )
                for rule, entries in meaning.unstated().items()
            ],
            class_name="space-y-5 text-[0.8125rem]",
        ),
        title="Not stated in the policy",
        lead="What else is kept, and how long: our own rules. Beside each stands its oldest, as the last hourly sweep left it; "
        "when sweeping stops, this turns red by itself.",
        class_name="mt-4",
    )
