"""The spool: what became of calls, on this host's disk, for as long as Valkey cannot take it.

    spool = Spool()                                one for each process; its file is made when it is first needed
    await spool.begin(event)                       a call let in without Valkey: should we die, this is its record
    await spool.end(event)                         the record of a call; both are on the disk when they return
    spool.forget(request_id)                       such a call ended elsewhere
    await spool.deliver(take)                      hand each record to `take`; what it took is forgotten
    await deliver_orphans(take) -> int             the same with what dead processes of this host have left
    waiting() -> Waiting                           how much lies on this host's disk

The file is `<data_dir>/spool/<pid>-<random>.spool`, its owner's alone, and locked for as long as its process lives: the
system lets go of the lock however a process dies, and whoever gets it delivers what is in there. A record is a line,
`length checksum payload`; a line that was cut short by a death had been promised to nobody. A line that is whole and
yet wrong is put aside in `damaged-<day>`. A record may be delivered twice; it is written into the books once.

On a function there is no disk that outlives the process: nothing is promised there, as on a host whose disk is full.
"""

import asyncio
import contextlib
import fcntl
import logging
import os
import secrets
import zlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal
from uuid import UUID

from assisters_app.base.clock import now
from assisters_app.base.marks import REQUEST_LOGS
from assisters_app.base.settings import settings
from assisters_app.usage.events import Event

LARGEST = 16 * 2**20  # bytes in one file, some thirty thousand records
AT_ONCE = 200  # records delivered together
ENDING, NEW = ".spool", ".new"
DAMAGED = "damaged-"  # and the day (UTC) on which lines were put aside

Kind = Literal["begun", "ended"]
Take = Callable[[Event], Awaitable[object]]

logger = logging.getLogger(__name__)


class SpoolFullError(Exception):
    """The disk takes no more, or as much lies there as may."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What lies on this host's disk: records that wait for Valkey, and lines that nobody can read."""

    records: int
    damaged: int


@dataclass(slots=True)
class _Line:
    content: bytes
    note: Callable[[], None]  # called at the moment it is on the disk: until then a delivery must not cut it off
    written: asyncio.Future[None]


class Spool:
    """The spool of this process. Lines of many calls share one flush of the disk."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._path = Path()
        self._size = 0  # bytes that are whole and flushed
        self._ended: dict[UUID, Event] = {}
        self._begun: set[UUID] = set()
        self._lines: list[_Line] = []
        self._flushing: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether there are records to deliver."""
        return bool(self._ended)

    @property
    def empty(self) -> bool:
        """Whether nothing lies in the file."""
        return not self._size

    async def begin(self, event: Event) -> None:
        """Write down a call that Valkey does not know of; raise SpoolFullError when it cannot be."""
        await self._write("begun", event, lambda: self._begun.add(event.request_id))

    async def end(self, event: Event) -> None:
        """Write down what became of a call; raise SpoolFullError when it cannot be."""
        await self._write("ended", event, lambda: self._note_end(event))

    def _note_end(self, event: Event) -> None:
        self._begun.discard(event.request_id)
        self._ended[event.request_id] = event

    def forget(self, request_id: UUID) -> None:
        """Wait no longer for the end of a call that began here: it was settled elsewhere."""
        self._begun.discard(request_id)

    async def deliver(self, take: Take) -> None:
        """Hand every record to `take`; what it raises goes to the caller, and the record waits on."""
        while self._ended:
            some = list(self._ended.values())[:AT_ONCE]
            await _all(take, some)
            for event in some:
                del self._ended[event.request_id]
        if self._file is not None and not (self._begun or self._lines or self._flushing):
            os.ftruncate(self._file, 0)
            self._size = 0

    def close(self) -> None:
        """Let go of the file: it is removed when all of it was delivered, else it is an orphan from here on."""
        if self._file is not None:
            if not (self._ended or self._begun):
                self._path.unlink(missing_ok=True)
            os.close(self._file)
        self._file = None

    async def _write(self, kind: Kind, event: Event, note: Callable[[], None]) -> None:
        if settings().function:
            raise SpoolFullError
        line = _Line(_framed(kind, event), note, asyncio.get_running_loop().create_future())
        if self._size + sum(len(one.content) for one in self._lines) + len(line.content) > LARGEST:
            raise SpoolFullError
        self._lines.append(line)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        await line.written

    async def _flush(self) -> None:
        try:
            while self._lines:
                lines, self._lines = self._lines, []
                content = b"".join(line.content for line in lines)
                problem = await asyncio.to_thread(self._to_disk, content)
                for line in lines:
                    if line.written.cancelled():
                        continue
                    if problem is None:
                        line.note()
                        line.written.set_result(None)
                    else:
                        line.written.set_exception(SpoolFullError(problem))
        finally:
            self._flushing = None

    def _to_disk(self, content: bytes) -> OSError | None:
        """Append all of `content` and flush it, or leave the file as it was and return what went wrong."""
        try:
            if self._file is None:
                self._file, self._path = _new_file()
            written = 0
            while written < len(content):
                written += os.pwrite(self._file, content[written:], self._size + written)
            os.fsync(self._file)
        except OSError as problem:
            logger.exception("The spool cannot be written.")
            if self._file is not None:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._file, self._size)
            return problem
        self._size += len(content)
        return None


