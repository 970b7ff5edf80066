"""The copy of a person's data (Art. 15) as a document: to read, to search, to print. `pdf_copy` says the same."""

from starlette.responses import Response

from assisters_app.privacy.rights.access import SHOWN, Context, Copy, Section
from assisters_app.ui.papers import grid, listed, pairs, paper, text
from assisters_app.ui.privacy.kinds import kind_in_words

TITLE = "Your data at Assisters"
ACTS = (
    '<p class="acts" data-noprint><a class="button" href="/download/copy.pdf" download>Download as PDF</a>'
    '<button type="button" data-print hidden>Print</button> <a href="/dashboard/privacy">Back to privacy</a></p>'
)
Facts = tuple[tuple[str, str | tuple[str, ...]], ...]


def document(copy: Copy) -> Response:
    """Return the whole answer to a request for access."""
    return paper(
        TITLE,
        f'<p class="lead">{text(lead(copy))}</p>',
        ACTS,
        _contents(copy),
        _context(copy.context),
        *[_section(section) for section in copy.sections],
    )


def lead(copy: Copy) -> str:
    """Return what the copy is, in a sentence or two."""
    return (
        f"Yes, we process data about you. This is everything we hold about {copy.email}, as it was on "
        f"{copy.made_at:%d %B %Y at %H:%M} UTC. Privacy policy {copy.policy_version}."
    )


def context_facts(context: Context) -> Facts:
    """Return what Art. 15(1) lists, but for the recipients, as names with what is to be said."""
    return (
        ("Who is responsible", context.controller),
        ("What for", context.purposes),
        ("Kinds of data", _kinds(context.categories)),
        ("How long", context.periods),
        ("Where it comes from", context.source),
        ("Decisions by software", context.automated_decisions),
        ("Your rights", context.rights),
        ("Complaints", context.complaint),
        ("Stored but not shown", context.withheld or "Nothing"),
    )


def recipients(context: Context) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Return the columns and rows of the table of those who receive data (Art. 15(1)(c) and (2))."""
    return ("Who", "What for", "Kinds of data", "Where", "Safeguard", "Terms"), tuple(
        (r.name, r.purpose, _kinds(r.categories), r.country, r.safeguard, r.terms) for r in context.recipients
    )


def section_facts(section: Section) -> Facts:
    """Return why a table is there, for how long, and who receives it."""
    return (
        ("Why we have it", "; ".join(section.why) or "It describes how the product works for you"),
        ("How long", section.kept),
        ("Who receives it", ", ".join(section.receives) or "Nobody outside"),
    )


def shortened(section: Section) -> str:
    """Return a sentence when not all rows are shown, else nothing."""
    if section.total == len(section.rows):
        return ""
    return f"The newest {SHOWN} of {section.total:,} are shown; all of them are in the export."


def _contents(copy: Copy) -> str:
    lines = "".join(
        f'<li><a href="#{text(section.name)}">{text(section.title)}</a> <span class="small">{section.total:,}</span></li>'
        for section in copy.sections
    )
    return (
        '<h2>What is in this copy</h2><ul><li><a href="#context">Why we have it, who receives it, your rights</a></li>'
        f"{lines}</ul>"
    )


def _context(context: Context) -> str:
    columns, rows = recipients(context)
    return (
        '<h2 id="context">What the law wants you to know (GDPR Art. 15)</h2>'
        + _pairs(context_facts(context))
        + "<p>Who receives it, and what protects it there:</p>"
        + grid("Recipients", columns, rows)
    )


def _section(section: Section) -> str:
    more = shortened(section)
    note = f'<p class="small">{more}</p>' if more else ""
    rows = grid(section.title, section.columns, section.rows) if section.rows else '<p class="lead">Nothing.</p>'
    return f'<h2 id="{text(section.name)}">{text(section.title)}</h2>{_pairs(section_facts(section))}{note}{rows}'


def _pairs(facts: Facts) -> str:
    return pairs(*[(name, text(said) if isinstance(said, str) else listed(said)) for name, said in facts])


def _kinds(names: tuple[str, ...]) -> str:
    return "; ".join(kind_in_words(name) for name in names) or "nothing that says anything about you"
