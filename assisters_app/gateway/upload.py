"""A recording on its way from a caller to an upstream: read as a form, kept nowhere, in little memory.

upload = Upload(chunks, content_type)         raises Refused (400) for what is not a form
await upload.begin()                          reads until the model is named and the recording has begun
upload.most_seconds(announced)                the longest that the recording can be
upload.form(model, response_format)           the form again, as it arrives, for the upstream
await upload.finish()                         reads the rest; the recording itself is let go
upload.seconds()                              how long the recording is, None when its kind does not say

What comes before the model is named lies in memory up to a megabyte, beyond that in a file without a name, which goes
with the request. What comes after is handed on without being kept.
"""

import asyncio
import math
import secrets
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from assisters_app.base.errors import Refused
from assisters_app.gateway.calls import GoneError
from assisters_app.gateway.checks import wrong

LARGEST_FILE = 25 * 2**20  # bytes, as OpenAI has it
LARGEST_FORM = LARGEST_FILE + 2**20  # bytes of all of it
LARGEST_FIELDS = 2**16  # bytes of all that is not the recording
IN_MEMORY = 2**20  # bytes
PIECE = 2**16  # bytes read again at once
HEAD = 4_096  # bytes of the recording in which its kind is looked for
LEAST_A_SECOND = 1_000  # bytes: eight kilobits, the least that MP3 can be
USUAL_A_SECOND = 16_000  # bytes: 128 kilobits, for a recording whose length nobody tells
MOST_SECONDS = 2 * 60 * 60  # that one recording is held and charged for
UNCOMPRESSED, FURTHER_ON = (1, 3), 0xFFFE  # ways in which a WAV holds samples as they are; the way is said further on


@dataclass(slots=True)
class _Part:
    name: str = ""
    filename: str = ""
    kind: str = ""
    is_file: bool = False
    value: bytearray = field(default_factory=bytearray)


