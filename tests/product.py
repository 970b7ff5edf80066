"""The running product as tests see it: its address, its settings, its mail, its commands, its log."""

import contextlib
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Product:
    """A running product: where it is, its settings, everything its processes have printed, and the first of them."""

    url: str
    env: dict[str, str]
    log: Path
    pid: int

    def letters(self, to: str) -> list[dict[str, str]]:
        """Return the mail caught for `to`, oldest first."""
        found = httpx.get(f"{self.env['MAILBOX_URL']}/letters.json", params={"to": to}).json()
        return sorted(found, key=lambda letter: letter["number"])

    def worked(self) -> float:
        """Return for how many seconds all its processes have had a processor until now."""
        first, had = psutil.Process(self.pid), 0.0
        for one in (first, *first.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # its parent has its time now
                had += sum(one.cpu_times()[:4])  # its own, and that of its children that have ended
        return had

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run one of the product's commands beside it."""
        return subprocess.run(
            [sys.executable, "-m", "assisters_app", *arguments],
            cwd=ROOT,
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def until(look, what, seconds=60):
    """Return what `look` finds as soon as it finds something; fail when `seconds` have passed."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > deadline:
            pytest.fail(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.05)
    return found
