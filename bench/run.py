"""`make bench`: ourselves, the peers, a plain reverse proxy and the bare upstream, under one load on one machine.

    python bench/run.py [--quick] [--only ours,bare]

The server that is measured has core 0 to itself where there are two; the mock upstream, the load generator, and our
PostgreSQL and Valkey share the other. Rounds are interleaved and figures are medians over them. Everything is real HTTP
on loopback, bounded in count and in time. The last line is for machines.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import redis

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import flushing
import house
import ingesting
import subjects
from subjects import Running, Subject

CORES = sorted(os.sched_getaffinity(0))
SERVER, REST = ({CORES[0]}, set(CORES[1:])) if len(CORES) > 1 else ({CORES[0]}, {CORES[0]})
CONNECTIONS = 32  # at full load
INTERVAL = 100.0  # ms between two events of a stream
STALL = INTERVAL + 200.0  # ms; a longer gap between two events is a stall
LADDER = (1, 32, 128, 500, 1_000)  # concurrent streams, until one stalls
TOKENS = 20  # events of a stream
WORKERS = (1, 2, 4)  # of which the cost of a request is compared, all on the server's one core


@dataclass(frozen=True, slots=True)
class Length:
    """How long things run, in seconds, and how many rounds."""

    rounds: int
    one: float
    full: float
    half: float


USUAL = Length(rounds=3, one=1.0, full=2.5, half=2.0)
QUICK = Length(rounds=1, one=1.0, full=2.0, half=1.5)


@dataclass(slots=True)
class Found:
    """What was measured of one subject: lists hold one figure a round."""

    figures: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cold: float = 0.0
    memory: float = 0.0  # MiB
    streams: int = 0
    failed: int = 0

    def median(self, name: str) -> float | None:
        """Return the median over the rounds, None when it was never measured."""
        values = self.figures.get(name)
        return statistics.median(values) if values else None


def main() -> int:
    """Measure, print the table, and return 1 when an answer that should have come did not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument("--only", default="", help="names of subjects, by commas")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="how long the mock upstream thinks")
    chosen = parser.parse_args()
    began = time.monotonic()
    with ExitStack() as ends:
        place = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="assisters-bench-", dir="/var/tmp")))
        place.chmod(0o711)
        bench = Bench(QUICK if chosen.quick else USUAL, ends)
        bench.open(place, chosen.latency_ms, set(filter(None, chosen.only.split(","))))
        bench.measure()
        if bench.ours():
            bench.compare_workers()
        bench.ingest = ingesting.measure() if bench.ours() else None
        bench.flush = flushing.measure(place) if bench.ours() else None
    report(bench, time.monotonic() - began)
    return int(any(found.failed for found in bench.found.values()))


