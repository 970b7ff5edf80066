"""Every order in which two calls on one wallet can go: the real scripts on a real Valkey, explored to the end.

The wallet covers one of the two calls (with one call: two of it). Answers get lost, processes die or tell the same
twice, leases lapse while their holder is alive, balances are read and published late, workers die between the books and
the stream, the wallet is forgotten, and calls are let in while Valkey is away. Whatever the order: no more is spent and
held than there is (but for what came late, which is the written bound), counts and sums agree at each step, and at the
end the books hold one record of each call, and the right one.
"""

from collections import deque
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
import redis
from redis.commands.core import Script

from assisters_app.gateway.scripts import ADMIT, COUNTS, OPEN, PUBLISH, RECORDS, SETTLE, Keys

HOLD, COST = 6, 5
ORGANIZATION = UUID(int=1)
KEYS = Keys.of(ORGANIZATION)
OWN = Keys.of(UUID(int=2))
TWICE = 2  # the most often that one thing is said to Valkey about a call

# How far a call has come, as its process sees it
NEW = "new"
UNANSWERED = "unanswered"  # asked to be let in, and the answer was lost
IN = "in"
ALONE = "alone"  # let in without Valkey; that it began lies on the disk
SPOOLED = "spooled"  # what became of it lies on the disk
DONE, REFUSED, DEAD = "done", "refused", "dead"


@dataclass(frozen=True)
class State:
    """One moment: where each call is, how often it was asked for and told, what the books hold, what Valkey holds."""

    names: str  # of the calls, a letter each
    given: int  # nano-USD that the wallet began with
    calls: tuple[str, ...]
    asked: tuple[int, ...]
    told: tuple[int, ...]
    books: tuple[str, ...]  # "", "reaped" or "own"
    forgets: int  # how often the wallet may still be forgotten
    reading: int = 1
    read: tuple[int, int] | None = None  # a balance on its way to Valkey: its reading, and nano-USD
    wallet: tuple[tuple[str, str], ...] = ()
    holds: tuple[tuple[str, str], ...] = ()
    unposted: tuple[tuple[str, str], ...] = ()
    open: tuple[str, ...] = ()
    counts: tuple[tuple[str, str], ...] = ()
    records: tuple[str, ...] = ()  # "own:a", "reaped:a" …, in no order: any worker may take any

    @classmethod
    def first(cls, names: str, given: int, forgets: int) -> "State":
        many = len(names)
        return cls(names, given, (NEW,) * many, (0,) * many, (0,) * many, ("",) * many, forgets)

    @property
    def balance(self) -> int:
        return self.given - COST * self.books.count("own")

    def with_call(self, number: int, where: str) -> "State":
        return replace(self, calls=_set(self.calls, number, where))


def _set(values, number, value):
    return (*values[:number], value, *values[number + 1 :])


