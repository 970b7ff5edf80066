"""What everyone may read: the inventory of what is stored, and the record of processing activities (GDPR Art. 30)."""

from starlette.responses import Response

from assisters_app.privacy import activities, inventory, taxonomy
from assisters_app.privacy.activities import Activity, AsProcessor, Transfer
from assisters_app.privacy.inventory import ColumnEntry, TableEntry
from assisters_app.privacy.processors import PROCESSORS
from assisters_app.ui.papers import grid, listed, pairs, paper, text
from assisters_app.ui.privacy.kinds import kind_in_words

FATES = {
    "delete": "goes",
    "keep": "stays",
    "clear": "is emptied",
    "unlink": "is replaced by a number that leads to nobody",
}
NAMES = {processor.id: processor.name for processor in PROCESSORS}


def stored() -> Response:
    """Return every table and column there is, as a document."""
    about = [entry for entry in inventory.inventory() if entry.personal]
    others = [entry for entry in inventory.inventory() if not entry.personal]
    return paper(
        "What we store, column by column",
        '<p class="lead">This page is drawn from the software itself: each column of the database says what it is, what '
        "for, for how long, and what becomes of it when you leave. A column that does not say stops the software from "
        "starting.</p>",
        f'<p class="small">Kinds are named in <a href="{text(taxonomy.SOURCE)}" rel="noreferrer">fideslang</a> '
        f"{text(taxonomy.VERSION.split(',')[0])}. {_also('inventory.json')}</p>",
        _contents(about),
        *[_table(entry) for entry in about],
        '<h2 id="others">What leads to nobody</h2><p class="lead">Tables that describe the product, or hold only what '
        "cannot be turned back into a person.</p>",
        grid("Tables that lead to nobody", ("Table", "What it holds", "How long"), tuple(map(_other, others))),
    )


def record() -> Response:
    """Return the record of processing activities, as a document."""
    kept = activities.record()
    return paper(
        "Record of processing activities",
        '<p class="lead">What GDPR Art. 30 wants written down, read from the same marks as everything else: it cannot '
        "say something that the software does not do.</p>",
        f'<p class="small">{_also("record.json")}</p>',
        '<h2 id="who">Who is responsible</h2>',
        pairs(
            ("Controller", text(kept.controller)),
            ("Contact", text(kept.contact)),
            ("Privacy policy", f'<a href="/privacy-policy">{text(kept.policy_version)}</a>'),
        ),
        *[_activity(activity) for activity in kept.activities],
        _for_customers(kept.as_processor),
        '<h2 id="security">How it is secured</h2>',
        pairs(*[(f"Policy {id_}", text(sentence)) for id_, sentence in kept.security]),
        '<p class="small">Whether each of these holds at this moment stands beside it in the '
        '<a href="/privacy-policy#5.1">privacy policy</a>.</p>',
    )


def _contents(entries: list[TableEntry]) -> str:
    lines = "".join(f'<li><a href="#{text(one.name)}">{text(one.title)}</a></li>' for one in entries)
    return f"<h2>Tables that lead to a person</h2><ul>{lines}</ul>"


def _table(entry: TableEntry) -> str:
    facts = pairs(
        ("What for", listed(tuple(inventory.PURPOSES[p] for p in inventory.PURPOSES if p in entry.purposes)) or "—"),
        ("How long", f"{text(entry.retention)} ({_promise(entry.promise)})"),
        ("When you leave", text(_leaving(entry))),
        ("Who receives it", text(", ".join(NAMES[one] for one in entry.recipients) or "Nobody outside")),
        ("In your copy", "Yes" if entry.exported else "No"),
    )
    columns = ("Column", "Kind", "In fideslang", "When you leave", "In your copy")
    rows = tuple(_column(column) for column in entry.columns)
    return f'<h2 id="{text(entry.name)}">{text(entry.title)}</h2>{facts}{grid(entry.title, columns, rows)}'


def _column(column: ColumnEntry) -> tuple[str, ...]:
    kind = kind_in_words(column.category) if column.category else "says nothing about you"
    copied = "yes" if column.exported else "no"
    return (column.name, kind, column.category or "", FATES[column.on_erase], copied)


def _leaving(entry: TableEntry) -> str:
    if entry.ground is None:
        return "Erased."
    return f"Kept for {entry.retention}: {entry.ground}."


def _promise(promise: str) -> str:
    if not promise[0].isdigit():
        return text(promise)
    return f'policy <a href="/privacy-policy#{text(promise)}">{text(promise)}</a>'


def _other(entry: TableEntry) -> tuple[str, str, str]:
    return entry.name, entry.title, f"{entry.retention} ({entry.promise})"


def _activity(activity: Activity) -> str:
    facts = pairs(
        ("Purpose", f"{_promise(activity.id)}, in fideslang {text(activity.data_use)}"),
        ("Whose data", text(activity.subjects)),
        ("Which data", listed(tuple(map(kind_in_words, activity.categories)))),
        ("How long", listed(tuple(f"{limit.what}: {limit.how_long} ({limit.promise})" for limit in activity.limits))),
    )
    return (
        f'<h2 id="p{text(activity.id)}">{text(activity.purpose)}</h2>{facts}'
        f"{_recipients(f'Recipients: {activity.purpose}', activity.recipients)}"
    )


def _for_customers(activity: AsProcessor) -> str:
    facts = pairs(
        ("For whom", text(activity.controllers)),
        ("What is done", text(activity.processing)),
        ("Whose data", text(activity.subjects)),
        ("How long", listed(tuple(f"{one.what}: {one.how_long} ({one.promise})" for one in activity.limits))),
    )
    return (
        f'<h2 id="for-customers">For our customers, as their processor</h2>{facts}'
        f"{_recipients('Recipients of request content', activity.recipients)}"
    )


def _recipients(caption: str, recipients: tuple[Transfer, ...]) -> str:
    if not recipients:
        return "<p>Nobody outside receives it.</p>"
    columns = ("Who receives it", "Kinds of data", "Where", "Safeguard", "Terms")
    rows = tuple(
        (one.name, "; ".join(map(kind_in_words, one.receives)), one.country, one.safeguard, one.terms)
        for one in recipients
    )
    return grid(caption, columns, rows)


def _also(file: str) -> str:
    return f'For programs: <a href="/download/{file}">{file}</a>.'
