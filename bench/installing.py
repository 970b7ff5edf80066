"""Installs the tools and the peers into `.venv-bench`, pinned with hashes; a peer that cannot be had is said so.

    python bench/installing.py

The tools (uvloop for load and mock, nginx) must be there; LiteLLM and Portkey are left out when they do not install.
"""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
VENV = HERE.parent / ".venv-bench"
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r")


def main() -> int:
    """Install what is not there yet; return 1 when the benchmark cannot run at all."""
    python = VENV / "bin" / "python"
    if not python.exists() and not _done("the environment", [sys.executable, "-m", "venv", str(VENV)]):
        return 1
    if not _once("tools", [str(python), *PIP, str(HERE / "requirements.txt")], HERE / "requirements.txt"):
        return 1
    locked = HERE / "peers" / "requirements-litellm.txt"
    _once("LiteLLM", [str(python), *PIP, str(locked)], locked)
    _portkey()
    return 0


def _portkey() -> None:
    place, locked = VENV / "portkey", HERE / "peers" / "package-lock.json"
    place.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / "peers" / name, place / name)
    npm = Path(sys.executable).with_name("npm")
    _once("Portkey", [str(npm), "ci", "--prefix", str(place), "--ignore-scripts", "--no-audit", "--no-fund"], locked)


def _once(what: str, argv: Sequence[str], locked: Path) -> bool:
    """Run `argv` unless it succeeded before with the same pins."""
    stamp = VENV / f".{what.lower()}"
    if stamp.exists() and stamp.stat().st_mtime >= locked.stat().st_mtime:
        return True
    done = _done(what, argv)
    if done:
        stamp.touch()
    return done


def _done(what: str, argv: Sequence[str]) -> bool:
    print(f"Installing {what} for the benchmark …", flush=True)
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)  # noqa: S603
    if done.returncode:
        print(f"{what} could not be installed: {(done.stderr or done.stdout).strip()[-400:]}")
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
