"""Nothing that identifies a person or opens a door reaches a log line."""

import json
import logging

import pytest
from sqlalchemy.exc import IntegrityError

from assisters_app import tables
from assisters_app.base import log, redaction
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.marks import mark_of

CANARIES = [
    "ada.lovelace+test@mail.example.com",
    "ask_7GQ2K9XWc4nary0secret0part",
    "203.0.113.77",
    "2001:db8:85a3:0:0:8a2e:370:7334",
    "Bearer eyJhbGciOiJIUzI1NiJ9.c4nary.sig",
    "postgresql://user:c4narypass@db.example/app",
    "sk_test_c4nary123",
    "https://x.example/verify?token=c4naryTOKEN_1",
]
LEFT = ["ada.lovelace", "c4nary", "203.0.113", "8a2e"]


def fail():
    prompt = " ".join(CANARIES)
    raise RuntimeError(f"the call with {prompt} failed")


@pytest.mark.parametrize("canary", CANARIES)
def test_a_log_line_shows_no_canary(canary):
    record = logging.LogRecord("t", logging.INFO, "f", 1, "it said %s today", (canary,), None)
    line = json.loads(log._Lines().format(record))
    assert redaction.TAKEN_OUT in line["says"]
    assert not [left for left in LEFT if left in json.dumps(line)]


def test_a_traceback_shows_no_canary():
    try:
        fail()
    except RuntimeError as problem:
        record = logging.LogRecord("t", logging.ERROR, "f", 1, "failed", (), (type(problem), problem, None))
    line = json.loads(log._Lines().format(record))
    assert "RuntimeError" in line["traceback"]
    assert not [left for left in LEFT if left in json.dumps(line)]


NAMED = sorted(redaction.marked_names())
SAID = (
    "{name}={value!r}", '{{"{name}": "{value}"}}', "{{'{name}': '{value}', 'n': 1}}", "{name}: {value}",
    "Key ({name})=({value}) already exists.", "Key (id, {name})=(7, {value} (the second)) is not present in table.",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMED)
def test_a_marked_columns_value_is_in_no_log_however_it_is_named(name):
    for said in SAID:
        assert "c4nary" not in redaction.redact(f"It failed: {said.format(name=name, value='c4nary')}"), said


def test_every_text_that_says_something_about_a_person_is_kept_out_by_its_mark():
    for table in tables.metadata.sorted_tables:
        for column in table.c:
            kept_out = (mark_of(column).category or not mark_of(column).export) and "VARCHAR" in str(column.type)
            assert not kept_out or column.name in NAMED, f"{table.name}.{column.name}"
    assert {"email", "name", "user_agent", "digest", "password_hash"} <= set(NAMED)
    assert redaction.redact("retention_id='request-logs', 12 rows") == "retention_id='request-logs', 12 rows"


@pytest.mark.parametrize(
    "said", ["x{}y", "email='{} {}", 'name="{} ', "Key (name)=({} {}", "Failing row contains (7, {}"]
)
def test_what_is_too_long_for_a_log_is_cut_before_it_is_looked_at_and_what_the_cut_falls_into_is_not_shown(said):
    filled = said.format("c4nary " * 400_000, "c4nary")
    told = redaction.redact(filled)
    assert len(told) < redaction.LONGEST + 100
    assert "characters or more cut" in told or redaction.TAKEN_OUT in told
    assert said == "x{}y" or "c4nary" not in told


def test_an_address_is_found_at_the_end_of_a_very_long_word_and_in_the_middle_of_others():
    word = "a" * (redaction.LONGEST - 100)
    assert redaction.redact(f"{word}@c4nary.example said") == f"{redaction.TAKEN_OUT} said"
    assert "c4nary" not in redaction.redact("ada@c4nary.example,bob@c4nary.example <x@c4nary.example>=y@c4nary.example")


async def test_what_postgresql_quotes_of_adas_row_is_not_logged(house):
    async def insert(name, handle):
        async with transaction() as tx:
            account = {"id": new_id(), "email": "Ada of c4nary", "name": name, "time_zone": "UTC", "role": "member"}
            await tx.sql(tables.metadata.tables["account"].insert().values(
                **account, created_at=now(), suspension_reason=handle
            ))  # fmt: skip

    await insert("x", "")
    for name, reason in (("c4nary (who\nbreaks lines)", ""), (None, "because of\nc4nary")):
        with pytest.raises(IntegrityError) as problem:
            await insert(name, reason)
        told = (type(problem.value), problem.value, problem.value.__traceback__)
        line = json.loads(log._Lines().format(logging.LogRecord("t", logging.ERROR, "f", 1, "failed", (), told)))
        assert "IntegrityError" in line["traceback"]
        assert not [left for left in LEFT if left in json.dumps(line)]


def test_a_traceback_keeps_the_lines_of_our_own_code():
    email = "c4nary"
    try:
        raise ValueError(f"email={email}")  # noqa: TRY301 (the line itself is what is looked for)
    except ValueError as problem:
        record = logging.LogRecord(
            "t", logging.ERROR, "f", 1, "failed", (), (type(problem), problem, problem.__traceback__)
        )
    told = json.loads(log._Lines().format(record))["traceback"]
    assert 'raise ValueError(f"email={email}")' in told
    assert "ValueError: email=[removed]" in told
