"""`run` as people use it: one command in a checkout of its own, ended in every way a run can end."""

import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from cast import ADA, BOB
from endings import all_gone
from nets import free_port
from product import until

from assisters_app import front_end
from assisters_app.base import processes

ROOT = Path(__file__).resolve().parents[2]
PRODUCT = (
    "ASSISTERS_",
    "DATABASE_",
    "MAIL",
    "PORT",
    "PUBLIC_",
    "REDIS_",
    "SENTRY_",
    "SMTP_",
    "STRIPE_",
    "SUPABASE_",
    "UPSTREAM_",
)
pytestmark = pytest.mark.timeout(600)  # the first start of a checkout may have to build the front end


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where this run of the checkout keeps its data, and a port of its own: a person may be running it beside us."""
    front_end.build()
    local = tmp_path_factory.mktemp("run") / "local"
    yield Place(local, free_port())
    for link in filter(Path.is_symlink, local.iterdir()):
        processes.remove(link.readlink().parent)


@dataclass(frozen=True)
class Place:
    """A directory for data, and a port."""

    local: Path
    port: int

    @property
    def env(self):
        """The environment of a terminal in which nothing of the product is set but these two."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(PRODUCT)}
        return {**env, "PORT": str(self.port), "ASSISTERS_LOCAL_DIR": str(self.local), "PYTHONUNBUFFERED": "1"}


@contextmanager
def running(place):
    """Run the product for the length of the block; yield the process and what it printed until it was ready."""
    run = subprocess.Popen(
        [sys.executable, "-m", "assisters_app", "run"],
        cwd=ROOT,
        env=place.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with run:
        try:
            yield run, printed_until(run, "Ctrl-C ends it all.")
        finally:
            run.terminate()


def printed_until(run, sentence):
    lines = []
    for line in run.stdout:
        lines.append(line)
        if line.startswith(sentence):
            return "".join(lines)
    pytest.fail("It ended before it was ready:\n" + "".join(lines))


def command(place, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "assisters_app", *arguments],
        cwd=ROOT,
        env=place.env,
        capture_output=True,
        text=True,
        check=False,
    )


def answer(url):
    with urllib.request.urlopen(url, timeout=20) as answered:  # noqa: S310 (an address on loopback)
        return answered.status, answered.read().decode()


def ready(place):
    with suppress(urllib.error.HTTPError):
        return answer(f"http://127.0.0.1:{place.port}/readyz")[0] == 200


def test_one_command_runs_it_all_and_ctrl_c_ends_it_all(place):
    with running(place) as (run, printed):
        family = psutil.Process(run.pid).children(recursive=True)
        record = place.local / "run.json"
        settings = json.loads(record.read_text())["env"]

        assert f"http://localhost:{place.port}" in printed
        assert settings["MAILBOX_URL"] in printed
        assert settings["STRIPE_API_BASE"] in printed
        assert "create-account you@example.com --staff" in printed
        secrets = [
            settings[name] for name in ("ASSISTERS_PEPPER", "DATABASE_URL", "REDIS_URL", "STRIPE_WEBHOOK_SECRET")
        ]
        assert [secret for secret in secrets if secret in printed] == []
        assert stat.S_IMODE(record.stat().st_mode) == 0o600

        until(lambda: ready(place), "its being ready")  # it gives each part a second, and this machine may be busy
        assert "<title>" in answer(f"http://127.0.0.1:{place.port}/sign-in")[1]
        assert answer(settings["MAILBOX_URL"])[0] == 200

        examined = command(place, "doctor")
        assert examined.returncode == 0, examined.stdout + examined.stderr
        assert command(place, "create-account", ADA, "--staff").returncode == 0
        again = command(place, "run")
        assert (again.returncode, again.stdout) == (1, "")
        assert again.stderr.startswith("It runs already")

        run.send_signal(signal.SIGINT)
        assert run.stdout.read().splitlines()[-1] == "Stopped. Nothing is left running."
    assert run.returncode == 0
    assert len(family) > 8
    assert all_gone(family)


def test_nothing_outlives_a_run_that_was_killed_and_its_data_are_there_again(place):
    with running(place) as (run, _):
        family = psutil.Process(run.pid).children(recursive=True)
        run.kill()
        assert all_gone(family)
    with running(place):
        key = command(place, "issue-key", ADA)
        assert key.stdout.startswith("ask_"), key.stderr


def test_what_outlived_the_watcher_too_is_ended_by_the_next_start(place):
    with running(place) as (run, _):
        family = psutil.Process(run.pid).children(recursive=True)
        (watcher,) = [process for process in family if process.cmdline()[-1].endswith("base/processes.py")]
        watcher.kill()
        run.kill()
    with running(place):
        assert all_gone(family)


def test_the_death_of_one_part_ends_the_others_with_a_sentence(place):
    with running(place) as (run, _):
        family = psutil.Process(run.pid).children(recursive=True)
        (worker,) = [process for process in family if process.cmdline()[-2:] == ["assisters_app", "worker"]]
        worker.kill()
        said = run.stdout.read().splitlines()[-1]
    assert said == "The worker ended (exit code -9), so everything was stopped."
    assert run.returncode == 1
    assert all_gone(family)


def test_a_backup_is_restored_while_nothing_runs_and_nothing_is_left_running(place):
    with running(place):
        assert command(place, "create-account", ADA).returncode == 0
        file = command(place, "backup").stdout.partition(":")[0]
        assert command(place, "create-account", BOB).returncode == 0
        early = command(place, "restore", file)
        assert (early.returncode, early.stderr) == (1, "The product runs on this database. Stop it first.\n")
    restored = command(place, "restore", file)
    assert restored.returncode == 0, restored.stderr
    assert f"The database is as it was when {Path(file).name} was made." in restored.stdout
    record = json.loads((place.local / "run.json").read_text())
    assert record["children"]
    assert not any(processes.Mark(*child).alive() for child in record["children"])
    with running(place):
        assert command(place, "issue-key", ADA).stdout.startswith("ask_")
        assert command(place, "issue-key", BOB).stderr == "That account does not exist.\n"


def test_where_nothing_ever_ran_there_is_nothing_to_restore_into(tmp_path):
    nowhere = Place(tmp_path / "local", free_port())
    refused = command(nowhere, "restore", "a.backup")
    assert (refused.returncode, refused.stderr.partition(".")[0]) == (1, "Nothing runs in this checkout")
    assert not nowhere.local.exists()
