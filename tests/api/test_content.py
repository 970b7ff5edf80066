"""What is said in a call is kept where its key asks for it, for a day, for whoever called; and nowhere else."""

import asyncio
import subprocess
from datetime import timedelta

import databases
import pytest
from cast import BOB, GRACE
from customers import customer, key_of
from sqlalchemy import text
from sqlmodel import select

from assisters_app.api import witness
from assisters_app.base import crypto, db, local_servers, settings
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.ids import new_id
from assisters_app.base.tables import TrailEntry
from assisters_app.gateway.content import buckets, contents
from assisters_app.gateway.content.tables import ContentBucket, ContentKeyEnd, RequestContent
from assisters_app.gateway.content.writer import Writer
from assisters_app.keys import keys
from assisters_app.usage import events

SAID = "my grandmother's recipe zq77123"
ASK = {"model": "assisters-chat-v1", "messages": [{"role": "user", "content": SAID}]}


@pytest.fixture
async def opened(stocked):
    """Have keys of content, as an opened house has."""
    async with transaction() as tx:
        await buckets.ahead(tx)


@pytest.fixture
def written(monkeypatch):
    """Return what waits until content was written down."""
    done, write = asyncio.Queue(), Writer._write

    async def told(writer):
        await write(writer)
        done.put_nowait(None)

    monkeypatch.setattr(Writer, "_write", told)

    async def wait():
        async with asyncio.timeout(20):
            await done.get()

    return wait


async def keeping(person, *, keep=True):
    _, handle, secret = await key_of(person, mode="test", name=f"Debugging {keep}")
    async with transaction() as tx:
        await contents.turn(tx, person, handle, on=keep)
    return secret


async def ask(client, **more):
    raw = await client.chat.completions.with_raw_response.create(**ASK, **more)
    return events.request_id(raw.headers["x-request-id"]), raw


async def rows():
    async with transaction() as tx:
        return (await tx.exec(select(RequestContent))).all()


async def read(person, request_id):
    async with transaction() as tx:
        return await contents.read(tx, person, request_id)


@pytest.mark.promise("1.9", "4.3")
async def test_unless_a_key_asks_for_it_nothing_that_is_said_is_kept(opened, ada, client_for):
    await ask(client_for((await key_of(ada, mode="test"))[2]))
    await ask(client_for(await keeping(ada, keep=False)))
    await ask(client_for((await key_of(ada, mode="test"))[2]), extra_body={"store": True})
    assert await rows() == []


@pytest.mark.promise("1.9")
async def test_what_is_kept_is_read_by_its_caller_alone_and_is_in_no_dump(opened, ada, client_for, written):
    request_id, raw = await ask(client_for(await keeping(ada)))
    await written()
    said = await read(ada, request_id)
    assert SAID in said.sent.text
    assert raw.parse().choices[0].message.content in said.got.text
    assert (said.sent.kind, said.sent.size, said.sent.cut) == ("application/json", len(said.sent.text), False)
    for other in (await customer(BOB), await customer(GRACE)):
        with pytest.raises(NotFound):
            await read(other, request_id)
    dump = await dumped("--format=plain")
    assert str(request_id) in dump
    assert SAID not in dump
    assert SAID.encode().hex() not in dump


async def dumped(*how):
    """Return what pg_dump says of the whole database."""
    command = [local_servers.postgres_programs() / "pg_dump", *how, settings.settings().database_url]
    made = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True, text="-f" not in how)
    return made.stdout


async def test_a_stream_is_kept_as_it_was_sent_and_sent_as_it_is_without(opened, ada, client_for, written):
    async def heard(client):
        stream = await client.chat.completions.create(**ASK, stream=True)
        return [chunk.choices[0].delta.model_dump() for chunk in [one async for one in stream] if chunk.choices]

    without = await heard(client_for((await key_of(ada, mode="test"))[2]))
    assert await heard(client_for(await keeping(ada))) == without
    await written()
    [row] = await rows()
    said = await read(ada, row.request_id)
    assert said.got.kind == "text/event-stream"
    assert said.got.text.count("data: ") >= len(without)
    assert said.got.text.rstrip().endswith("data: [DONE]")


