"""The worker knows every job there is."""

import re
import subprocess
import sys
from pathlib import Path

import assisters_app

SOURCES = Path(assisters_app.__file__).parent
JOB = re.compile(r"^@(?:jobs\.)?job\(\s*\"([^\"]+)\"", re.MULTILINE)
ASK = "from assisters_app import worker; from assisters_app.base import jobs; print(*jobs._jobs)"


def test_every_job_that_is_written_is_known_to_the_worker():
    written = {name for path in SOURCES.rglob("*.py") for name in JOB.findall(path.read_text())}
    known = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True)
    assert len(written) > 8
    assert set(known.stdout.split()) == written


FACE = (
    "import sys; from assisters_app import worker; from assisters_app.privacy.erasing import purge; "
    "print('open tabs' in purge._also, 'reflex' in sys.modules)"
)


def test_the_worker_forgets_open_tabs_too_without_importing_the_pages():
    said = subprocess.run([sys.executable, "-c", FACE], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", "False"]


REPEATS = """
import asyncio
from assisters_app import worker
from assisters_app.base import jobs

async def at_once(*_):
    pass

async def shift(_):
    print(*(f"{one.task.name}={one.cron}" for one in jobs.app().periodic_registry.periodic_tasks.values()), sep=";")
    print(*(f"{one.name}={one.every}" for one in jobs._jobs.values() if one.every), sep=";")

worker._shift, worker.reopening.reopen = shift, at_once
asyncio.run(worker.work())
"""


def test_the_worker_begins_all_that_repeats_by_the_clock(house):
    said = subprocess.run([sys.executable, "-c", REPEATS], capture_output=True, text=True, check=True)
    begun, written = (set(line.split(";")) for line in said.stdout.splitlines())
    assert "privacy.sweep=1,31 * * * *" in begun
    assert begun == written
