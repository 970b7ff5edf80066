"""Child processes that end when we end, however we end.

Each child leads a session of its own, so that Ctrl-C in the terminal reaches us alone and we end them in order. A
watcher process holds the other end of a pipe from us: when we die, even by kill -9, the pipe closes and the watcher
ends what we left behind. This module is also the watcher's program, so it imports nothing of ours.
"""

import atexit
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

GRACE = 10.0  # seconds between asking a process to end and killing it
CLOCK_STEP = 2.0  # seconds by which the start time of one process may seem to move when the clock is set


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells one process from every other: a number that the system reuses, and when it was started."""

    pid: int
    created: float  # seconds since the epoch

    @classmethod
    def of(cls, pid: int) -> "Mark":
        """Return the mark of a process; one that has already gone has a mark that is never alive."""
        try:
            return cls(pid, psutil.Process(pid).create_time())
        except psutil.NoSuchProcess:
            return cls(pid, 0.0)

    def alive(self) -> bool:
        """Say whether that very process still runs."""
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.created) < CLOCK_STEP
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False


@dataclass(frozen=True, slots=True)
class Child:
    """A process that we started; `ask` is the signal that asks it to end in good order."""

    name: str
    popen: subprocess.Popen[bytes]
    mark: Mark
    ask: signal.Signals

    def running(self) -> bool:
        """Say whether it still runs."""
        return self.popen.poll() is None

    def end(self) -> None:
        """Ask it to end, wait for GRACE seconds, and kill what is left of its session."""
        if self.running():
            self.popen.send_signal(self.ask)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(GRACE)
        _kill_group(self.mark.pid)
        self.popen.wait()


def start(  # noqa: PLR0913 (they are the parts of a process, each named by the caller)
    name: str,
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    ask: signal.Signals = signal.SIGTERM,
    user: str | int | None = None,
    group: int | None = None,
    stdin: bytes | None = None,
    output: IO[bytes] | None = None,
) -> Child:
    """Start a child that ends with us.

    `stdin` is written to it at once and closed; what it prints goes to `output`, or where ours goes.
    """
    popen = subprocess.Popen(  # noqa: S603 (our own programs with our own arguments)
        argv,
        env=env,
        cwd=cwd,
        user=user,
        group=group,
        extra_groups=None if user is None else [],
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    child = Child(name, popen, Mark.of(popen.pid), ask)
    _tell_watcher({"pid": child.mark.pid, "created": child.mark.created, "ask": int(ask)})
    if popen.stdin is not None:
        with popen.stdin as pipe:
            pipe.write(stdin or b"")
    return child


def remove_in_the_end(path: Path) -> None:
    """Have `path` removed once we are gone and our children with us."""
    _tell_watcher({"remove": str(path)})


def remove(path: Path) -> None:
    """Remove a file, a link (never what it names) or a directory, when it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def free_port() -> int:
    """Return a loopback port that is free at this moment; another program may be quicker than the caller."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_stranger(mark: Mark, ask: signal.Signals) -> None:
    """End a process that is not our child, if it is still the one that was marked."""
    if not mark.alive():
        return
    os.kill(mark.pid, ask)
    deadline = time.monotonic() + GRACE
    while mark.alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    _kill_group(mark.pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of zombies
        os.killpg(pid, signal.SIGKILL)


_watcher: subprocess.Popen[bytes] | None = None


def _tell_watcher(note: Mapping[str, int | float | str]) -> None:
    global _watcher  # noqa: PLW0603 (one watcher per process)
    if _watcher is None:
        _watcher = subprocess.Popen(  # noqa: S603 (this very file)
            [sys.executable, "-I", __file__], stdin=subprocess.PIPE, start_new_session=True, cwd="/"
        )
        atexit.register(_dismiss_watcher)
    pipe = _watcher.stdin
    assert pipe is not None
    pipe.write(json.dumps(note).encode() + b"\n")
    pipe.flush()


def _dismiss_watcher() -> None:
    if _watcher is not None:
        _watcher.communicate()


def watch(notes: IO[str]) -> None:
    """Read what was started until our parent is gone, then end it all, the latest first, and tidy up."""
    told = [json.loads(line) for line in notes]
    for note in reversed(told):
        if "pid" in note:
            end_stranger(Mark(note["pid"], note["created"]), signal.Signals(note["ask"]))
    for note in told:
        if "remove" in note:
            remove(Path(note["remove"]))


if __name__ == "__main__":
    for unwanted in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(unwanted, signal.SIG_IGN)
    watch(sys.stdin)
