"""The servers of development and tests: private, on loopback, and gone when the one who started them is."""

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import psycopg
import pytest
import redis
from endings import all_gone
from product import until

from assisters_app.base import local_servers, processes
from assisters_app.base.local_servers import LocalServerError, start_postgres, start_valkey

ROOT = Path(__file__).resolve().parents[2]
STARTER = """
import json, os, sys
from pathlib import Path
from assisters_app.base import local_servers, processes
server = getattr(local_servers, sys.argv[1])(Path(sys.argv[2]), durable=True)
print(json.dumps({"server": server.process.mark.pid, "watcher": processes._watcher.pid, "url": server.url}), flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    directory = tmp_path_factory.mktemp("local")
    yield directory
    remove_what_was_moved(directory)


@pytest.fixture(autouse=True)
def _tidy(tmp_path):
    yield
    remove_what_was_moved(tmp_path)


def remove_what_was_moved(directory):
    """Remove what root's servers keep elsewhere, because pytest's directories are closed to their user."""
    for link in filter(Path.is_symlink, directory.rglob("*")):
        processes.remove(link.readlink().parent)


@pytest.fixture(scope="module")
def postgres(home):
    server = start_postgres(home / "postgres", durable=True)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def valkey(home):
    server = start_valkey(home / "valkey", durable=True)
    yield server
    server.stop()


@pytest.fixture
def another(tmp_path):
    """Start a server from another process; the test says how that one dies."""
    others = []

    def start(what):
        other = subprocess.Popen(
            [sys.executable, "-c", STARTER, what, tmp_path / "data"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        others.append(other)
        return other, json.loads(other.stdout.readline())

    yield start
    for other in others:
        with other:
            other.kill()


def test_the_owner_of_the_database_is_no_superuser(postgres):
    with psycopg.connect(postgres.url) as connection:
        row = connection.execute("SELECT usesuper, current_database() FROM pg_user WHERE usename = current_user")
        assert row.fetchone() == (False, "assisters")


def test_mallory_without_the_password_is_refused(postgres, valkey):
    for url in (
        postgres.url.replace("assisters:", "assisters:x", 1),
        f"postgresql://assisters@127.0.0.1:{postgres.port}",
    ):
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(url)
    with redis.Redis(port=valkey.port) as stranger, pytest.raises(redis.AuthenticationError):
        stranger.ping()


def test_the_servers_listen_on_loopback_only(postgres, valkey):
    for server in (postgres, valkey):
        listening = [
            end.laddr
            for end in psutil.Process(server.process.mark.pid).net_connections()
            if end.status == psutil.CONN_LISTEN
        ]
        assert [(end.ip, end.port) for end in listening] == [("127.0.0.1", server.port)]


def test_no_password_stands_in_a_command_line_or_in_what_is_printed(postgres, valkey, home):
    passwords = [json.loads((home / f"{name}.json").read_text())["password"] for name in ("postgres", "valkey")]
    running = psutil.Process().children(recursive=True)
    said = " ".join(" ".join(process.cmdline()) for process in running)
    said += f"{postgres} {valkey}" + "".join((home / f"{name}.log").read_text() for name in ("postgres", "valkey"))
    assert len(running) > 2
    assert [password for password in passwords if password in said] == []


def test_what_is_remembered_of_a_server_is_for_us_alone(postgres, valkey, home):
    for name in ("postgres.json", "valkey.json", "postgres.log", "valkey.log"):
        assert stat.S_IMODE((home / name).stat().st_mode) == 0o600


def test_the_log_quotes_nobodys_data(postgres, home):
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE guest (email text PRIMARY KEY)")
        connection.execute("INSERT INTO guest VALUES ('ada@example.com')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("INSERT INTO guest VALUES ('ada@example.com')")
    log = (home / "postgres.log").read_text()
    assert "duplicate key" in log
    assert "ada@" not in log


def test_ada_finds_her_rows_and_her_password_again_after_a_restart(tmp_path):
    first = start_postgres(tmp_path / "data", durable=True)
    with psycopg.connect(first.url) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    first.stop()
    second = start_postgres(tmp_path / "data", durable=True)
    try:
        with psycopg.connect(first.url.replace(str(first.port), str(second.port))) as connection:
            assert connection.execute("SELECT text FROM note").fetchone() == ("kept",)
    finally:
        second.stop()


def test_a_write_that_valkey_answered_survives_its_being_killed(tmp_path):
    first = start_valkey(tmp_path / "data", durable=True)
    with redis.Redis.from_url(first.url) as client:
        client.xadd("calls", {"cost": 7})
        first.process.popen.kill()
        first.process.popen.wait()
    second = start_valkey(tmp_path / "data", durable=True)
    try:
        with redis.Redis.from_url(second.url) as client:
            assert client.xlen("calls") == 1
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
    finally:
        second.stop()


@pytest.mark.parametrize("start", [start_postgres, start_valkey])
def test_what_was_not_to_last_is_gone_after_it_is_stopped(tmp_path, start):
    server = start(tmp_path / "data", durable=False)
    assert (tmp_path / "data.json").exists()
    server.stop()
    assert list(tmp_path.iterdir()) == []
    assert not server.process.mark.alive()


@pytest.mark.parametrize("what", ["start_postgres", "start_valkey"])
def test_a_server_ends_when_its_starter_is_killed(another, what):
    other, found = another(what)
    family = [psutil.Process(found["server"]), psutil.Process(found["watcher"])]
    other.kill()
    assert all_gone(family)


def test_a_server_whose_watcher_was_killed_too_is_ended_by_the_next_start(another, tmp_path):
    other, found = another("start_postgres")
    with psycopg.connect(found["url"]) as connection:
        connection.execute("CREATE TABLE note AS SELECT 'kept' AS text")
    psutil.Process(found["watcher"]).kill()
    other.kill()
    other.wait()
    left = processes.Mark.of(found["server"])
    assert left.alive()
    server = start_postgres(tmp_path / "data", durable=True)
    try:
        assert not left.alive()
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT text FROM note").fetchone() == ("kept",)
    finally:
        server.stop()


def test_a_server_that_another_run_uses_is_left_alone(another, tmp_path):
    _, found = another("start_valkey")
    with pytest.raises(LocalServerError, match="in use by process"):
        start_valkey(tmp_path / "data", durable=True)
    with redis.Redis.from_url(found["url"]) as client:
        assert client.ping()


def test_an_initialisation_that_was_cut_off_is_begun_again(tmp_path):
    data = tmp_path / "data"
    start_postgres(data, durable=True).stop()
    (data / "cluster").rename(data / "half-made")
    start_postgres(data, durable=False).stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be locked out of its own user's data")
def test_data_that_can_no_longer_be_reached_are_left_alone(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "precious").touch()
    with pytest.raises(LocalServerError, match="can no longer reach"):
        start_valkey(data, durable=True)
    assert (data / "precious").exists()


def test_programs_that_are_not_there_are_named_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("DEV_PG_BIN", str(tmp_path))
    with pytest.raises(LocalServerError, match=r"no PostgreSQL in .*DEV_PG_BIN"):
        start_postgres(tmp_path / "data", durable=False)


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    monkeypatch.setattr(local_servers, "POSTGRES_OPTIONS", ("-cmax_connections=none",))
    with pytest.raises(LocalServerError, match="max_connections"):
        start_postgres(tmp_path / "data", durable=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_root_starts_servers_as_somebody_else_and_opens_no_door(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    server = start_postgres(closed / "data", durable=False)
    place = (closed / "data").readlink().parent
    try:
        assert psutil.Process(server.process.mark.pid).uids().effective != 0
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        assert stat.S_IMODE((place / "data").stat().st_mode) == 0o700
    finally:
        server.stop()
    assert not place.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers are moved")
def test_roots_servers_stay_where_they_were_put_unless_a_stranger_has_been_there(tmp_path):
    data = tmp_path / "closed" / "data"
    data.parent.mkdir(mode=0o700)
    start_valkey(data, durable=True).stop()
    place = data.readlink()
    start_valkey(data, durable=True).stop()
    assert data.readlink() == place
    os.chown(place.parent, 65534, 65534)
    start_valkey(data, durable=True).stop()
    moved = data.readlink()
    assert moved != place
    for left in (place.parent, moved.parent):
        processes.remove(left)


def test_a_child_takes_its_own_children_with_it(tmp_path):
    child = processes.start("sh", ["/bin/sh", "-c", "sleep 600 & sleep 600"], env={}, cwd=tmp_path)
    grandchildren = until(lambda: psutil.Process(child.mark.pid).children(), "its own child")
    child.end()
    assert not child.mark.alive()
    assert grandchildren
    assert all_gone(grandchildren)


def test_a_process_number_used_again_is_not_mistaken_for_the_process():
    ours = processes.Mark.of(os.getpid())
    assert ours.alive()
    assert not processes.Mark(ours.pid, ours.created - 60).alive()
    processes.end_stranger(processes.Mark(ours.pid, ours.created - 60), signal.SIGKILL)
