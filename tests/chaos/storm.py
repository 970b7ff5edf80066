"""Kill everything at random while callers call, and compare what they and the upstream saw with what the books hold.

    python tests/chaos/storm.py --seconds 60 --seed 1 --callers 8

Real processes: two of the API, the worker, PostgreSQL and Valkey with durable storage; the official client; an upstream
that writes down what it produced. Everything is on loopback. The last line is `requests=… kills=… lost=… doubled=…`:

    lost      a call that reached the upstream, or was answered in full, of which the books do not say what became
    doubled   a call that is in the books twice, or charged more than the upstream produced

Exit code 0 only when both are 0, every invariant holds, nothing is held any more, and no caller was left hanging.
"""

import argparse
import asyncio
import base64
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import openai
import orjson
import psycopg
from aiohttp import web
from cast import ADA, BOB, MALLORY
from customers import customer, key_of
from sqlmodel import select

from assisters_app import run
from assisters_app.accounts.tables import Organization
from assisters_app.base import clock, db, local_servers, processes, settings, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import transaction
from assisters_app.base.money import from_dollars
from assisters_app.billing import invariants as money
from assisters_app.billing import rating, receipts, wallet
from assisters_app.gateway import admission, catalog, ingest, invariants, reaper, spool
from assisters_app.gateway.scripts import OPEN, Keys
from assisters_app.usage.tables import UsageEvent

ROOT = Path(__file__).resolve().parents[2]
MODEL = "assisters-chat-v1"
INPUT = 11  # tokens that the upstream counts
HANGS = 20.0  # seconds after which a caller gives up: it must never come to that
PEPPER = base64.b64encode(b"a pepper for storms, 32 bytes long").decode()


@dataclass
class Upstream:
    """Answers after a while, and writes down for each call, by what it says, how many tokens it produced."""

    chance: random.Random
    produced: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = orjson.loads(await request.read())
        tag = body["messages"][0]["content"]
        self.asked[tag] += 1
        await asyncio.sleep(self.chance.uniform(0, 0.2))
        words = 1 + sum(tag.encode()) % 20
        if body.get("stream"):
            return await self._stream(request, tag, words)
        self.produced[tag] = words
        said = {"role": "assistant", "content": "word " * words}
        choice = {"index": 0, "message": said, "finish_reason": "stop"}
        return web.json_response({**head("chat.completion"), "choices": [choice], "usage": usage(words)})

    async def _stream(self, request: web.Request, tag: str, words: int) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        with contextlib.suppress(ConnectionResetError):  # whoever asked was killed
            await response.prepare(request)
            for number in range(words):
                self.produced[tag] = number + 1
                await self._say(response, {"content": "word "}, usage(number + 1))
                await asyncio.sleep(self.chance.uniform(0, 0.02))
            await self._say(response, {}, usage(words), "stop")
            await response.write(b"data: [DONE]\n\n")
        return response

    @staticmethod
    async def _say(response, delta, used, finished=None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finished}
        chunk = {**head("chat.completion.chunk"), "choices": [choice], "usage": used}
        await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")


def head(kind):
    return {"id": "chatcmpl-1", "object": kind, "created": 1_700_000_000, "model": "storm"}


def usage(words):
    return {"prompt_tokens": INPUT, "completion_tokens": words, "total_tokens": INPUT + words}


