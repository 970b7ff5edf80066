"""A ZIP that is written while it is sent: each file is counted and hashed on its way, for the manifest at the end."""

import hashlib
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import IO, Any

LEVEL = 3  # of 9; the usual 6 took 1.26 times as long for a file 0.89 times as large (bench/exporting.py)


@dataclass(slots=True)
class Written:
    """What the manifest says of one file, as it grows."""

    path: str
    rows: int | None = None
    size: int = 0
    sha256: Any = field(default_factory=hashlib.sha256)

    def line(self) -> dict[str, Any]:
        """Return this file's line of the manifest."""
        counted = {} if self.rows is None else {"rows": self.rows}
        return {"path": self.path, **counted, "bytes": self.size, "sha256": self.sha256.hexdigest()}


class Archive:
    """The ZIP as it grows; `take` returns the bytes made since it was last called."""

    def __init__(self, made_at: datetime) -> None:
        self._outgoing = _Outgoing()
        self._zip = zipfile.ZipFile(self._outgoing, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)  # type: ignore[call-overload]
        self._made_at = made_at
        self._files: list[Written] = []

    def lines(self) -> list[dict[str, Any]]:
        """Return the manifest's line of each file so far."""
        return [written.line() for written in self._files]

    def put(self, path: str, content: bytes) -> None:
        """Add a whole file."""
        with self.file(path) as (entry, written):
            append(entry, written, content)

    @contextmanager
    def file(self, path: str, rows: int | None = None) -> Iterator[tuple[IO[bytes], Written]]:
        """Open a file that grows within the block; the ZIP holds one open file at a time."""
        written = Written(path, rows)
        self._files.append(written)
        info = zipfile.ZipInfo(path, self._made_at.timetuple()[:6])
        info.compress_type = zipfile.ZIP_DEFLATED
        info._compresslevel = LEVEL  # type: ignore[attr-defined] # noqa: SLF001 (public as `compress_level` from Python 3.13 on)
        with self._zip.open(info, "w", force_zip64=True) as entry:
            yield entry, written

    def close(self) -> None:
        """Write the ZIP's own list of files."""
        self._zip.close()

    def take(self) -> bytes:
        """Return what was made since the last time."""
        return self._outgoing.take()


def append(entry: IO[bytes], written: Written, content: bytes, rows: int = 0) -> None:
    """Write `content`, which holds that many rows, and count it."""
    entry.write(content)
    written.size += len(content)
    written.sha256.update(content)
    if rows:
        written.rows = (written.rows or 0) + rows


class _Outgoing:
    """Where the ZIP is written to: holds the bytes of the moment until they are taken."""

    def __init__(self) -> None:
        self._waiting: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._waiting.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing: `take` empties it."""

    def take(self) -> bytes:
        taken = b"".join(self._waiting)
        self._waiting.clear()
        return taken
