"""Marks: what each column is, why it is kept, until when, and what erasure does to it.

A table names its `rows` once (whose they are, how long they stay, what erasure does to them); a column is either
`personal(...)` or `plain(...)`. The inventory, access, export, erasure, retention, log redaction and the tests are all
read from these marks, so a new table needs nothing else. `check()` stops the app when one is missing.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Table
from sqlmodel import Field, SQLModel

from assisters_app.base.clock import months_later
from assisters_app.base.sealed_text import Sealed

SQLModel.metadata.naming_convention = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Purpose(StrEnum):
    """The eight purposes of the policy's section 2. No other value exists."""

    SERVICE = "2.1"
    PAYMENTS = "2.2"
    LIMITS = "2.3"
    SECURITY = "2.4"
    NOTICES = "2.5"
    SUPPORT = "2.6"
    IMPROVEMENT = "2.7"
    LAW = "2.8"


class OnErase(StrEnum):
    """What erasure does to a person's row, or to one personal column of a row that must stay."""

    DELETE = "delete"
    KEEP = "keep"  # the law needs the row: its personal columns are erased one by one
    CLEAR = "clear"  # a column: set to NULL, or to its empty value ('', 0, {}) where NULL is not allowed
    UNLINK = "unlink"  # a column that leads to the person: replaced by a random pseudonym, one per erasure


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows stay, counted from the column their table names: a span, calendar months, or neither.

    With neither, rows stay until the account is erased (or for good, where they lead to nobody).
    """

    id: str
    promise: str  # the sentence of the policy, or "not stated in the policy"
    period: timedelta | None
    sentence: str
    months: int | None = None

    @property
    def ends(self) -> bool:
        """True when rows go by age alone."""
        return self.period is not None or self.months is not None

    def end(self, since: datetime) -> datetime:
        """Return when a row counted from `since` goes; only for a rule that ends."""
        return since + self.period if self.period else months_later(since, self.months or 0)

    def cutoff(self, at: datetime) -> datetime:
        """Return the moment before which rows are too old at `at`; only for a rule that ends."""
        return at - self.period if self.period else months_later(at, -(self.months or 0))


ACCOUNT = Retention("account", "4.1", None, "Until account deletion + 30 days")
REQUEST_LOGS = Retention("request-logs", "4.2", timedelta(days=30), "30 days")
REQUEST_CONTENT = Retention("request-content", "4.3", timedelta(hours=24), "24 hours")
USAGE_ANALYTICS = Retention("usage-analytics", "4.4", None, "13 months", months=13)
BILLING = Retention("billing", "4.5", None, "7 years", months=84)
UNSTATED = "not stated in the policy"
ERROR_LOGS = Retention("error-logs", UNSTATED, timedelta(days=30), "30 days")
AUDIT_TRAIL = Retention("audit-trail", UNSTATED, None, "13 months", months=13)
REGISTER = Retention("register", UNSTATED, None, "24 months after the end", months=24)
SUPPRESSION = Retention("suppression", UNSTATED, None, "A keyed hash only, until withdrawn")
SUPPORT = Retention("support", UNSTATED, None, "Until account deletion + 30 days")
SHORT_LIVED = Retention("short-lived", UNSTATED, timedelta(days=7), "7 days after it has served")
PRODUCT = Retention("product", UNSTATED, None, "Describes the product, not a person; kept")


@dataclass(frozen=True, slots=True)
class Rows:
    """What a table's rows are: how they lead to a person, how long they stay, what erasure does to them.

    Exactly one of `account` (column holding an account id), `organization` (column holding an organization id),
    or neither (rows lead to nobody). `since` names the timestamp column that retention counts from.
    """

    title: str  # for people: "Sign-in sessions"
    retention: Retention
    account: str | None = None
    organization: str | None = None
    mentions: tuple[str, ...] = ()  # other columns that hold an account id; unlinked when that account is erased
    since: str = "created_at"  # while it is NULL the row has not ended, and no sweep takes it; erasure ends it
    told: str | None = None  # while this is NULL the row is kept from its person, because an order of secrecy wants it
    on_erase: OnErase = OnErase.DELETE
    ground: str | None = None  # why rows stay after erasure, for a person to read; required with KEEP
    export: bool = True


@dataclass(frozen=True, slots=True)
class Mark:
    """What one column is. `category` is a fideslang data category when personal, else None."""

    category: str | None = None
    purposes: tuple[Purpose, ...] = ()
    on_erase: OnErase = OnErase.DELETE
    export: bool = True
    recipients: tuple[str, ...] = ()  # processors that receive it, by their id in the registry
    collected_as: str | None = None  # the line of the policy's section 1 that names it, such as "1.1"
    about: str | None = (
        None  # the mentioned account this speaks of, where it is not the row's owner: a staff member's IP
    )


DATABASE = ("supabase",)
EMAIL = "user.contact.email"


def personal(  # noqa: PLR0913 (one word for each thing a mark says)
    category: str,
    *purposes: Purpose,
    collected_as: str,
    on_erase: OnErase = OnErase.DELETE,
    export: bool = True,
    recipients: tuple[str, ...] = DATABASE,
    about: str | None = None,
    **field: Any,  # noqa: ANN401 (handed on to SQLModel's Field)
) -> Any:  # noqa: ANN401 (Field's own type)
    """Mark a column that says something about a person; other words go to SQLModel's `Field`.

    A column of e-mail addresses is sealed in the database (`base.sealed_text`).
    """
    if not purposes:
        raise TypeError(f"A personal column ({category}) needs at least one purpose.")
    if category == EMAIL:
        field = {"sa_type": Sealed, **field}
    return _field(Mark(category, purposes, on_erase, export, recipients, collected_as, about), field)


def plain(*, export: bool = True, **field: Any) -> Any:  # noqa: ANN401 (as above)
    """Mark a column that says nothing about a person; `export=False` where it would only confuse the reader."""
    return _field(Mark(export=export), field)


def _field(mark: Mark, field: dict[str, Any]) -> Any:  # noqa: ANN401
    if "sa_column" in field:
        raise TypeError("Give sa_type and sa_column_kwargs rather than sa_column, so that the mark can be set.")
    kwargs = dict(field.pop("sa_column_kwargs", {}))
    kwargs["info"] = {**kwargs.get("info", {}), "mark": mark}
    return Field(sa_column_kwargs=kwargs, **field)


def mark_of(column: Column[Any]) -> Mark:
    """Return the mark of a column; raise LookupError with a sentence that says how to mark it."""
    mark = column.info.get("mark")
    if not isinstance(mark, Mark):
        raise LookupError(  # noqa: TRY004 (the mark is missing, not of a wrong type)
            f"{column.table.name}.{column.name} is not marked. Write personal(category, purpose, collected_as=…) "
            "when it says something about a person, plain() when it does not (assisters_app/base/marks.py)."
        )
    return mark


def rows_of(table: Table) -> Rows:
    """Return what a table's rows are; raise LookupError with a sentence when the table does not say."""
    rows = table.info.get("rows")
    if not isinstance(rows, Rows):
        raise LookupError(  # noqa: TRY004 (as above)
            f"Table {table.name} does not say whose rows it holds. Add "
            '__table_args__ = {"info": {"rows": Rows(…)}} (assisters_app/base/marks.py).'
        )
    return rows