@pytest.mark.parametrize("no", [{"extra_headers": {"X-Store-Content": "false"}}, {"extra_body": {"store": False}}])
async def test_one_call_can_be_left_out(opened, ada, client_for, no, written):
    client = client_for(await keeping(ada))
    await ask(client, **no)
    await ask(client)
    await written()
    assert len(await rows()) == 1


async def test_what_went_wrong_is_kept_too_for_that_is_what_one_looks_for(opened, ada, client_for, written):
    client = client_for(await keeping(ada))
    with pytest.raises(Exception, match="model"):
        await client.chat.completions.create(model="no-such-model", messages=[])
    await written()
    [row] = await rows()
    assert "no-such-model" in (await read(ada, row.request_id)).sent.text


async def test_of_much_the_beginning_is_kept_and_of_sound_only_its_size(opened, ada, client_for, written, monkeypatch):
    monkeypatch.setattr(witness, "MOST", 100)
    client = client_for(await keeping(ada))
    request_id, _ = await ask(client)
    await written()
    said = await read(ada, request_id)
    assert (len(said.sent.text), said.sent.cut) == (100, True)
    spoken = await client.audio.speech.with_raw_response.create(model="assisters-tts-v1", input="Hello", voice="alloy")
    await written()
    said = await read(ada, events.request_id(spoken.headers["x-request-id"]))
    assert (said.got.text, said.got.size > 100) == ("", True)


async def test_it_is_deleted_by_the_id_of_its_request_and_all_of_it_together(opened, ada, client_for, written):
    client = client_for(await keeping(ada))
    request_ids = []
    for _ in range(3):
        request_ids.append((await ask(client))[0])
        await written()
    bob = await customer(BOB)
    async with transaction() as tx:
        with pytest.raises(NotFound):
            await contents.forget(tx, bob, request_ids[0])
        assert await contents.forget_all(tx, bob) == 0
        await contents.forget(tx, ada, request_ids[0])
        assert await contents.count(tx, ada) == 2
        assert await contents.kept(tx, ada, request_ids[0]) is None
        assert await contents.forget_all(tx, ada) == 2
        actions = (await tx.exec(select(TrailEntry.action).where(TrailEntry.account_id == ada.account_id))).all()
    assert {"key:content-kept", "content:deleted", "content:all-deleted"} <= set(actions)
    assert await rows() == []


async def test_without_a_key_for_the_hour_or_without_its_owner_nothing_is_kept(ada):
    def said(at, organization_id):
        side = contents.Side("application/json", "{}", 2)
        return contents.Said(new_id(), organization_id, at, side, side)

    async with transaction() as tx:
        assert await contents.keep(tx, [said(now(), ada.organization_id)]) == 0
        await buckets.ahead(tx)
        assert await contents.keep(tx, [said(now() - timedelta(days=2), ada.organization_id)]) == 0
        assert await contents.keep(tx, [said(now(), new_id())]) == 0
        assert await contents.keep(tx, [said(now(), ada.organization_id)]) == 1


@pytest.fixture
async def restored(servers, monkeypatch):
    """Return what restores a dump into a database of its own and puts it in the house's place.

    Ask for it before the API: what that has in hand goes back to the engine it came from, which is closed after it.
    """
    before, engines = settings.settings().database_url, []

    async def use(address):
        engines.append(db.engine())
        db._engine = None
        monkeypatch.setenv("DATABASE_URL", address)
        settings.settings.cache_clear()

    async def restore(dump):
        address = databases.create(servers.postgres, "restored")
        back = [local_servers.postgres_programs() / "pg_restore", "-d", address, dump]
        await asyncio.to_thread(subprocess.run, back, check=True)
        await use(address)

    yield restore
    await use(before)
    for engine in engines:
        await engine.dispose()
    await asyncio.to_thread(databases.drop, servers.postgres, "restored")