@dataclass
class Part:
    """A process that is started, killed, frozen, and started again."""

    name: str
    begin: Callable[[], processes.Child]
    address: str = ""  # where it says that it is ready
    child: processes.Child | None = None
    resting: bool = False  # killed or frozen, and to come back by itself

    async def start(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                self.child = await asyncio.to_thread(self.begin)
            except (local_servers.LocalServerError, psycopg.OperationalError):
                if time.monotonic() > deadline:  # a killed server's own processes are still going
                    raise
                await asyncio.sleep(0.2)
            else:
                await self._ready()
                self.resting = False
                return

    async def _ready(self) -> None:
        """Wait until a web process answers at all; whether what it needs is there is not its matter now."""
        async with httpx.AsyncClient(timeout=HANGS) as client, asyncio.timeout(60):
            while self.address:
                with contextlib.suppress(httpx.HTTPError):
                    await client.get(self.address)
                    return
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        self.resting = True
        self.signal(signal.SIGKILL)
        self.child.popen.wait()

    def signal(self, sign: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.mark.pid, sign)

    @property
    def runs(self) -> bool:
        return self.child is not None and self.child.running()


@dataclass(frozen=True)
class Seen:
    """What a caller saw of one call: `answered` is the whole answer, up to its last byte."""

    answered: bool
    handle: str = ""
    cost_nano: int = 0
    error: str = ""


@dataclass
class Storm:
    """One run: what is there, what was done to it, what was seen."""

    home: Path
    chance: random.Random
    upstream: Upstream
    parts: list[Part] = field(default_factory=list)
    ports: list[int] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    seen: dict[str, Seen] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    freezes: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    over: bool = False

    # What is there

    async def rise(self, upstream_url: str) -> None:
        """Start the servers, make customers, start the product."""
        urls = {}
        for name, start in (("postgres", local_servers.start_postgres), ("valkey", local_servers.start_valkey)):
            server = await asyncio.to_thread(start, self.home / name, durable=True)
            urls[name] = server.url
            again = self._server(name, start, server.port)
            self.parts.append(Part(name, again, child=server.process))
        os.environ.update(
            ASSISTERS_ENV="development",
            ASSISTERS_PEPPER=PEPPER,
            ASSISTERS_DATA_DIR=str(self.home / "data"),
            DATABASE_URL=urls["postgres"],
            REDIS_URL=urls["valkey"],
            SMTP_URL="smtp://127.0.0.1:9",
            UPSTREAM_BASE_URL=upstream_url,
            UPSTREAM_API_KEY="the-upstreams-key",
        )
        settings.settings.cache_clear()
        await asyncio.to_thread(run.migrate)
        await self._people()
        self.parts.append(Part("worker", self._program("worker", "assisters_app", "worker")))
        for number in range(2):
            port = processes.free_port()
            self.ports.append(port)
            served = ("--interface=asgi", "--factory", "--workers=1", f"--port={port}", "--log-level=error")
            program = self._program(f"web{number}", "granian", *served, "assisters_app.asgi:api_alone")
            self.parts.append(Part(f"web{number}", program, f"http://127.0.0.1:{port}/healthz"))
        await asyncio.gather(*(part.start() for part in self.parts if part.child is None))

    def _server(self, name, start, port):
        return lambda: start(self.home / name, durable=True, port=port).process

    def _program(self, name, *arguments):
        def begin():
            with (self.home / f"{name}.log").open("ab") as log:
                argv = [sys.executable, "-m", *arguments]
                return processes.start(name, argv, env=dict(os.environ), cwd=ROOT, output=log)

        return begin

    async def _people(self) -> None:
        async with transaction() as tx:
            await catalog.ensure_first_models(tx)
            await rating.ensure_first_prices(tx)
        for name in (ADA, BOB, MALLORY):
            person = await customer(name)
            async with transaction() as tx:
                await wallet.give(tx, person.organization_id, from_dollars("20"), f"gift:{name}")
                (await tx.get_one(Organization, person.organization_id)).plan = "by hand"  # no limits per minute
            self.keys.append((await key_of(person))[2])

    def fall(self) -> None:
        for part in reversed(self.parts):
            if part.child is not None:
                part.signal(signal.SIGCONT)
                part.child.end()
        for data in (self.home / "postgres", self.home / "valkey"):
            if data.is_symlink():  # root keeps them where an unprivileged user can reach them, and to last
                processes.remove(data.readlink().parent)

    # What is done to it

    async def rage(self, seconds: float) -> None:
        """Kill or freeze one part after the other, each in its turn; go on until as many were killed as there are."""
        until, waits = time.monotonic() + seconds, set()
        victims: list[Part] = []
        while time.monotonic() < until or self.kills.total() < len(self.parts):
            await asyncio.sleep(self.chance.uniform(0.3, 1.5))
            victims = victims or self.chance.sample(self.parts, len(self.parts))
            victim = victims.pop()
            if victim.resting or (victim.address and self._last_web()):
                continue
            if not victim.runs:  # it ended by itself, as a worker may whose database went away: somebody starts it anew
                await victim.start()
            elif victim.name in ("valkey", "postgres") and self.chance.random() < 0.25:
                waits.add(asyncio.create_task(self._freeze(victim)))
            else:
                victim.kill()
                self.kills[victim.name] += 1
                waits.add(asyncio.create_task(self._revive(victim)))
        await asyncio.gather(*waits)

    def _last_web(self) -> bool:
        return sum(bool(part.address) and not part.resting for part in self.parts) < 2

    async def _revive(self, victim: Part) -> None:
        await asyncio.sleep(self.chance.uniform(0, 2))
        await victim.start()

    async def _freeze(self, victim: Part) -> None:
        victim.resting = True
        self.freezes[victim.name] += 1
        victim.signal(signal.SIGSTOP)
        await asyncio.sleep(self.chance.uniform(0.5, 4))
        victim.signal(signal.SIGCONT)
        victim.resting = False

    async def call(self, number: int) -> None:
        """Be one caller, who calls again and again until it is over."""
        clients = [
            openai.AsyncOpenAI(
                api_key=key, base_url=f"http://127.0.0.1:{port}/v1", max_retries=0, timeout=HANGS
            )
            for port in self.ports
            for key in self.keys
        ]  # fmt: skip
        count = 0
        while not self.over:
            count += 1
            tag, began = f"call-{number}-{count}", time.monotonic()
            self.seen[tag] = await self._one(self.chance.choice(clients), tag)
            self.slowest = max(self.slowest, time.monotonic() - began)
            await asyncio.sleep(self.chance.uniform(0, 0.05) + (0.2 if self.seen[tag].error else 0))
        for client in clients:
            await client.close()

    async def _one(self, client: openai.AsyncOpenAI, tag: str) -> Seen:
        ask = {"model": MODEL, "messages": [{"role": "user", "content": tag}], "max_tokens": 60}
        named = {"User-Agent": tag}  # the books say who called: that is how the three accounts are brought together
        try:
            if self.chance.random() < 0.5:
                raw = await client.chat.completions.with_raw_response.create(**ask, extra_headers=named)
                raw.parse()
                return Seen(True, raw.headers["x-request-id"], from_dollars(raw.headers["x-cost-usd"]))
            raw = await client.chat.completions.with_raw_response.create(**ask, stream=True, extra_headers=named)
            finished = False
            async for chunk in raw.parse():
                finished = finished or any(choice.finish_reason for choice in chunk.choices)
            return Seen(finished, raw.headers["x-request-id"], error="" if finished else "cut")
        except (openai.APIError, httpx.HTTPError) as problem:
            return Seen(False, error=type(problem).__name__)

    # What is found

    async def calm(self) -> None:
        """Have everything run again, and everything written that is to be written."""
        for part in self.parts:
            if not part.runs:
                await part.start()
        with contextlib.suppress(TimeoutError):  # `wrongs` says so
            async with asyncio.timeout(30):
                while spool.waiting().records:  # noqa: ASYNC110 (other processes deliver it)
                    await asyncio.sleep(0.1)
        with clock.frozen(now() + admission.LEASE):
            await reaper.run_once()
        ingest.ABANDONED = 0  # what a killed worker had taken
        async with asyncio.timeout(60):
            while (await ingest.backlog()).waiting:
                await ingest.run_once()

    async def books(self) -> dict[str, list[UsageEvent]]:
        """Return the events of each call."""
        found = defaultdict(list)
        async with transaction() as tx:
            for event in (await tx.exec(select(UsageEvent))).all():
                found[event.user_agent].append(event)
        return found

    async def wrongs(self) -> list[str]:
        """Return which invariants do not hold, and what is still held."""
        async with transaction() as tx:
            found = [*await money.check(tx), *await receipts.check(tx), *await invariants.check(tx)]
            people = (await tx.exec(select(Organization.id))).all()
            balances = {person: await wallet.balance(tx, person) for person in people}
        wrong = [f"{one.name}: {one.sentence}" for one in found if not one.holds]
        if spool.waiting().records:
            wrong.append("records still lie on the disk")
        if await valkey.valkey().zcard(OPEN):
            wrong.append("calls are still open")
        for person, balance in balances.items():
            kept = await valkey.valkey().hgetall(Keys.of(person).wallet)
            if kept and (int(kept["ledger"]), kept["held"], kept["unposted"]) != (balance, "0", "0"):
                wrong.append(f"a wallet holds {kept}, the ledger {balance}")
        if any(seen.error == "APITimeoutError" for seen in self.seen.values()):
            wrong.append("a caller was left hanging")
        return wrong

    async def verdict(self) -> bool:
        """Compare, say what was found, and return whether it is as it must be."""
        books, wrong = await self.books(), await self.wrongs()
        async with transaction() as tx:
            price = (await rating.prices(tx))[MODEL]
        lost, doubled = [], []
        for tag in {*self.seen, *self.upstream.asked}:
            events, seen = books.get(tag, []), self.seen.get(tag, Seen(answered=False))
            most = rating.cost(price, INPUT, 0, self.upstream.produced[tag])
            if (tag in self.upstream.asked and not events) or (seen.answered and not tells(events, seen, most)):
                lost.append((tag, seen, events))
            if len(events) > 1 or sum(event.cost_nano for event in events) > most or self.upstream.asked[tag] > 1:
                doubled.append((tag, seen, events))
        for tag, seen, events in [*lost, *doubled]:
            print("wrong:", tag, seen, [(one.request_id, one.outcome, one.status, one.cost_nano) for one in events])
        for one in wrong:
            print("wrong:", one)
        self._tell(books)
        print(
            f"requests={len(self.seen)} kills={self.kills.total()} lost={len(lost)} doubled={len(doubled)}", flush=True
        )
        return not (lost or doubled or wrong)

    def _tell(self, books: dict[str, list[UsageEvent]]) -> None:
        errors = Counter(seen.error for seen in self.seen.values() if not seen.answered)
        outcomes = Counter(event.outcome for events in books.values() for event in events)
        free = sum(
            bool(self.upstream.produced[tag]) and not event.cost_nano
            for tag, events in books.items()
            for event in events
        )
        print(f"killed    {dict(self.kills)}, frozen {dict(self.freezes)}")
        print(f"callers   {sum(seen.answered for seen in self.seen.values())} answered in full, {dict(errors)}")
        print(f"books     {dict(outcomes)}; {free} were free although the upstream had begun to produce")
        print(f"slowest   {self.slowest:.1f} s")


def tells(events, seen, cost):
    """Say whether the books hold exactly what a caller was answered."""
    if len(events) != 1:
        return False
    [event] = events
    right = (event.outcome, event.cost_nano, f"req_{event.request_id.hex}") == ("completed", cost, seen.handle)
    return right and seen.cost_nano in (0, cost)  # a stream says its cost in its last chunk, not in a header


async def whole(seconds: float, seed: int, callers: int) -> bool:
    """Run one storm; return whether the books hold what they must."""
    chance = random.Random(seed)
    upstream = Upstream(random.Random(seed + 1))
    app = web.Application()
    app.router.add_post("/v1/chat/completions", upstream.chat)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with tempfile.TemporaryDirectory(prefix="storm-") as place:
        storm = Storm(Path(place), chance, upstream)
        try:
            await storm.rise(f"http://127.0.0.1:{runner.addresses[0][1]}/v1")
            calling = [asyncio.create_task(storm.call(number)) for number in range(callers)]
            await storm.rage(seconds)
            storm.over = True
            await asyncio.gather(*calling)
            await storm.calm()
            return await storm.verdict()
        finally:
            await db.dispose()
            await valkey.close()
            await asyncio.to_thread(storm.fall)
            await runner.cleanup()


def main() -> int:
    """Read the command line and run; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--callers", type=int, default=8)
    chosen = parser.parse_args()
    return 0 if asyncio.run(whole(chosen.seconds, chosen.seed, chosen.callers)) else 1


if __name__ == "__main__":
    sys.exit(main())