class Bench:
    """One run of the benchmark."""

    def __init__(self, length: Length, ends: ExitStack) -> None:
        self.length = length
        self.found: dict[str, Found] = {}
        self.running: list[Running] = []
        self.missing: list[tuple[Subject, str]] = []
        self.ingest: ingesting.Ingest | None = None
        self.flush: flushing.Flush | None = None
        self.by_workers: dict[int, list[float]] = {}  # µs of CPU for a request, one figure a round
        self._ends = ends

    def open(self, place: Path, latency_ms: float, only: set[str]) -> None:
        """Start everything that can be started."""
        with _on(REST):
            upstream = subjects.bare(latency_ms)
            self.mock = subjects.start(upstream, REST)
            self._ends.callback(self.mock.child.end)
            url = f"http://127.0.0.1:{self.mock.port}/v1"
            self.postgres, self.cache = self._ends.enter_context(house.open_house(place, url))
            keys = self.keys = house.customers()
        for subject in (
            subjects.ours("ours", "Assisters, API alone", "api_alone", keys, 1),
            subjects.ours("mounted", "Assisters, with the pages", "create", keys, 1),
            subjects.litellm(url, place),
            subjects.portkey(url),
            subjects.nginx(url, place),
            subjects.bare(latency_ms),
            subjects.ours("ours2", "Assisters, API alone, 2 workers", "api_alone", keys, 2),
            subjects.ours("mounted2", "Assisters, with the pages, 2 workers", "create", keys, 2),
        ):
            if not only or subject.name in only:
                self._start(subject)

    def _start(self, subject: Subject) -> None:
        if subject.missing:
            self.missing.append((subject, subject.missing))
            return
        print(f"Starting {subject.title} …", flush=True)
        try:
            running = subjects.start(subject, SERVER if subject.workers == 1 else set(CORES))
        except RuntimeError as problem:
            self.missing.append((subject, str(problem)))
            return
        self._ends.callback(running.child.end)
        self.running.append(running)
        self.found[subject.name] = Found(cold=running.cold)

    def rate(self, name: str) -> float | None:
        """Return requests a second of a subject at full load, None when it was not measured."""
        found = self.found.get(name)
        return found.median("rate") if found else None

    def ours(self) -> list[Running]:
        """Return what of ours is measured."""
        return [one for one in self.running if one.subject.switched_on == subjects.EVERYTHING]

    def measure(self) -> None:
        """Let the rounds run, then the streams."""
        for running in self.running:
            self._load(running, "closed", connections=8, seconds=0.5)  # warm
        for number in range(self.length.rounds):
            print(f"Round {number + 1} of {self.length.rounds} …", flush=True)
            for running in self.running:
                self._round(running)
        print("Streams …", flush=True)
        for running in self.running:
            if running.subject.workers == 1:
                self._streams(running)
        for running in self.running:
            tree = _tree(running.child.mark.pid)
            self.found[running.subject.name].memory = sum(one.memory_info().rss for one in tree) / 2**20

    def compare_workers(self) -> None:
        """Have one, two and four workers share one core, to see whether a request is dearer among many.

        More cores would show more requests; what one costs shows on a single core already whether there is anything
        that workers do twice, or wait for each other for. Each has as many callers as the one has: with fewer, a worker
        finds less to do at each wake-up, and a request is dearer for a reason of its own.
        """
        print("Workers …", flush=True)
        running = []
        for count in WORKERS:
            subject = subjects.ours(f"workers{count}", f"{count} workers on one core", "api_alone", self.keys, count)
            running.append(subjects.start(subject, SERVER))
            self._ends.callback(running[-1].child.end)
            self._load(running[-1], "closed", connections=8 * count, seconds=1.0)  # warm, each of them
        for number in range(self.length.rounds):
            for one in running if number % 2 else reversed(running):
                self._cost(one)
        for one in running:
            one.child.end()

    def _cost(self, running: Running) -> None:
        before = _cpu(running.child.mark.pid)
        callers = CONNECTIONS * running.subject.workers
        full = self._load(running, "closed", connections=callers, seconds=self.length.full)
        cost = (_cpu(running.child.mark.pid) - before) / max(full["answered"], 1) * 1e6
        self.by_workers.setdefault(running.subject.workers, []).append(cost)
        self.found.setdefault(running.subject.name, Found()).failed += full["failed"] + full["unanswered"]

    def _round(self, running: Running) -> None:
        found = self.found[running.subject.name]
        bare_one = self._load(self.mock, "closed", connections=1, seconds=self.length.one / 2)
        one = self._load(running, "closed", connections=1, seconds=self.length.one)
        before, cache_before = _cpu(running.child.mark.pid), _cpu(self.cache.process.mark.pid)
        full = self._load(running, "closed", connections=CONNECTIONS, seconds=self.length.full)
        spent, cache = _cpu(running.child.mark.pid) - before, _cpu(self.cache.process.mark.pid) - cache_before
        rate = max(full["rate"] / 2, 5.0)
        half = self._load(running, "paced", connections=CONNECTIONS, seconds=self.length.half, rate=rate)
        bare_half = self._load(
            self.mock, "paced", connections=CONNECTIONS, seconds=self.length.half / 2, rate=min(rate, 5_000.0)
        )
        lazy = self._lazy_half(running, rate) if running in self.ours() else None
        answered = max(full["answered"], 1)
        for name, value in (
            ("rate", full["rate"]),
            ("cpu", spent / answered * 1e6),
            ("cache", cache / answered * 1e6 if running in self.ours() else 0.0),
            ("one_p50", _less(one["p50"], bare_one["p50"])),
            ("one_p99", _less(one["p99"], bare_one["p99"])),
            ("half_p50", _less(half["p50"], bare_half["p50"])),
            ("half_p99", _less(half["p99"], bare_half["p99"])),
            ("bare_half_p50", bare_half["p50"]),
            ("bare_half_p99", bare_half["p99"]),
            ("lazy_half_p50", lazy and _less(lazy["p50"], bare_half["p50"])),
            ("lazy_half_p99", lazy and _less(lazy["p99"], bare_half["p99"])),
        ):
            if value is not None:
                found.figures[name].append(value)
        found.failed += sum(run["failed"] + run["unanswered"] for run in (one, full, half))

    def _lazy_half(self, running: Running, rate: float) -> dict[str, Any]:
        """Half load once more while Valkey flushes once a second, which we never do: what is left is not the disk's."""
        with redis.Redis.from_url(self.cache.url) as cache:
            cache.config_set("appendfsync", "everysec")
            try:
                return self._load(running, "paced", connections=CONNECTIONS, seconds=self.length.half, rate=rate)
            finally:
                cache.config_set("appendfsync", "always")

    def _streams(self, running: Running) -> None:
        found = self.found[running.subject.name]
        for count in LADDER:
            told = self._load(running, "streams", connections=count, seconds=0, stream=True)
            whole = told["answered"] == count and not told["stalled"]
            if count == CONNECTIONS:
                direct = self._load(self.mock, "streams", connections=count, seconds=0, stream=True)
                found.figures["first"].extend(filter(None, [_less(told["first_p50"], direct["first_p50"])]))
            found.figures[f"worst_gap_{count}"].append(told["worst_gap"])
            if not whole:
                return
            found.streams = count

    def _load(self, running: Running, mode: str, *, stream: bool = False, **plan: float) -> dict[str, Any]:
        subject = running.subject
        body = json.loads(subjects.BODY) | ({"stream": True} if stream else {})
        whole = {"mode": mode, "port": running.port, "path": subjects.PATH, "body": body, "stall_ms": STALL, **plan}
        whole |= {"keys": subject.keys, "headers": subject.headers}
        with _on(REST):
            argv = [subjects.TOOLS / "python", subjects.HERE / "load.py", json.dumps(whole)]
            done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)  # noqa: S603
        told: dict[str, Any] = json.loads(done.stdout)
        return told


