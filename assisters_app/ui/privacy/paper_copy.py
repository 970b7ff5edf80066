"""The copy of a person's data (Art. 15) as a document: to read, to search, to print."""

from starlette.responses import Response

from assisters_app.privacy.rights.access import SHOWN, Context, Copy, Section
from assisters_app.ui.papers import grid, listed, pairs, paper, text
from assisters_app.ui.privacy.kinds import kind_in_words

PRINT = '<button type="button" data-print hidden>Print or save as PDF</button>'


def document(copy: Copy) -> Response:
    """Return the whole answer to a request for access."""
    return paper(
        "Your data at Assisters",
        f'<p class="lead">Everything we hold about {text(copy.email)}, as it was on '
        f"{copy.made_at:%d %B %Y at %H:%M} UTC. Privacy policy {text(copy.policy_version)}.</p>",
        f'<p class="acts" data-noprint>{PRINT} <a href="/dashboard/privacy">Back to privacy</a></p>',
        _contents(copy),
        _context(copy.context),
        *[_section(section) for section in copy.sections],
    )


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
    recipients = tuple(
        (r.name, r.purpose, _kinds(r.categories), r.country, r.safeguard, r.terms) for r in context.recipients
    )
    return (
        '<h2 id="context">What the law wants you to know (GDPR Art. 15)</h2>'
        + pairs(
            ("Who is responsible", text(context.controller)),
            ("What for", listed(context.purposes)),
            ("Kinds of data", text(_kinds(context.categories))),
            ("Where it comes from", text(context.source)),
            ("Decisions by software", text(context.automated_decisions)),
            ("Your rights", listed(context.rights)),
            ("Complaints", text(context.complaint)),
            ("Stored but not shown", listed(context.withheld) if context.withheld else "Nothing"),
        )
        + "<p>Who receives it, and what protects it there:</p>"
        + grid("Recipients", ("Who", "What for", "Kinds of data", "Where", "Safeguard", "Terms"), recipients)
    )


def _section(section: Section) -> str:
    facts = pairs(
        ("Why we have it", text("; ".join(section.why)) or "It describes how the product works for you"),
        ("How long", text(section.kept)),
        ("Who receives it", text(", ".join(section.receives)) or "Nobody outside"),
    )
    more = f"The newest {SHOWN} of {section.total:,} are shown; all of them are in the export."
    note = f'<p class="small">{more}</p>' if section.total > len(section.rows) else ""
    rows = grid(section.title, section.columns, section.rows) if section.rows else '<p class="lead">Nothing.</p>'
    return f'<h2 id="{text(section.name)}">{text(section.title)}</h2>{facts}{note}{rows}'


def _kinds(names: tuple[str, ...]) -> str:
    return "; ".join(kind_in_words(name) for name in names) or "nothing that says anything about you"