@pytest.mark.promise("4.3")
async def test_a_dump_made_at_hour_one_and_restored_at_hour_25_cannot_be_read(ada, restored, client_for, written):
    request_id, _ = await ask(client_for(await keeping(ada)))
    await written()
    said_at, dump = now(), settings.settings().data_dir / "dump"
    await dumped("--format=custom", "-f", dump)
    with frozen(said_at + timedelta(hours=1)):
        assert SAID in (await read(ada, request_id)).sent.text
    with frozen(said_at + timedelta(hours=25)):
        await buckets.keep_keys()
        assert await rows() == []
    await restored(dump)
    [row] = await rows()
    assert contents.opened(row) is None  # whatever the clock says: the key is gone
    with pytest.raises(NotFound):
        await read(ada, request_id)
    left = list(settings.settings().content_keys_dir.glob("*.key"))
    assert left
    for path in left:
        key = buckets.private_key(buckets._begins_of(path))
        with pytest.raises(ValueError, match="does not open"):
            crypto.open_with(key, row.sealed, contents._purpose(row.organization_id, row.request_id))


@pytest.mark.promise("4.3")
async def test_content_ends_before_it_is_24_hours_old_and_each_key_that_is_destroyed_leaves_an_entry(ada, house):
    start = buckets.bucket_of(now())
    with frozen(start) as move:
        await buckets.keep_keys()
        async with transaction() as tx:
            side = contents.Side("application/json", "{}", 2)
            await contents.keep(tx, [contents.Said(new_id(), ada.organization_id, start, side, side)])
        move(start + buckets.LIFE - buckets.EARLY - timedelta(seconds=1))
        await buckets.keep_keys()
        assert (len(await rows()), buckets.oldest_key()) == (1, start)
        move(start + buckets.LIFE - timedelta(minutes=5))
        await buckets.keep_keys()
        assert await rows() == []
        assert buckets.oldest_key() == start + buckets.LENGTH
        move(start + timedelta(days=1, hours=4))
        await buckets.keep_keys()
    async with transaction() as tx:
        ended = (await tx.exec(select(ContentKeyEnd).order_by(ContentKeyEnd.number))).all()
        known = (await tx.exec(select(ContentBucket.begins))).all()
    assert [entry.number for entry in ended] == list(range(1, len(ended) + 1))
    assert '"rows_deleted":1' in ended[0].facts
    assert min(known) > start + timedelta(hours=4)
    buckets.verify(ended)
    buckets.verify(ended[3:])
    with pytest.raises(ValueError, match="does not follow"):
        buckets.verify([ended[0], ended[2]])
    changed = ContentKeyEnd(**{**ended[1].model_dump(), "facts": ended[1].facts.replace('ed":0', 'ed":9')})
    with pytest.raises(ValueError, match="signature"):
        buckets.verify([ended[0], changed])


async def test_a_destruction_that_was_cut_short_is_finished_and_a_file_without_a_row_goes_too(house):
    start = buckets.bucket_of(now())
    with frozen(start) as move:
        await buckets.keep_keys()
        first, second = sorted(settings.settings().content_keys_dir.glob("*.key"))[:2]
        first.unlink()
        async with transaction() as tx:
            await tx.sql(text("DELETE FROM content_bucket WHERE begins = :it"), {"it": buckets._begins_of(second)})
        move(start + timedelta(days=1, minutes=30))
        await buckets.keep_keys()
    async with transaction() as tx:
        assert len((await tx.exec(select(ContentKeyEnd))).all()) == 2
    assert not second.exists()


async def test_keys_of_content_are_for_the_owner_alone_sealed_and_marked_as_no_matter_for_backups(house):
    await buckets.keep_keys()
    directory = settings.settings().content_keys_dir
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / "CACHEDIR.TAG").read_text().startswith("Signature: 8a477f597d28d172789f06886806bc55")
    path = next(directory.glob("*.key"))
    assert path.stat().st_mode & 0o777 == 0o600
    key = buckets.private_key(buckets._begins_of(path))
    assert key.private_bytes_raw() not in path.read_bytes()


async def test_mallory_cannot_have_adas_key_keep_what_is_said_and_an_ended_key_keeps_nothing_new(ada):
    _, handle, _ = await key_of(ada)
    async with transaction() as tx:
        with pytest.raises(NotFound):
            await keys.keep_content(tx, await customer("mallory@example.net"), handle, keep=True)
        await keys.revoke(tx, ada, handle)
        with pytest.raises(Refused):
            await keys.keep_content(tx, ada, handle, keep=True)
