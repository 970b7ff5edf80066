"""Marks: what each column is, why it is kept, until when, and what erasure does to it.

A table names its `rows` once (whose they are, how long they stay, what erasure does to them); a column is either
`personal(...)` or `plain(...)`. The inventory, access, export, erasure, retention, log redaction and the tests are all
read from these marks, so a new table needs nothing else. `check()` stops the app when one is missing.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any

from sqlalchemy import Column, Table
from sqlmodel import Field, SQLModel

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
    CLEAR = "clear"  # a column: set to NULL, or to '' where NULL is not allowed
    UNLINK = "unlink"  # a column that leads to the person: replaced by a random pseudonym, one per erasure


@dataclass(frozen=True, slots=True)
class Retention:
    """How long rows stay. `period` counts from the column named by the table; None: until the account is erased."""

    id: str
    promise: str  # the sentence of the policy, or "not stated in the policy"
    period: timedelta | None
    sentence: str


ACCOUNT = Retention("account", "4.1", None, "Until account deletion + 30 days")
REQUEST_LOGS = Retention("request-logs", "4.2", timedelta(days=30), "30 days")
REQUEST_CONTENT = Retention("request-content", "4.3", timedelta(hours=24), "24 hours")
USAGE_ANALYTICS = Retention("usage-analytics", "4.4", timedelta(days=396), "13 months")  # swept by calendar month
BILLING = Retention("billing", "4.5", timedelta(days=2557), "7 years")  # swept by calendar year
UNSTATED = "not stated in the policy"
ERROR_LOGS = Retention("error-logs", UNSTATED, timedelta(days=30), "30 days")
AUDIT_TRAIL = Retention("audit-trail", UNSTATED, timedelta(days=396), "13 months")
REGISTER = Retention("register", UNSTATED, timedelta(days=731), "24 months after the end")
SUPPRESSION = Retention("suppression", UNSTATED, None, "A keyed hash only, until withdrawn")
SHORT_LIVED = Retention("short-lived", UNSTATED, timedelta(days=7), "7 days at most")
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
    since: str = "created_at"
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


DATABASE = ("supabase",)


def personal(
    category: str,
    *purposes: Purpose,
    collected_as: str,
    on_erase: OnErase = OnErase.DELETE,
    export: bool = True,
    recipients: tuple[str, ...] = DATABASE,
    **field: Any,  # noqa: ANN401 (handed on to SQLModel's Field)
) -> Any:  # noqa: ANN401 (Field's own type)
    """Mark a column that says something about a person; other words go to SQLModel's `Field`."""
    if not purposes:
        raise TypeError(f"A personal column ({category}) needs at least one purpose.")
    return _field(Mark(category, purposes, on_erase, export, recipients, collected_as), field)


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
    problems = []
    owner = rows.account or rows.organization
    if rows.account and rows.organization:
        problems.append(f"{table.name} leads to a person in two ways; name the account or the organization.")
    if owner and owner not in table.c:
        problems.append(f"{table.name} has no column {owner}, which should lead to the person.")
    if rows.retention.period and rows.since not in table.c:
        problems.append(f"{table.name} has no column {rows.since} to count its retention from.")
    if rows.on_erase is OnErase.KEEP and not rows.ground:
        problems.append(f"{table.name} is kept after erasure but names no ground that a person could read.")
    for column in table.c:
        try:
            mark = mark_of(column)
        except LookupError as missing:
            problems.append(str(missing))
            continue
        if mark.category and not owner:
            problems.append(f"{table.name}.{column.name} is personal, but its table's rows lead to nobody.")
        if mark.category and rows.on_erase is OnErase.KEEP and mark.on_erase is OnErase.DELETE:
            problems.append(f"{table.name}.{column.name} stays with its row; say keep, clear or unlink.")
    return problems
