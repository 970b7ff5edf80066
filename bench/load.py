"""The load generator: raw HTTP/1.1 on loopback, one process; a plan comes in as JSON, the figures go out as JSON.

    python load.py '{"mode": "closed", "port": 3140, "connections": 32, "seconds": 3, "body": {…}, "headers": […]}'

    closed     each connection sends its next request when its last was answered
    paced      `rate` requests a second, whatever the server does (timers tick once a millisecond, so they come in
               twos and threes); with no connection free, latency counts from when a request was due, so that a server
               that falls behind is not asked less (no coordinated omission)
    streams    `connections` streams at once, one each; a gap between two events longer than `stall_ms` is a stall

Latencies are in milliseconds. `keys` are sent in turn, one to a connection.
"""

import asyncio
import itertools
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import uvloop

LOOPBACK = "127.0.0.1"
MOST_CONNECTIONS = 512  # that a paced run may open when a server falls behind
MOST_SECONDS = 30.0
PATIENCE = 20.0  # seconds that a started request may take once the time is over


class Connection(asyncio.Protocol):
    """One keep-alive connection; `send` asks, `done(status, first, worst_gap)` is called when it is answered."""

    def __init__(self, request: bytes, done: Callable[["Connection", int], None]) -> None:
        self._request, self._done = request, done
        self._pending = b""
        self._left: int | None = None  # bytes of the body still to come; -1 for chunks; None before its head is there
        self._status = 0
        self.due = self.first = self._last = self.worst_gap = 0.0
        self.events = 0
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _problem: Exception | None) -> None:
        """Count a request whose answer never came as failed."""
        self.transport = None
        if self.due:
            self._finish(0)

    def send(self, due: float) -> None:
        """Send the request that was due at `due` (perf_counter)."""
        self.due, self.first, self.worst_gap, self._last, self.events = due, 0.0, 0.0, 0.0, 0
        if self.transport is None:
            self._finish(0)
        else:
            self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Follow one answer."""
        if self._left is None:
            data = self._begin(data)
        if self._left == -1:
            self._listen(data)
            tail = self._pending + data
            self._pending = tail[-5:]
            if tail.endswith(b"0\r\n\r\n"):
                self._finish(self._status)
        elif self._left is not None:
            self._left -= len(data)
            if self._left <= 0:
                self._finish(self._status)

    def _begin(self, data: bytes) -> bytes:
        data = self._pending + data
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._pending = data
            return b""
        self._pending, head = b"", data[:end].lower()
        self._status = int(head[9:12])
        at = head.find(b"content-length:")
        self._left = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else -1
        return data[end + 4 :]

    def _listen(self, data: bytes) -> None:
        heard = data.count(b"data:")
        if not heard:
            return
        moment = time.perf_counter()
        if not self.first:
            self.first = moment
        else:
            self.worst_gap = max(self.worst_gap, moment - self._last)
        self._last = moment
        self.events += heard

    def _finish(self, status: int) -> None:
        self._pending, self._left = b"", None
        self._done(self, status)


class Load:
    """One run of a plan."""

    def __init__(self, plan: dict[str, Any]) -> None:
        self.plan = plan
        self.latencies: list[float] = []
        self.firsts: list[float] = []
        self.gaps: list[float] = []
        self.statuses: dict[int, int] = {}
        self.stopping = False
        self._keys = itertools.cycle(plan.get("keys") or [""])
        self._busy = 0
        self._changed = asyncio.Event()  # set when a request is answered
        self._idle: deque[Connection] = deque()
        self._again: Callable[[Connection], None] = self._idle.append

    async def connect(self) -> Connection:
        """Open one more connection."""
        body = json.dumps(self.plan["body"], separators=(",", ":")).encode()
        headers = [*self.plan.get("headers", []), ("authorization", f"Bearer {next(self._keys)}")]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        head = (
            f"POST {self.plan['path']} HTTP/1.1\r\nhost: {LOOPBACK}:{self.plan['port']}\r\nuser-agent: bench/1\r\n"
            f"content-type: application/json\r\naccept: */*\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
        )
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(
            lambda: Connection(head.encode() + body, self._answered), LOOPBACK, self.plan["port"]
        )
        return made

    def ask(self, connection: Connection, due: float) -> None:
        """Send one request."""
        self._busy += 1
        connection.send(due)

    def _answered(self, connection: Connection, status: int) -> None:
        moment = time.perf_counter()
        self._busy -= 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        if status == 200:  # noqa: PLR2004 (OK)
            self.latencies.append((moment - connection.due) * 1000)
            if connection.first:
                self.firsts.append((connection.first - connection.due) * 1000)
                self.gaps.append(connection.worst_gap * 1000)
        connection.due = 0.0
        self._again(connection)
        self._changed.set()

    async def closed(self) -> float:
        """Keep every connection busy."""
        connections = [await self.connect() for _ in range(self.plan["connections"])]
        self._again = lambda one: None if self.stopping or one.transport is None else self.ask(one, time.perf_counter())
        began = time.perf_counter()
        for one in connections:
            self.ask(one, time.perf_counter())
        await asyncio.sleep(min(self.plan["seconds"], MOST_SECONDS))
        self.stopping = True
        elapsed = time.perf_counter() - began
        await self._quiet()
        return elapsed

    async def paced(self) -> float:
        """Ask at a fixed rate, whatever the server does."""
        self._idle.extend([await self.connect() for _ in range(self.plan["connections"])])
        opened, step = len(self._idle), 1 / self.plan["rate"]
        began = due = time.perf_counter()
        end = began + min(self.plan["seconds"], MOST_SECONDS)
        while due < end:
            wait = due - time.perf_counter()
            if wait > 0:  # never by spinning: Valkey and the mock upstream have to live beside us
                await asyncio.sleep(wait)
            if not self._idle and opened < MOST_CONNECTIONS:
                self._idle.append(await self.connect())
                opened += 1
            ready = bool(self._idle)
            while not self._idle:
                self._changed.clear()
                await self._changed.wait()
            self.ask(self._idle.popleft(), time.perf_counter() if ready else due)
            due += step
        await self._quiet()
        return end - began

    async def streams(self) -> float:
        """Open every stream at once, spread over one second, and listen until all have ended."""
        self._again = lambda _one: None
        connections = [await self.connect() for _ in range(self.plan["connections"])]
        began = time.perf_counter()
        for number, one in enumerate(connections):
            wait = began + number / len(connections) - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self.ask(one, time.perf_counter())
        await self._quiet()
        return time.perf_counter() - began

    async def _quiet(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while self._busy:
                    self._changed.clear()
                    await self._changed.wait()


async def run(plan: dict[str, Any]) -> dict[str, Any]:
    """Carry out a plan; return how many were answered, how fast, and what the answers were."""
    load = Load(plan)
    elapsed = await getattr(load, plan["mode"])()
    answered = len(load.latencies)
    return {
        "answered": answered,
        "failed": sum(count for status, count in load.statuses.items() if status != 200),  # noqa: PLR2004 (OK)
        "unanswered": load._busy,  # noqa: SLF001 (its own module)
        "statuses": load.statuses,
        "seconds": elapsed,
        "rate": answered / elapsed,
        **percentiles("", load.latencies),
        **percentiles("first_", load.firsts),
        "stalled": sum(gap > plan.get("stall_ms", 1e9) for gap in load.gaps),
        "worst_gap": max(load.gaps, default=0.0),
    }


def percentiles(prefix: str, values: list[float]) -> dict[str, float | None]:
    """Return p50 and p99."""
    ordered = sorted(values)
    if not ordered:
        return {f"{prefix}p50": None, f"{prefix}p99": None}
    return {f"{prefix}{name}": ordered[min(len(ordered) - 1, int(len(ordered) * q))] for name, q in QUANTILES}


QUANTILES = (("p50", 0.5), ("p99", 0.99))

if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(json.loads(sys.argv[1])))))
