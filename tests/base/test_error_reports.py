"""What Sentry receives, caught where its SDK sends it: kinds of errors and lines of code, and nothing of a person."""

import gzip
import json
import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

PERSONAL = {
    "prompt": "my diagnosis is a rare one, kept from my employer",
    "email": "ada.lovelace+test@mail.example.com",
    "key": "ask_live_c4nary0secret0part",
    "ip": "203.0.113.77",
    "name": "Augusta Ada King",
}
FAILING = """
import asyncio, logging, os, sys, threading
from assisters_app.base import log
log.configure()
logger, prompt = logging.getLogger("assisters_app.api.app"), os.environ["CANARY_PROMPT"]
email, key, ip, name = (os.environ["CANARY_" + part] for part in ("EMAIL", "KEY", "IP", "NAME"))

def answer(request):
    held = {"messages": [{"role": "user", "content": prompt}], "user": email}
    raise RuntimeError(f"{name} at {ip} with {key} said {held}")

def caught():
    try:
        answer({"authorization": "Bearer " + key, "prompt": prompt})
    except RuntimeError as problem:
        return problem

logger.error("A request failed unexpectedly.", exc_info=caught(), extra={"ref": name, "body": prompt})
logger.error("The words of %s were refused.", prompt)
try:
    raise ValueError(prompt) from caught()
except ValueError:
    logger.exception("A request failed unexpectedly.")
logging.getLogger("asyncio").error("Task exception was never retrieved: " + prompt, exc_info=caught())
thread = threading.Thread(target=answer, args=(prompt,), name=name)
thread.start()
thread.join()
import sentry_sdk
with sentry_sdk.new_scope() as scope:
    scope.set_user({"email": email, "ip_address": ip, "username": name})
    scope.set_tag("who", name)
    scope.set_context("call", {"prompt": prompt})
    scope.add_breadcrumb(message=prompt)
    scope.fingerprint = [prompt]
    sentry_sdk.capture_exception(caught())
with sentry_sdk.start_transaction(name=prompt, sampled=True) as transaction:
    transaction.set_data("prompt", prompt)
asyncio.run(asyncio.sleep(0))
sentry_sdk.flush(5)
answer(prompt)  # nobody catches this one
"""


class _Ingest(BaseHTTPRequestHandler):
    """Keeps whole requests, headers and all."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        body = gzip.decompress(body) if self.headers.get("content-encoding") == "gzip" else body
        self.server.kept.append(f"{self.path}\n{self.headers}\n{body.decode()}")
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        """Print nothing."""


@contextmanager
def ingest():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ingest) as server:
        server.kept = []
        threading.Thread(target=server.serve_forever).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def received(tmp_path_factory):
    """Have a process of the product fail in every way it can while it holds personal data; return what was sent."""
    with ingest() as server:
        settings = {
            "ASSISTERS_ENV": "development",
            "ASSISTERS_PEPPER": "YSBwZXBwZXIgZm9yIHRlc3RzLCAzMiBieXRlcyBsb25n",
            "DATABASE_URL": "postgresql://127.0.0.1/none",
            "REDIS_URL": "redis://127.0.0.1",
            "SMTP_URL": "smtp://127.0.0.1",
            "SENTRY_DSN": f"http://public@127.0.0.1:{server.server_port}/1",
        }
        canaries = {f"CANARY_{name.upper()}": text for name, text in PERSONAL.items()}
        environment = {**os.environ, **settings, **canaries}
        ran = subprocess.run(
            [sys.executable, "-c", FAILING], env=environment, capture_output=True, text=True, check=False
        )
        assert ran.returncode == 1, ran.stderr
    return server.kept


@pytest.mark.promise("1.8", "3.5")
@pytest.mark.parametrize("what", PERSONAL)
def test_sentry_learns_nothing_of_what_a_failing_call_held(received, what):
    assert len(received) == 7
    text = "".join(received)
    assert PERSONAL[what] not in text
    assert not [word for word in PERSONAL[what].split() if len(word) > 5 and word in text]


@pytest.mark.promise("3.5")
def test_sentry_learns_neither_this_machines_name_nor_where_the_code_lies(received):
    text = "".join(received)
    assert "server_name" not in text
    assert str(Path.cwd()) not in text
    assert sys.prefix not in text


def test_a_report_still_says_which_error_arose_in_which_line(received):
    lines = [json.loads(line) for body in received for line in body.splitlines() if line.startswith("{")]
    events = [line for line in lines if "exception" in line]
    kinds = [[one["type"] for one in event["exception"]["values"]] for event in events]
    assert ["RuntimeError"] in kinds
    assert ["RuntimeError", "ValueError"] in kinds
    said = [event["logentry"]["message"] for event in events if "logentry" in event]
    assert "A request failed unexpectedly." in said
    assert "The words of %s were refused." in said
    frames = [
        frame for event in events for one in event["exception"]["values"] for frame in one["stacktrace"]["frames"]
    ]
    assert "answer" in {frame["function"] for frame in frames}
    assert all(frame["lineno"] for frame in frames)
