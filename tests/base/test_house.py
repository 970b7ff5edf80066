"""The house rules that no single feature can hold: the floors, the style, and strict types."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "check",
    [
        ("lint-imports", "--no-cache"),
        ("ruff", "check", "--no-cache", "."),
        ("ruff", "format", "--check", "--no-cache", "."),
        ("mypy",),
    ],
    ids=["floors", "style", "format", "types"],
)
def test_the_house_is_kept(check):
    program = Path(sys.executable).with_name(check[0])
    done = subprocess.run([program, *check[1:]], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


def test_the_locks_name_no_registry():
    locks = {
        lock: lock.read_text()
        for lock in (*ROOT.glob("requirements*.txt"), *ROOT.glob("reflex.lock/*"), *ROOT.glob("tests/node/*.json"))
    }
    assert len(locks) >= 6
    named = [
        lock.name for lock, text in locks.items() if '"resolved"' in text or ("://" in text and lock.suffix == ".txt")
    ]
    assert named == []