def check() -> None:
    """Read every mark of every table; raise LookupError with one sentence per thing that is wrong."""
    problems = []
    for table in SQLModel.metadata.sorted_tables:
        try:
            rows = rows_of(table)
        except LookupError as missing:
            problems.append(str(missing))
            continue
        problems += _contradictions(table, rows)
    if problems:
        raise LookupError("\n".join(problems))


def _contradictions(table: Table, rows: Rows) -> list[str]:
    owner = rows.account or rows.organization
    problems = [
        f"{table.name}.{mention} should hold a mentioned account id: a column of its own without a foreign key."
        for mention in rows.mentions
        if mention not in table.c or table.c[mention].foreign_keys
    ]
    if rows.account and rows.organization:
        problems.append(f"{table.name} leads to a person in two ways; name the account or the organization.")
    if owner and owner not in table.c:
        problems.append(f"{table.name} has no column {owner}, which should lead to the person.")
    if rows.told and rows.told not in table.c:
        problems.append(f"{table.name} has no column {rows.told} that says when its person may read the row.")
    if rows.retention.ends and rows.since not in table.c:
        problems.append(f"{table.name} has no column {rows.since} to count its retention from.")
    if rows.on_erase is OnErase.KEEP and not (rows.ground and rows.retention.ends):
        problems.append(f"{table.name} is kept after erasure but names no ground, or no end, that a person could read.")
    for column in table.c:
        try:
            problems += _column_contradictions(column, rows, mark_of(column))
        except LookupError as missing:
            problems.append(str(missing))
    return problems


def _column_contradictions(column: Column[Any], rows: Rows, mark: Mark) -> list[str]:
    name, kept = f"{column.table.name}.{column.name}", rows.on_erase is OnErase.KEEP
    leads = column.name in (rows.account, rows.organization)
    problems = []
    if mark.category and not (rows.account or rows.organization):
        problems.append(f"{name} is personal, but its table's rows lead to nobody.")
    if mark.category and kept and mark.on_erase is OnErase.DELETE:
        problems.append(f"{name} stays with its row; say keep, clear or unlink.")
    if kept and leads and mark.on_erase is not OnErase.UNLINK:
        problems.append(f"{name} leads to the person from a row that stays; say unlink.")
    if kept and any(_goes(key.column.table) for key in column.foreign_keys):
        problems.append(f"{name} would keep a row that erasure deletes; take the foreign key away.")
    if mark.about and mark.about not in rows.mentions:
        problems.append(f"{name} is about {mark.about}, which the table does not mention.")
    return problems


def _goes(table: Table) -> bool:
    return rows_of(table).on_erase is OnErase.DELETE and bool(rows_of(table).account or rows_of(table).organization)
