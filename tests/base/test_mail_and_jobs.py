"""Mail leaves exactly when its cause stands, and is gone once it has left."""

import io
import json
import logging

import pytest
from aiosmtpd.controller import Controller
from cast import ADA
from nets import free_port
from sqlalchemy import text
from sqlmodel import select

from assisters_app.base import jobs, log, mail, settings
from assisters_app.base.db import transaction
from assisters_app.base.tables import OutgoingMail

WELCOME = mail.Message("Welcome", ("Hello Ada.",), action=("Open", "http://localhost/a?b=1&c=2"))


class Catcher:
    """Keeps every message it is handed."""

    def __init__(self):
        self.caught = []

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 (aiosmtpd's name for it)
        self.caught.append(envelope)
        return "250 OK"


@pytest.fixture
def post(house, monkeypatch):
    catcher = Catcher()
    controller = Controller(catcher, hostname="127.0.0.1", port=free_port())
    controller.start()
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{controller.port}")
    settings.settings.cache_clear()
    yield catcher
    controller.stop()


async def test_ada_gets_her_mail_and_nothing_of_it_stays(post):
    async with transaction() as tx:
        await mail.send(tx, ADA, WELCOME)
    await jobs.run_waiting()
    (envelope,) = post.caught
    assert envelope.rcpt_tos == [ADA]
    assert b"Hello Ada." in envelope.content
    async with transaction() as tx:
        assert (await tx.exec(select(OutgoingMail))).all() == []


async def test_a_transaction_that_fails_sends_nothing(post):
    async def change_her_mind():
        async with transaction() as tx:
            await mail.send(tx, ADA, WELCOME)
            raise RuntimeError("Ada changed her mind")

    with pytest.raises(RuntimeError, match="changed her mind"):
        await change_her_mind()
    await jobs.run_waiting()
    assert post.caught == []


async def test_the_text_of_a_waiting_mail_cannot_be_read_in_the_database(house):
    async with transaction() as tx:
        await mail.send(tx, ADA, WELCOME)
    async with transaction() as tx:
        waiting = (await tx.exec(select(OutgoingMail))).one()
    assert b"Hello" not in waiting.sealed


async def test_work_named_once_waits_only_once(post):
    async with transaction() as tx:
        await mail.send(tx, ADA, WELCOME)
        waiting = (await tx.exec(select(OutgoingMail))).one()
        await jobs.enqueue(tx, "mail.deliver", once="again", mail_id=str(waiting.id))
        await jobs.enqueue(tx, "mail.deliver", once="again", mail_id=str(waiting.id))
    await jobs.run_waiting()
    assert len(post.caught) == 1


async def test_only_the_worker_begins_what_repeats_by_the_clock(house):
    assert not jobs.app().periodic_registry.periodic_tasks
    jobs.keep_schedule()
    lines = {task.task.name: task.cron for task in jobs.app().periodic_registry.periodic_tasks.values()}
    assert lines["jobs.restart-stalled"] == "* * * * *"


@pytest.fixture
def lines(monkeypatch):
    """Log as a worker does; return what reads the lines of its queue that were written since it was last called."""
    worker, written = logging.getLogger("procrastinate.worker"), io.StringIO()
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(worker, "level", worker.level)
    log.configure()
    logging.root.handlers[0].setStream(written)

    def read():
        told = [json.loads(line) for line in written.getvalue().splitlines()]
        written.seek(0)
        written.truncate()
        return [line for line in told if line["from"].startswith("procrastinate")]

    yield read
    logging.root.manager._clear_cache()  # what each logger is enabled for is remembered


async def _again(attempts):
    async with transaction() as tx:
        await tx.sql(
            text("UPDATE procrastinate_jobs SET scheduled_at = NULL, attempts = :n WHERE task_name = 'mail.deliver'"),
            {"n": attempts},
        )


async def test_each_failure_of_a_job_is_one_line_that_names_the_job_and_nobody(house, lines, monkeypatch):
    monkeypatch.setenv("SMTP_URL", f"smtp://127.0.0.1:{free_port()}")  # nobody answers there
    settings.settings.cache_clear()
    async with transaction() as tx:
        await mail.send(tx, ADA, WELCOME)
        waiting = (await tx.exec(select(OutgoingMail))).one()
    await jobs.run_waiting()
    (first,) = lines()
    assert first["level"] == "warning"
    assert first["says"] == "A job failed: mail.deliver, attempt 1, SMTPConnectError; it is tried again."
    assert first["job"] == "mail.deliver"
    assert "traceback" not in first
    await _again(8)
    await jobs.run_waiting()
    (last,) = lines()
    assert last["level"] == "error"
    assert last["says"] == "A job failed: mail.deliver, attempt 9, SMTPConnectError; it is given up."
    assert "SMTPConnectError" in last["traceback"]
    assert not [one for one in (first, last) for name in (ADA, str(waiting.id)) if name in json.dumps(one)]