class Explorer:
    """Runs the scripts from one state into the next. `trouble` is what may go wrong besides deaths."""

    def __init__(self, client: redis.Redis, trouble: frozenset[str]) -> None:
        self.client, self.trouble = client, trouble
        self.known = {}
        self.admit, self.settle, self.publish = (client.register_script(one) for one in (ADMIT, SETTLE, PUBLISH))

    def next(self, state: State):
        """Yield what can happen next: a name, and the state after it."""
        for number, name in enumerate(state.names):
            yield from self._of_call(state, number, name)
            if any(name == held for held, _ in state.holds):
                yield f"reap {name}", self._told(state, number, "reaped")
        for record in set(state.records):
            written = self._written(state, record)
            yield f"write {record} and die", written
            yield f"write {record}", self._acknowledged(written, record)
        if state.read is None:
            if "late balances" in self.trouble or "ledger" not in dict(state.wallet):
                yield "read the balance", replace(state, read=(state.reading, state.balance))
        else:
            yield "publish what was read", replace(self._published(state, *state.read), read=None)
        if "ledger" in dict(state.wallet) and state.forgets:
            kept = tuple(field for field in state.wallet if field[0] == "reading")
            yield "forget the wallet", replace(state, wallet=kept, forgets=state.forgets - 1)

    def _of_call(self, state, number, name):
        where = state.calls[number]
        yield from self._asked(state, number, name, where)
        if where == NEW and "outages" in self.trouble:
            yield f"let {name} in without Valkey", state.with_call(number, ALONE)
        if where in (UNANSWERED, IN):
            yield f"kill the process of {name}", state.with_call(number, DEAD)
        if where in (IN, ALONE) and "outages" in self.trouble:
            yield f"spool {name}", state.with_call(number, SPOOLED)
        if where == ALONE:
            yield f"deliver that {name} began", self._told(state, number, "reaped", whose="own").with_call(number, DEAD)
        if where in (IN, SPOOLED) and state.told[number] < TWICE:
            after = self._told(state, number, "own")
            yield f"settle {name}", after.with_call(number, DONE)
            if state.told[number] + 1 < TWICE and "lost answers" in self.trouble:
                yield f"settle {name}, unheard", after.with_call(number, SPOOLED)

    def _asked(self, state, number, name, where):
        if where in (NEW, UNANSWERED) and state.asked[number] < TWICE:
            answer, after = self._admitted(state, name)
            after = replace(after, asked=_set(state.asked, number, state.asked[number] + 1))
            if answer == "ok":
                yield f"admit {name}", after.with_call(number, IN)
                if "lost answers" in self.trouble:
                    yield f"admit {name}, unheard", after.with_call(number, UNANSWERED)
            elif answer == "balance":
                yield f"refuse {name}", after.with_call(number, REFUSED)

    def _admitted(self, state, name):
        args = (100, 9, 9999, 1, HOLD, name, name, 1, "context", 9)
        keys = (KEYS.limits, KEYS.wallet, KEYS.holds, OPEN, COUNTS)
        answer, after = self._run(state, self.admit, keys, args)
        return answer[0], after

    def _told(self, state, number, what, whose=None):
        name, cost = state.names[number], COST if what == "own" else 0
        keys = (KEYS.limits, KEYS.wallet, KEYS.holds, OPEN, COUNTS, KEYS.unposted, RECORDS, OWN.limits, OWN.spent)
        args = (name, name, cost, 1, f"{what}:{name}", whose or ("own" if what == "own" else "reaper"), f"{cost}:k:1")
        _, after = self._run(state, self.settle, (*keys, KEYS.spent), (*args, "d1", "w1", "m1"))
        return replace(after, told=_set(after.told, number, after.told[number] + (what == "own")))

    def _written(self, state, record):
        """Return the books as `events.insert` leaves them: what the reaper says is kept until the process tells."""
        what, name = record.split(":")
        number = state.names.index(name)
        if state.books[number] == "own" or state.books[number] == what:
            return state
        return replace(state, books=_set(state.books, number, what), reading=state.reading + 1)

    def _acknowledged(self, state, record):
        what, name = record.split(":")
        after = self._published(state, state.reading, state.balance, name) if what == "own" else state
        records = list(after.records)
        records.remove(record)
        return replace(after, records=tuple(records))

    def _published(self, state, reading, balance, *posted):
        return self._run(
            state, self.publish, (KEYS.wallet, KEYS.holds, KEYS.unposted), (reading, balance, 60, *posted)
        )[1]

    def _run(self, state: State, script: Script, keys, args):
        """Return the script's answer in `state`, and the state after it; what was run before is known."""
        held = (state.wallet, state.holds, state.unposted, state.counts, state.open)
        question = (script.sha, args, held)
        if question not in self.known:
            self.known[question] = self._ask(held, script, keys, args)
        answer, (wallet, holds, unposted, counts, open_), records = self.known[question]
        return answer, replace(
            state,
            wallet=wallet,
            holds=holds,
            unposted=unposted,
            counts=counts,
            open=open_,
            records=tuple(sorted([*state.records, *records])),
        )

    def _ask(self, held, script, keys, args):
        """Put what is `held` into an empty Valkey, run a script on it, and return its answer and what is there then."""
        wallet, holds, unposted, counts, open_ = held
        hashes = {KEYS.wallet: wallet, KEYS.holds: holds, KEYS.unposted: unposted, COUNTS: counts}
        with self.client.pipeline(transaction=False) as line:
            line.flushdb()
            for key, fields in hashes.items():
                if fields:
                    line.hset(key, mapping=dict(fields))
            if open_:
                line.zadd(OPEN, dict.fromkeys(open_, 1))
            line.evalsha(script.sha, len(keys), *keys, *args)
            for key in hashes:
                line.hgetall(key)
            line.zrange(OPEN, 0, -1)
            line.xrange(RECORDS)
            answer, wallet, holds, unposted, counts, open_, records = line.execute()[-7:]
        after = (_frozen(wallet), _frozen(holds), _frozen(unposted), _frozen(_lowered(counts)), tuple(open_))
        return answer, after, tuple(fields["record"] for _, fields in records)


