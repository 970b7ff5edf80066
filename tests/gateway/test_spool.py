"""What lies on the disk while Valkey is away: all of it is there when it is promised, none of it is lost or doubled."""

import asyncio
import os
import resource
import stat
import sys
from datetime import timedelta

import pytest

from assisters_app.base.clock import frozen, now
from assisters_app.gateway import spool
from assisters_app.gateway.admission import INTERRUPTED
from assisters_app.gateway.calls import Ending, Usage
from assisters_app.gateway.spool import Spool, SpoolFullError, Waiting

DONE = Ending("completed", 200, Usage(10, 0, 5))


def files():
    return sorted(spool._directory().glob("*"))


@pytest.fixture
def taken():
    """What was handed over, and a place for it."""
    events = []

    async def take(event):
        events.append(event)

    take.events = events
    return take


async def test_a_record_is_on_the_disk_when_it_is_promised_and_for_its_owner_only(calls, taken):
    mine, event = Spool(), calls().event(DONE)
    await mine.end(event)
    [file] = files()
    assert spool._read(file.read_bytes()) == ([event], [])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    await mine.deliver(taken)
    assert taken.events == [event]
    assert file.stat().st_size == 0
    mine.close()
    assert files() == []


async def test_a_living_process_keeps_its_spool_and_a_closed_one_leaves_it_to_others(calls, taken):
    mine, event = Spool(), calls().event(DONE)
    await mine.end(event)
    assert await spool.deliver_orphans(taken) == 0
    mine.close()
    assert spool.waiting() == Waiting(1, 0)
    assert await spool.deliver_orphans(taken) == 1
    assert (taken.events, files()) == ([event], [])


async def test_what_cannot_be_delivered_waits_on(calls, taken):
    mine, events = Spool(), [calls().event(DONE) for _ in range(3)]

    async def refuse(event):
        if event == events[1]:
            raise ConnectionError

    for event in events:
        await mine.end(event)
    with pytest.raises(ConnectionError):
        await mine.deliver(refuse)
    mine.close()
    with pytest.raises(ConnectionError):
        await spool.deliver_orphans(refuse)
    assert await spool.deliver_orphans(taken) == 3
    assert taken.events == events


KILLED = """
import asyncio, sys
from assisters_app.gateway.spool import Spool
from assisters_app.usage.events import Event

async def work():
    mine = Spool()
    for kind, line in (line.split(" ", 1) for line in sys.stdin):
        await getattr(mine, kind)(Event.from_json(line))
    print("written", flush=True)
    await asyncio.Event().wait()

asyncio.run(work())
"""


async def test_what_a_killed_process_left_is_delivered_once_and_what_it_did_not_end_was_interrupted(calls, taken):
    ended, open_ = calls(), calls()
    lines = (("begin", ended, INTERRUPTED), ("begin", open_, INTERRUPTED), ("end", ended, DONE))
    given = "".join(f"{kind} {call.event(ending).to_json()}\n" for kind, call, ending in lines)
    pipe = asyncio.subprocess.PIPE
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", KILLED, stdin=pipe, stdout=pipe, env=os.environ)
    child.stdin.write(given.encode())
    child.stdin.write_eof()
    assert await child.stdout.readline() == b"written\n"
    assert await spool.deliver_orphans(taken) == 0
    child.kill()
    await child.communicate()
    assert await spool.deliver_orphans(taken) == 2
    outcomes = {event.request_id: event.outcome for event in taken.events}
    assert outcomes == {ended.request_id: "completed", open_.request_id: "interrupted"}
    assert await spool.deliver_orphans(taken) == 0


@pytest.mark.parametrize("turns", range(8))
async def test_what_is_being_written_while_the_rest_is_delivered_is_not_cut_off(calls, taken, monkeypatch, turns):
    mine, events = Spool(), [calls().event(DONE) for _ in range(2)]
    await mine.end(events[0])
    flushed = asyncio.Event()

    async def flushing(work, content):
        problem = work(content)
        flushed.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        return problem

    async def taking(event):
        await flushed.wait()
        await taken(event)

    monkeypatch.setattr(asyncio, "to_thread", flushing)
    delivering = asyncio.ensure_future(mine.deliver(taking))
    await mine.end(events[1])
    await delivering
    monkeypatch.undo()
    mine.close()
    await spool.deliver_orphans(taken)
    assert [event for event in events if event not in taken.events] == []


async def test_a_line_that_was_cut_short_was_promised_to_nobody_and_a_spoiled_one_is_put_aside(calls, taken):
    mine, events = Spool(), [calls().event(DONE) for _ in range(3)]
    for event in events:
        await mine.end(event)
    mine.close()
    [file] = files()
    whole = file.read_bytes()
    spoiled = whole.index(b"completed", len(whole) // 3 + 20)
    file.write_bytes(whole[:spoiled] + b"X" + whole[spoiled + 1 : -5])
    assert await spool.deliver_orphans(taken) == 1
    assert taken.events == [events[0]]
    assert spool.waiting() == Waiting(0, 1)
    assert [stat.S_IMODE(file.stat().st_mode) for file in files()] == [0o600]


async def test_what_cannot_be_read_is_kept_for_thirty_days_on_each_host_whatever_comes_after_it(calls, taken):
    spool._directory().mkdir(parents=True)
    for age in (31, 29):
        with frozen(now() - timedelta(days=age)):
            spool._put_aside([f"from 192.0.2.{age}".encode()])
    await spool.deliver_orphans(taken)
    assert [file.read_text() for file in files()] == ["from 192.0.2.29\n"]
    assert spool.waiting() == Waiting(0, 1)


async def test_a_spool_that_is_full_says_so_and_loses_nothing_that_it_took(calls, taken, monkeypatch):
    mine, events = Spool(), [calls().event(DONE) for _ in range(3)]
    monkeypatch.setattr(spool, "LARGEST", 2 * len(spool._framed("ended", events[0])) + 10)
    for event in events[:2]:
        await mine.end(event)
    with pytest.raises(SpoolFullError):
        await mine.end(events[2])
    await mine.deliver(taken)
    await mine.end(events[2])
    await mine.deliver(taken)
    assert taken.events == events


async def test_a_disk_that_is_full_says_so_and_loses_nothing_that_it_took(calls, taken):
    mine, events = Spool(), [calls().event(DONE) for _ in range(3)]
    await mine.end(events[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (files()[0].stat().st_size + 100, hard)
    )  # the kernel takes 100 bytes more
    try:
        with pytest.raises(SpoolFullError):
            await mine.end(events[1])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    await mine.end(events[2])
    mine.close()
    assert await spool.deliver_orphans(taken) == 2
    assert taken.events == [events[0], events[2]]
