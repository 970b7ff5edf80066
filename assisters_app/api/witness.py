"""Sees what a caller sends and gets, for a key that wants it kept for a day; hands everything on as it is.

Nothing waits for it: it takes down what has passed. A caller declines for one call with `X-Store-Content: false`, or
with `"store": false` in the body, as OpenAI's clients send it.
"""

from assisters_app.gateway.calls import Call
from assisters_app.gateway.content.contents import Said, Side
from assisters_app.gateway.content.writer import Writer

HEADER = b"x-store-content"
MOST = 2**18  # bytes of each side that are kept
TEXTS = ("application/json", "application/x-ndjson", "text/")


class Taken:
    """What has passed on one side: all of its size, the beginning of its bytes."""

    def __init__(self) -> None:
        self.kind = ""
        self._parts: list[bytes] = []
        self._held = self._size = 0

    def take(self, piece: bytes) -> None:
        """Note a piece."""
        self._size += len(piece)
        if self._held < MOST:
            self._parts.append(piece[: MOST - self._held])
            self._held += len(self._parts[-1])

    def side(self) -> Side:
        """Return it as it is kept: as text, or as a size where it is none."""
        kind = self.kind.partition(";")[0].strip().lower()
        text = b"".join(self._parts).decode(errors="replace") if kind.startswith(TEXTS) else ""
        return Side(kind, text.replace("\0", "\ufffd"), self._size, cut=self._size > self._held)


class Witness:
    """Stands between a call and its caller; `declined` once the caller does not want it kept."""

    def __init__(self, writer: Writer, call: Call, kind: str) -> None:
        self.declined = False
        self._writer, self._call = writer, call
        self.sent, self.got = Taken(), Taken()
        self.sent.kind = kind

    def conclude(self) -> None:
        """Have what has passed written down, once the call is over."""
        if not self.declined:
            call = self._call
            said = Said(call.request_id, call.grant.organization_id, call.at, self.sent.side(), self.got.side())
            self._writer.put(said)