def _lowered(counts):
    """Return the counts less what was settled: two states that differ in that alone are one."""
    settled = int(counts.get("settled", 0))
    return {"admitted": int(counts.get("admitted", 0)) - settled, "settled": 0, "late": int(counts.get("late", 0))}


def _frozen(fields):
    return tuple(sorted(fields.items()))


def check(state: State) -> None:
    """What is true at every moment."""
    counts, wallet = dict(state.counts), {name: int(value) for name, value in state.wallet}
    admitted, settled = int(counts.get("admitted", 0)), int(counts.get("settled", 0))
    held = sum(int(value.split(":")[0]) for _, value in state.holds)
    unposted = {name: int(value.split(":")[0]) for name, value in state.unposted}
    assert admitted - settled == len(state.open) == len(state.holds)
    if "ledger" in wallet:
        assert (wallet["held"], wallet["unposted"]) == (held, sum(unposted.values()))
    # What the books have taken already may still be unposted in Valkey: it is then counted twice, never not at all.
    waiting = sum(cost for name, cost in unposted.items() if state.books[state.names.index(name)] != "own")
    spent = state.given - state.balance + waiting
    if not int(counts.get("late", 0)):
        assert spent + held <= state.given
    assert spent <= state.given + COST * int(counts.get("late", 0))
    for number, name in enumerate(state.names):
        waits = f"own:{name}" in state.records
        assert not waits or name in unposted or state.books[number] == "own"


def check_end(state: State) -> None:
    """What is true when nothing is left to do: each call that was let in has one record, the one that says most."""
    assert not state.holds
    assert not state.unposted
    for where, told, book in zip(state.calls, state.told, state.books, strict=True):
        if told:
            assert book == "own"
        elif where == DEAD:
            assert book == "reaped"
        elif book == "reaped":  # let in and unheard; asked again, it may then have been refused
            assert where in {UNANSWERED, REFUSED, IN, NEW}
        else:
            assert where in {NEW, REFUSED}
    wallet = dict(state.wallet)
    if "ledger" in wallet:
        assert (wallet["held"], wallet["unposted"]) == ("0", "0")


def explore(explorer: Explorer, first: State) -> int:
    """Visit every state that can be reached; return how many there are."""
    seen, waiting, ends = {first}, deque([first]), 0
    while waiting:
        state = waiting.popleft()
        check(state)
        quiet = True
        for name, after in explorer.next(state):
            quiet = quiet and not name.startswith(("reap", "write", "settle", "spool", "deliver"))
            if after not in seen:
                seen.add(after)
                waiting.append(after)
        if quiet:
            ends += 1
            check_end(state)
    assert ends
    return len(seen)


@pytest.mark.parametrize(
    ("names", "given", "trouble"),
    [
        ("a", 13, {"lost answers", "outages", "late balances"}),
        ("ab", 10, {"late balances"}),
        ("ab", 10, {"lost answers"}),
        ("ab", 10, {"outages"}),
    ],
)
def test_in_every_order_each_call_is_booked_once_and_no_more_is_spent_than_there_is(servers, names, given, trouble):
    with redis.Redis.from_url(servers.valkey, db=3, decode_responses=True) as client:
        for script in (ADMIT, SETTLE, PUBLISH):
            client.script_load(script)
        assert (
            explore(
                Explorer(client, frozenset(trouble)), State.first(names, given, forgets=int("late balances" in trouble))
            )
            > 1_000
        )
        client.flushdb()