class Upload:
    """One form. `fields` holds what has been read of it besides the recording; `arrived` is set at its end."""

    def __init__(self, chunks: AsyncIterator[bytes], content_type: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary", b"")
        if kind != b"multipart/form-data" or not 1 <= len(boundary) <= 200:  # noqa: PLR2004 (the standard allows 70)
            raise Refused("Send the recording as multipart/form-data.", code="invalid_form")
        self.fields: list[tuple[str, str]] = []
        self.arrived = asyncio.Event()
        self.check: Callable[[], None] = lambda: None  # raises Refused for fields that cannot be sent
        self.problem: Refused | GoneError | None = None  # what went wrong while it was being handed on
        self.size = 0  # bytes of the recording so far
        self._chunks = chunks
        self._head = b""
        self._file: _Part | None = None
        self._part = _Part()
        self._header = [bytearray(), bytearray()]
        self._pending: list[bytes] = []
        self._said = 0
        self._whole = False
        self._kept = SpooledTemporaryFile[bytes](max_size=IN_MEMORY)
        self._parser = MultipartParser(boundary, _callbacks(self))  # type: ignore[arg-type]

    def close(self) -> None:
        """Forget what was kept."""
        self._kept.close()

    def value(self, name: str) -> str | None:
        """Return a field that may be given once; raise Refused when it was given again."""
        found = [value for given, value in self.fields if given == name]
        if len(found) > 1:
            raise wrong(name, "may be given once")
        return found[0] if found else None

    async def begin(self) -> None:
        """Read until it is known which model is to hear what; raise Refused when there is no recording."""
        while not (self._file and self.value("model") is not None) and await self._read():
            self._keep()
        self._keep()
        if self._file is None:
            raise wrong("file", "must be a recording")

    async def finish(self) -> None:
        """Read what is left, and check it."""
        while await self._read():
            self._pending.clear()
        self._pending.clear()
        self.check()

    def most_seconds(self, announced: int | None) -> int:
        """Return the longest that the recording can be; `announced` is the size of the whole form, None if unknown."""
        most = self.size if self.arrived.is_set() else min(announced or LARGEST_FILE, LARGEST_FILE)
        return min(MOST_SECONDS, math.ceil(most / (_bytes_a_second(self._head) or LEAST_A_SECOND)))

    def seconds(self) -> int | None:
        """Return how long a recording is that has arrived whole, a second begun counted whole; None if unknown."""
        rate = _bytes_a_second(self._head)
        return math.ceil(max(0, self.size - _sound_begins(self._head)) / rate) if rate else None

    def guessed_seconds(self) -> int:
        """Return how long a recording of this size usually is."""
        return max(1, self.size // USUAL_A_SECOND)

    def form(self, model: str, response_format: str) -> "Form":
        """Return the form again, with these two fields as given here."""
        boundary = secrets.token_hex(16)
        ours = {"model": model, "response_format": response_format}
        return Form(f"multipart/form-data; boundary={boundary}", self._again(boundary.encode(), ours))

    async def _again(self, boundary: bytes, ours: dict[str, str]) -> AsyncIterator[bytes]:
        """Yield the form; what goes wrong meanwhile is also left in `problem`, for the upstream's client hides it.

        What stands behind the recording is checked before the end is sent: nothing is worked on that is then refused.
        """
        assert self._file is not None
        try:
            before = [(name, value) for name, value in self.fields if name not in ours]
            yield b"".join(_field(boundary, name, value) for name, value in [*before, *ours.items()])
            yield _file_head(boundary, self._file)
            self._kept.seek(0)
            while piece := self._kept.read(PIECE):
                yield piece
            while await self._read():
                for piece in self._taken():
                    yield piece
            for piece in self._taken():
                yield piece
            self.check()
            after = [(name, value) for name, value in self.fields if name not in ours][len(before) :]
            yield b"\r\n" + b"".join(_field(boundary, name, value) for name, value in after)
            yield b"--" + boundary + b"--\r\n"
        except (Refused, GoneError) as problem:
            self.problem = problem
            raise

    async def _read(self) -> bool:
        """Read a little more; False when there is no more."""
        chunk = await anext(self._chunks, None)
        try:
            if chunk is None:
                self._parser.finalize()
            else:
                self._parser.write(chunk)
        except FormParserError:
            raise Refused("The form of your request could not be read.", code="invalid_form") from None
        if chunk is None:
            if not self._whole:
                raise Refused("The form of your request ends too early.", code="invalid_form")
            self.arrived.set()
        return chunk is not None

    def _keep(self) -> None:
        for piece in self._taken():
            self._kept.write(piece)

    def _taken(self) -> list[bytes]:
        taken, self._pending = self._pending, []
        return taken

    def _begin_part(self) -> None:
        self._part = _Part()

    def _name_header(self, data: bytes, start: int, end: int) -> None:
        self._header[0] += data[start:end]

    def _fill_header(self, data: bytes, start: int, end: int) -> None:
        self._header[1] += data[start:end]

    def _end_header(self) -> None:
        (name, value), self._header = map(bytes, self._header), [bytearray(), bytearray()]
        if name.lower() == b"content-type":
            self._part.kind = value.decode("latin-1")
        if name.lower() == b"content-disposition":
            _, options = parse_options_header(value)
            self._part.name = options.get(b"name", b"").decode("utf-8", "replace")
            self._part.filename = options.get(b"filename", b"").decode("utf-8", "replace")
            self._part.is_file = b"filename" in options

    def _end_headers(self) -> None:
        if not self._part.is_file:
            return
        if self._part.name != "file" or self._file is not None:
            raise wrong(self._part.name[:64] or "file", "may not be a file: send one recording, as `file`")
        self._file = self._part

    def _data(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if not self._part.is_file:
            self._said += len(piece)
            self._part.value += piece
        else:
            self.size += len(piece)
            self._head += piece[: HEAD - len(self._head)]
            self._pending.append(piece)
        if self.size > LARGEST_FILE or self._said > LARGEST_FIELDS:
            raise Refused(
                f"A recording may be {LARGEST_FILE // 2**20} MB large at most, all else {LARGEST_FIELDS // 2**10} kB.",
                code="body_too_large",
                status=413,
            )

    def _end_part(self) -> None:
        if not self._part.is_file:
            self._said += len(self._part.name)
            self.fields.append((self._part.name, self._part.value.decode("utf-8", "replace")))

    def _end(self) -> None:
        self._whole = True


@dataclass(frozen=True, slots=True)
class Form:
    """A body that is a form: how it is announced, and its bytes as they come."""

    content_type: str
    content: AsyncIterator[bytes]


def _callbacks(upload: Upload) -> dict[str, Callable[..., None]]:
    return {
        "on_part_begin": upload._begin_part,  # noqa: SLF001 (the parser's ears, in one place)
        "on_header_field": upload._name_header,  # noqa: SLF001
        "on_header_value": upload._fill_header,  # noqa: SLF001
        "on_header_end": upload._end_header,  # noqa: SLF001
        "on_headers_finished": upload._end_headers,  # noqa: SLF001
        "on_part_data": upload._data,  # noqa: SLF001
        "on_part_end": upload._end_part,  # noqa: SLF001
        "on_end": upload._end,  # noqa: SLF001
    }


def _bytes_a_second(head: bytes) -> int:
    """Return how many bytes of a WAV that holds samples as they are make a second; 0 for any other recording."""
    found = _chunk(head, b"fmt ")
    if found is None or len(head) < found + 16:
        return 0
    way, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", head, found)
    if way == FURTHER_ON and len(head) >= found + 26:
        (way,) = struct.unpack_from("<H", head, found + 24)
    return rate * channels * (bits // 8) if way in UNCOMPRESSED else 0


def _sound_begins(head: bytes) -> int:
    return _chunk(head, b"data") or len(head)


def _chunk(head: bytes, name: bytes) -> int | None:
    """Return where the content of a WAV's chunk begins."""
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at = 12
    while at + 8 <= len(head):
        if head[at : at + 4] == name:
            return at + 8
        (size,) = struct.unpack_from("<I", head, at + 4)
        at += 8 + size + size % 2
    return None


def _field(boundary: bytes, name: str, value: str) -> bytes:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
    return b"--" + boundary + b"\r\n" + head.encode()


def _file_head(boundary: bytes, part: _Part) -> bytes:
    name = _quoted(part.filename or "recording")
    kind = part.kind if part.kind.isprintable() and part.kind.isascii() and part.kind else "application/octet-stream"
    head = f'Content-Disposition: form-data; name="file"; filename="{name}"\r\nContent-Type: {kind}\r\n\r\n'
    return b"--" + boundary + b"\r\n" + head.encode()


def _quoted(name: str) -> str:
    """Return a name as browsers write it into a form."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