def _less(with_it: float | None, without: float | None) -> float | None:
    return None if with_it is None or without is None else with_it - without


@contextmanager
def _on(cores: set[int]) -> Iterator[None]:
    """Have what is started within the block run on `cores`."""
    own = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, own)


def _tree(pid: int) -> list[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _cpu(pid: int) -> float:
    """Return the CPU-seconds that a process and its children have used."""
    return sum(sum(one.cpu_times()[:2]) for one in _tree(pid))


def report(bench: Bench, seconds: float) -> None:
    """Print the table, the ratios, what could not be measured, and the last line."""
    print(
        f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {len(CORES)} cores ({_processor()}), {platform.system()}.", end=" "
    )
    print(f"Python {platform.python_version()}, {seconds:.0f} s in all. Load: {CONNECTIONS} connections, "
          f"{'server on a core of its own' if SERVER != REST else 'everything on one core'}.\n")  # fmt: skip
    print(f"{'':38}{'req/s':>8}{'CPU/req':>9}{'Valkey':>8}{'added ms, 1 conn':>18}{'added ms, half load':>21}"
          f"{'first':>8}{'streams':>9}{'memory':>9}{'cold':>8}")  # fmt: skip
    print(f"{'':38}{'':8}{'µs':>9}{'µs/req':>8}{'p50':>9}{'p99':>9}{'p50':>11}{'p99':>10}"
          f"{'ms':>8}{'no stall':>9}{'MiB':>9}{'s':>8}")  # fmt: skip
    for running in bench.running:
        found = bench.found[running.subject.name]
        figures = [
            found.median(name) for name in ("rate", "cpu", "cache", "one_p50", "one_p99", "half_p50", "half_p99")
        ]
        rate, cpu, cache, *added = figures
        first = found.median("first")
        print(f"{running.subject.title:38}{_shown(rate, 8, 0)}{_shown(cpu, 9, 0)}{_shown(cache, 8, 0)}"
              f"{_shown(added[0], 9, 2)}{_shown(added[1], 9, 2)}{_shown(added[2], 11, 2)}{_shown(added[3], 10, 2)}"
              f"{_shown(first, 8, 2)}{found.streams or '—':>9}{found.memory:9.0f}{found.cold:8.2f}")  # fmt: skip
    for subject, why in bench.missing:
        print(f"{subject.title:38}n/a: {why}")
    print("\nSwitched on:")
    for running in bench.running:
        failed = bench.found[running.subject.name].failed
        print(f"  {running.subject.title:38}{running.subject.switched_on}" + (f"  ({failed} FAILED)" if failed else ""))
    if bench.flush is not None:
        print(f"\n{_where_half_goes(bench)}")
    if bench.by_workers:
        print(f"\n{_by_workers(bench.by_workers)}")
    if bench.ingest is not None:
        print(f"\n{bench.ingest.sentence(bench.rate('ours'))}")
    _ratios(bench)
    _last_line(bench)


def _by_workers(measured: dict[int, list[float]]) -> str:
    costs = {count: statistics.median(values) for count, values in measured.items()}
    alone = costs[min(costs)]
    told = [
        f"{count}: {cost:.0f} µs" + ("" if cost == alone else f" (x {cost / alone:.2f})")
        for count, cost in sorted(costs.items())
    ]
    return f"CPU for a request by so many workers on that one core: {', '.join(told)}."


def _where_half_goes(bench: Bench) -> str:
    """Say what of the latency at half load is the disk's, and what the bare upstream has at the same pace."""
    flush, found = bench.flush, bench.found[bench.ours()[0].subject.name]
    assert flush is not None
    lazy, bare = ([found.median(f"{which}_half_{q}") for q in ("p50", "p99")] for which in ("lazy", "bare"))
    return (
        f"Half load: the bare upstream answers in {_plain(bare[0], 2)} / {_plain(bare[1], 2)} ms at the same pace. "
        f"A call waits for two flushes of this disk, of {flush.p50:.2f} / {flush.p99:.2f} ms each by itself; with one "
        f"flush a second, which loses records, we would add {_plain(lazy[0], 2)} / {_plain(lazy[1], 2)} ms."
    )


def _ratios(bench: Bench) -> None:
    ours = bench.rate("ours")
    pairs = [(one.subject.title, bench.rate(one.subject.name)) for one in bench.running if one.subject.workers == 1]
    told = [
        f"{ours / rate:.2f} times {title}" for title, rate in pairs if ours and rate and not title.startswith("Ass")
    ]
    print(f"\nRequests per second, ours: {', '.join(told) or 'n/a'}")


def _last_line(bench: Bench) -> None:
    rates = " ".join(f"{name}={_plain(bench.rate(name), 0)}" for name in ("ours", "litellm", "portkey", "bare"))
    found = bench.found.get("ours", Found())
    p50, p99 = _plain(found.median("half_p50"), 2), _plain(found.median("half_p99"), 2)
    print(f"{rates} req/s/core; added p50={p50} p99={p99} ms")


def _plain(value: float | None, digits: int) -> str:
    return "n/a" if value is None else f"{value:.{digits}f}"


def _shown(value: float | None, width: int, digits: int) -> str:
    return f"{'—' if value is None else f'{value:.{digits}f}':>{width}}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


if __name__ == "__main__":
    sys.exit(main())
