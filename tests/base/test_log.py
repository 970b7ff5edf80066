"""Nothing that identifies a person or opens a door reaches a log line."""

import json
import logging

import pytest

from assisters_app.base import log

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
    assert log.TAKEN_OUT in line["says"]
    assert not [left for left in LEFT if left in json.dumps(line)]


def test_a_traceback_shows_no_canary():
    try:
        fail()
    except RuntimeError as problem:
        record = logging.LogRecord("t", logging.ERROR, "f", 1, "failed", (), (type(problem), problem, None))
    line = json.loads(log._Lines().format(record))
    assert "RuntimeError" in line["traceback"]
    assert not [left for left in LEFT if left in json.dumps(line)]