async def deliver_orphans(take: Take) -> int:
    """Hand over what processes that have died left behind on this host; return how many records there were.

    What nobody could read is forgotten after 30 days.

    A call that had begun and not ended was interrupted. What `take` raises goes to the caller, and all of it waits on.
    """
    delivered = 0
    if settings().function:
        return delivered
    for path in sorted(_directory().glob(f"*{ENDING}")):
        with _orphan(path) as content:
            if content is None:
                continue
            events, damaged = await asyncio.to_thread(_read, content)
            for start in range(0, len(events), AT_ONCE):
                await _all(take, events[start : start + AT_ONCE])
            await asyncio.to_thread(_put_aside, damaged)
            path.unlink(missing_ok=True)
            delivered += len(events)
    _drop_damaged(REQUEST_LOGS.cutoff(now()))
    return delivered


def waiting() -> Waiting:
    """Return how many records lie on this host's disk, whoever's they are, and how many lines nobody can read."""
    records = damaged = 0
    for path in _directory().glob(f"*{ENDING}"):
        with contextlib.suppress(FileNotFoundError):  # delivered between our two looks
            events, wrong = _read(path.read_bytes())
            records, damaged = records + len(events), damaged + len(wrong)
    for path in _damaged():
        with contextlib.suppress(FileNotFoundError):  # its time was over between our two looks
            damaged += path.read_bytes().count(b"\n")
    return Waiting(records, damaged)


def _drop_damaged(before: datetime) -> None:
    """Delete what was put aside on days that began before `before`, for it says who called from where."""
    for aside in _damaged():
        if datetime.strptime(aside.name.removeprefix(DAMAGED), "%Y%m%d").replace(tzinfo=UTC) < before:
            aside.unlink(missing_ok=True)


def _damaged() -> list[Path]:
    return sorted(_directory().glob(f"{DAMAGED}*"))


def _directory() -> Path:
    return settings().data_dir / "spool"


def _new_file() -> tuple[int, Path]:
    """Make an empty file that is locked before anybody can find it by its name, and outlasts a power failure."""
    directory = _directory()
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = directory / f"{os.getpid()}-{secrets.token_hex(8)}{NEW}"
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path = path.rename(path.with_suffix(ENDING))
    place = os.open(directory, os.O_RDONLY)
    os.fsync(place)
    os.close(place)
    return file, path


@contextlib.contextmanager
def _orphan(path: Path) -> Iterator[bytes | None]:
    """Hold a spool's lock for the length of the block and yield its content; None when its process lives."""
    try:
        file = path.open("rb")
    except FileNotFoundError:  # somebody else has just delivered it
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield file.read() if path.exists() else None


def _framed(kind: Kind, event: Event) -> bytes:
    payload = f"{kind} {event.to_json()}".encode()
    return b"%08x %08x %b\n" % (len(payload), zlib.crc32(payload), payload)


def _read(content: bytes) -> tuple[list[Event], list[bytes]]:
    """Return the records in a spool, the last word on each call, and the lines that are whole but cannot be read."""
    events: dict[UUID, Event] = {}
    damaged = []
    *lines, _ = content.split(b"\n")  # what follows the last line break was cut short
    for line in lines:
        try:
            kind, event = _unframed(line)
        except ValueError:
            damaged.append(line)
            continue
        if kind == "ended" or event.request_id not in events:
            events[event.request_id] = event
    return list(events.values()), damaged


def _unframed(line: bytes) -> tuple[str, Event]:
    length, checksum, payload = line[:8], line[9:17], line[18:]
    if int(length, 16) != len(payload) or int(checksum, 16) != zlib.crc32(payload):
        raise ValueError("The line is not what was written.")
    kind, _, event = payload.decode().partition(" ")
    return kind, Event.from_json(event)


def _put_aside(lines: Iterable[bytes]) -> None:
    content = b"".join(line + b"\n" for line in lines)
    if not content:
        return
    logger.error("A spool held lines that cannot be read; they were put aside.")
    file = os.open(_directory() / f"{DAMAGED}{now():%Y%m%d}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(file, "ab") as aside:
        aside.write(content)
        aside.flush()
        os.fsync(aside.fileno())


async def _all(take: Take, events: Iterable[Event]) -> None:
    for problem in await asyncio.gather(*(take(event) for event in events), return_exceptions=True):
        if isinstance(problem, BaseException):
            raise problem
