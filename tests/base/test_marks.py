"""House rule 3: every column is marked, every table has one retention rule, and what can be exported can be erased."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Column, DateTime, ForeignKey, MetaData, String, Table, Uuid
from sqlmodel import SQLModel

from assisters_app import tables
from assisters_app.base import marks
from assisters_app.base.marks import (
    ACCOUNT,
    BILLING,
    Mark,
    OnErase,
    Purpose,
    Retention,
    Rows,
    mark_of,
    personal,
    plain,
    rows_of,
)

PERSONAL = Mark("user.name", (Purpose.SERVICE,), collected_as="1.4")


def test_every_column_is_marked_and_every_table_says_whose_rows_it_holds():
    assert tables.metadata is SQLModel.metadata
    marks.check()


def test_every_table_has_one_retention_rule_and_rules_of_one_name_are_one_rule():
    rules = {}
    for table in tables.metadata.sorted_tables:
        rule = rows_of(table).retention
        assert rules.setdefault(rule.id, rule) == rule


def test_what_can_be_exported_can_be_erased():
    for table in tables.metadata.sorted_tables:
        rows = rows_of(table)
        if not rows.export or not (rows.account or rows.organization):
            continue
        for column in table.c:
            mark = mark_of(column)
            if rows.on_erase is OnErase.KEEP and mark.category:
                assert mark.on_erase is not OnErase.DELETE, f"{table.name}.{column.name}"
                assert rows.ground


def test_each_personal_column_has_a_purpose_a_line_of_the_policy_and_a_recipient():
    for table in tables.metadata.sorted_tables:
        for column in table.c:
            mark = mark_of(column)
            if mark.category:
                assert all((mark.purposes, mark.collected_as, mark.recipients)), f"{table.name}.{column.name}"
                assert mark.category.startswith("user.")


def test_analytics_hold_no_direct_identifier():
    direct = ("user.contact", "user.name", "user.device", "user.unique_id", "user.location")
    for table in tables.metadata.sorted_tables:
        if rows_of(table).retention is marks.USAGE_ANALYTICS:
            assert not [c.name for c in table.c if (mark_of(c).category or "").startswith(direct)]


def made(*columns, rows, **kwargs):
    return Table("made_up", MetaData(), *columns, info={"rows": rows} if rows else {}, **kwargs)


def marked(name, mark, kind=String, *args, **kwargs):
    return Column(name, kind, *args, info={"mark": mark} if mark else {}, **kwargs)


OWNED = Rows("Made up", ACCOUNT, account="owner")
ID = ("owner", Mark(), Uuid)
KEPT = Rows("Made up", BILLING, account="owner", since="owner", on_erase=OnErase.KEEP, ground="The law")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (lambda: made(marked(*ID), marked("x", None), rows=OWNED), r"made_up.x is not marked. Write personal\("),
        (lambda: made(marked(*ID), rows=None), "does not say whose rows it holds"),
        (lambda: made(marked("x", Mark()), rows=OWNED), "has no column owner"),
        (lambda: made(marked("x", PERSONAL), rows=Rows("Made up", ACCOUNT)), "its table's rows lead to nobody"),
        (lambda: made(marked(*ID), rows=Rows("M", ACCOUNT, account="owner", organization="owner")), "in two ways"),
        (lambda: made(marked(*ID), rows=Rows("M", BILLING, account="owner", since="then")), "no column then"),
        (lambda: made(marked(*ID), rows=Rows("M", BILLING, account="owner", since="owner", on_erase=OnErase.KEEP)),
         "names no ground"),
        (lambda: made(marked(*ID), rows=Rows("M", ACCOUNT, account="owner", on_erase=OnErase.KEEP, ground="Law")),
         "or no end"),
        (lambda: made(marked(*ID), marked("x", PERSONAL), rows=KEPT), "say keep, clear or unlink"),
        (lambda: made(marked(*ID), rows=KEPT), "leads to the person from a row that stays; say unlink"),
        (lambda: made(marked(*ID), rows=Rows("M", ACCOUNT, account="owner", mentions=("who",))), "who should hold"),
        (lambda: made(marked(*ID), marked("x", Mark("user.name", about="who")), rows=OWNED), "is about who"),
    ],
)  # fmt: skip
def test_a_contradiction_stops_the_app_with_a_sentence(table, complaint, monkeypatch):
    only = table()
    monkeypatch.setattr(SQLModel, "metadata", only.metadata)
    with pytest.raises(LookupError, match=complaint):
        marks.check()


def test_a_row_that_stays_may_not_hang_on_a_row_that_goes(monkeypatch):
    metadata = MetaData()
    Table("goes", metadata, marked("owner", Mark(), Uuid, primary_key=True), info={"rows": OWNED})
    Table(
        "stays",
        metadata,
        marked("owner", Mark("user.unique_id", on_erase=OnErase.UNLINK), Uuid),
        marked("goes", Mark(), Uuid, ForeignKey("goes.owner")),
        marked("created_at", Mark(), DateTime),
        info={"rows": Rows("M", BILLING, account="owner", on_erase=OnErase.KEEP, ground="The law")},
    )
    monkeypatch.setattr(SQLModel, "metadata", metadata)
    with pytest.raises(LookupError, match=r"stays\.goes would keep a row that erasure deletes"):
        marks.check()


def test_a_mark_needs_a_purpose_and_leaves_the_column_to_sqlmodel():
    with pytest.raises(TypeError, match="at least one purpose"):
        personal("user.name", collected_as="1.4")
    with pytest.raises(TypeError, match="sa_type"):
        plain(sa_column=Column("x", String))


def test_a_rule_ends_by_calendar_months_or_by_a_span():
    at = datetime(2026, 1, 31, 12, tzinfo=UTC)
    months = Retention("m", "4.4", None, "13 months", months=13)
    span = Retention("s", "4.2", timedelta(days=30), "30 days")
    assert months.end(at) == datetime(2027, 2, 28, 12, tzinfo=UTC)
    assert span.end(at) == at + timedelta(days=30)
    assert span.cutoff(span.end(at)) == at
    assert ACCOUNT.ends is False
