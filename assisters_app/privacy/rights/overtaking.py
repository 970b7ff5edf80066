"""A file without a name, between one who writes fast and one who reads slowly.

    file = Overtaking(folder)
    file.write(part); file.tell(); file.end()     the writer: never waits for the reader
    async for part in file.parts(): ...           the reader: gets each part as soon as it is there
    file.close()

So a database is read at its own speed, however slow the network of whoever downloads is. The file has no name (nothing
is left of it once it is closed, also when the process dies), and is sealed part by part under a key that exists only in
this process's memory: not even the disk's free blocks say anything.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LENGTH = 4  # bytes before each part that say how long it is


class Overtaking:
    """One file that is written and read at the same time, in one event loop."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (`close` closes it)
        self._cipher = AESGCM(AESGCM.generate_key(256))
        self._written = self._read = 0  # parts: each is sealed under its number, and opens in its place only
        self._ends, self._next = 0, 0  # where the file ends, and where the reader is
        self._ended = False
        self._problem: BaseException | None = None
        self._news = asyncio.Event()
        self.size = 0  # bytes of content written so far

    def write(self, part: bytes) -> None:
        """Append a part; raise OSError when the disk is full."""
        if not part:
            return
        sealed = self._cipher.encrypt(self._written.to_bytes(12), part, None)
        record = len(sealed).to_bytes(LENGTH) + sealed
        os.pwrite(self._file.fileno(), record, self._ends)
        self._ends += len(record)
        self._written += 1
        self.size += len(part)

    def tell(self) -> None:
        """Let the reader know that there is more; called in the event loop, where `write` may be called in a thread."""
        self._news.set()

    def end(self, problem: BaseException | None = None) -> None:
        """Say that nothing more comes; with `problem`, the reader gets that raised after what was written."""
        self._ended, self._problem = True, problem
        self._news.set()

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield every part in order, waiting for those that are not written yet."""
        while True:
            while self._read < self._written:
                yield self._take()
            if self._ended and self._read == self._written:
                break
            self._news.clear()
            if self._read == self._written and not self._ended:
                await self._news.wait()
        if self._problem is not None:
            raise self._problem

    def _take(self) -> bytes:
        length = int.from_bytes(os.pread(self._file.fileno(), LENGTH, self._next))
        sealed = os.pread(self._file.fileno(), length, self._next + LENGTH)
        part = self._cipher.decrypt(self._read.to_bytes(12), sealed, None)
        self._next += LENGTH + length
        self._read += 1
        return part

    def close(self) -> None:
        """Let go of the file, and of the key that opens it."""
        self._file.close()
        del self._cipher
