"""Every call has a receipt that a stranger can check, and nothing in it can be changed, lost, moved or repeated."""

import asyncio
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from calls import call
from cast import ADA, BOB, MALLORY
from customers import customer, key_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from sqlalchemy import text

from assisters_app.base import clock, crypto
from assisters_app.base.db import transaction
from assisters_app.base.errors import NotFound
from assisters_app.billing import ledger, proofs, rating, receipts, trees
from assisters_app.billing.months import Month
from assisters_app.billing.proofs import NotGenuine, Signer, canonical
from assisters_app.privacy.keeping import retention
from assisters_app.usage import ddl, events

NOVEMBER = Month(2026, 11)
NOON = datetime(2026, 11, 17, 12, tzinfo=UTC)
CHAT, EMBED = "assisters-chat-v1", "assisters-embed-v1"


@pytest.fixture
async def stocked(house):
    with clock.frozen(NOON) as move:
        async with transaction() as tx:
            await rating.ensure_first_prices(tx)
            await receipts.ensure_key(tx)
        yield move


@pytest.fixture
async def ada(stocked):
    return await owner(ADA)


async def owner(email):
    who = await customer(email)
    return who.organization_id, (await key_of(who))[0]


def chat(whose, at=NOON, **more):
    counts = {"input_tokens": 100, "cached_tokens": 40, "output_tokens": 7, **more}
    cost = (counts["input_tokens"] - counts["cached_tokens"]) * 100 + counts["cached_tokens"] * 50
    return call(*whose, at, **{"cost_nano": cost + counts["output_tokens"] * 400, **counts})


def failed(whose, at=NOON):
    return chat(whose, at, status=502, outcome="failed", input_tokens=0, cached_tokens=0, output_tokens=0)


async def ingest(*batch):
    """Write calls as the worker does."""
    async with transaction() as tx:
        new = await events.insert(tx, batch)
        await receipts.append(tx, new)
        await ledger.post_usage(tx, new)
    return new


async def file_of(whose, month=NOVEMBER):
    return b"".join([part async for part in receipts.month(whose[0], month)])


@pytest.fixture
async def lived(ada):
    """Ada's month: three days, two models, a call that failed and one that was free."""
    await ingest(chat(ada, NOON - timedelta(days=3)), chat(ada, NOON - timedelta(days=3, hours=1)))
    await ingest(chat(ada, NOON - timedelta(days=1)), failed(ada, NOON - timedelta(days=1)))
    embed = call(*ada, NOON, model=EMBED, input_tokens=9, output_tokens=0, cost_nano=180)
    await ingest(chat(ada), embed, chat(ada, mode="test", cost_nano=0, price_version=0), chat(ada))
    await ingest(chat(ada, NOON + timedelta(minutes=1), cached_tokens=0))
    return ada


def lines_of(content):
    return content.splitlines(keepends=True)


def facts(line):
    return orjson.loads(line)["facts"]


def signature_of(line):
    return orjson.loads(line)["signature"]


def resigned(lines, at, /, **changes):
    """Return lines of which one says something else, signed with our own key: what a liar who holds it could write."""
    told = {**facts(lines[at]), **changes}
    if told["kind"] != proofs.REQUEST:
        return [*lines[:at], line(told, sign(canonical(told))), *lines[at + 1 :]]
    last = next(number for number in range(at, len(lines)) if signature_of(lines[number]))
    begun = at
    while facts(lines[begun - 1])["kind"] == proofs.REQUEST and not signature_of(lines[begun - 1]):
        begun -= 1
    batch = [facts(one) for one in lines[begun : last + 1]]
    batch[at - begun] = told
    return [*lines[:begun], *sealed(batch), *lines[last + 1 :]]


def sealed(batch):
    root = trees.root([trees.leaf(canonical(told)) for told in batch])
    *others, last = batch
    signature = sign(proofs.seal(last, batch[0]["number"], root))
    return [*(line(told, "") for told in others), line(last, signature)]


def line(told, signature):
    return canonical({"facts": told, "signature": signature}) + b"\n"


def sign(signed):
    return Signer.of(crypto.signing_key(receipts.PURPOSE)).sign(signed)


# A month that is right


@pytest.mark.promise("1.6")
async def test_a_month_adds_up_from_each_request_to_the_invoice(lived):
    found = proofs.check_month(await file_of(lived))
    cost = 5 * (60 * 100 + 40 * 50 + 7 * 400) + 180 + 100 * 100 + 7 * 400
    assert (found.receipts, found.days, found.dropped_days) == (9, 3, 0)
    assert (found.total_nano, found.month, found.growing) == (cost, "2026-11", True)
    async with transaction() as tx:
        [key] = await receipts.keys(tx)
    assert found.keys == (key.public_key,)
    assert key.id == facts(lines_of(await file_of(lived))[0])["signed_by"]


async def test_a_receipt_says_what_was_used_what_each_costs_and_nothing_of_where_from(lived):
    receipt = facts(lines_of(await file_of(lived))[2])
    assert receipt["units"] == [
        {"unit": "input token", "count": 60, "each_nano": 100},
        {"unit": "cached input token", "count": 40, "each_nano": 50},
        {"unit": "output token", "count": 7, "each_nano": 400},
    ]
    assert (receipt["number"], receipt["previous"], receipt["cost_nano"]) == (1, proofs.FIRST, 10_800)
    assert receipt["key"].startswith("key_")
    assert not {"203.0.113.9", "openai-python"} & set(map(str, receipt.values()))


async def test_pictures_are_proven_by_the_picture(ada):
    image = {"model": "assisters-image-v1", "input_tokens": 0, "output_tokens": 0, "unit": "image"}
    await ingest(call(*ada, NOON, **image, units=3, cost_nano=60_000_000), chat(ada))
    content = await file_of(ada)
    assert proofs.check_month(content).total_cents == 6
    assert facts(lines_of(content)[2])["units"] == [{"unit": "image", "count": 3, "each_nano": 20_000_000}]


async def test_a_call_that_comes_twice_has_one_receipt(ada):
    made = [chat(ada) for _ in range(3)]
    await ingest(*made)
    await ingest(*made, chat(ada))
    assert proofs.check_month(await file_of(ada)).receipts == 4


async def test_the_books_say_so_when_a_call_has_no_receipt_or_a_receipt_no_call(ada):
    async def holds():
        async with transaction() as tx:
            [found] = await receipts.check(tx)
        return found.holds, found.sentence

    made = await ingest(*(chat(ada) for _ in range(3)))
    assert await holds() == (True, "1 days of organizations checked")
    broken = (False, "1 of 1 days of organizations are wrong")
    async with transaction() as tx:
        [unproven] = await events.insert(tx, [chat(ada)])
    assert await holds() == broken
    async with transaction() as tx:
        await receipts.append(tx, [unproven])
    assert (await holds())[0]
    async with transaction() as tx:
        await tx.sql(text("DELETE FROM usage_receipt WHERE request_id = :gone"), {"gone": made[1].request_id})
    assert await holds() == broken


async def test_workers_at_once_write_one_chain_for_each_organization(ada):
    bob = await owner(BOB)
    quarters = [NOON + timedelta(minutes=15 * n) for n in range(6)]  # of their own: no tally makes them wait
    batches = [
        [chat(whose, at - timedelta(days=day)) for day in (0, 1) for whose in (ada, bob) for _ in range(5)]
        for at in quarters
    ]
    again = [batch[::-1] for batch in batches[:3]]
    async with transaction() as tx:  # nor a day that is being made
        await ddl.ensure(tx, {call.at.date() for call in batches[0]})
    await asyncio.gather(*(ingest(*batch) for batch in batches + again))
    for whose in (ada, bob):
        assert proofs.check_month(await file_of(whose)).receipts == 60


async def test_what_the_reaper_wrote_is_taken_back_when_the_truth_comes_late(ada):
    made = chat(ada)
    counts = {"input_tokens": 0, "cached_tokens": 0, "output_tokens": 0, "cost_nano": 0}
    await ingest(replace(made, outcome="interrupted", status=500, **counts))
    await ingest(chat(ada), made)
    content = await file_of(ada)
    assert proofs.check_month(content).total_nano == 2 * made.cost_nano
    assert [facts(line)["replaces"] for line in lines_of(content)[2:]] == [None, None, 1]
    assert [line["requests"] for line in facts(lines_of(content)[1])["lines"]] == [2]
    async with transaction() as tx:
        latest = await receipts.of(tx, ada[0], made.request_id)
    assert orjson.loads(latest.facts)["cost_nano"] == made.cost_nano


async def test_the_first_days_of_a_month_add_up_when_their_receipts_are_gone(lived, stocked):
    stocked(datetime(2026, 12, 14, 13, tzinfo=UTC))  # the 14th of November began more than 30 days ago
    async with transaction() as tx:
        await retention.sweep(tx)
        assert (await ddl.existing(tx, ddl.RECEIPTS))[0] == (NOON - timedelta(days=1)).date()
    found = proofs.check_month(await file_of(lived))
    assert (found.days, found.dropped_days, found.receipts, found.growing) == (3, 1, 9, False)


async def test_an_old_receipt_verifies_after_the_pepper_was_changed(lived, monkeypatch):
    before = await file_of(lived)
    monkeypatch.setenv("ASSISTERS_PEPPER", "bmV3IHBlcHBlciBmb3IgdGVzdHMsIDMyIGJ5dGVzIGxvbmc=")
    crypto.settings.cache_clear()
    async with transaction() as tx:
        await receipts.ensure_key(tx)
        await receipts.ensure_key(tx)
        published = {key.public_key for key in await receipts.keys(tx)}
    await ingest(chat(lived))
    after = await file_of(lived)
    [old] = proofs.check_month(before).keys
    assert len(published) == 2
    assert set(proofs.check_month(after).keys) == published
    with pytest.raises(NotGenuine, match="not one that you trust"):
        proofs.check_month(after, [old])


async def test_adas_receipts_are_nobody_elses(lived):
    mallory = await owner(MALLORY)
    [made] = await ingest(chat(lived))
    async with transaction() as tx:
        await receipts.of(tx, lived[0], made.request_id)
        with pytest.raises(NotFound):
            await receipts.of(tx, mallory[0], made.request_id)
    with pytest.raises(NotFound):
        await file_of(mallory)
    with pytest.raises(NotFound):
        await file_of(lived, Month(2026, 10))


async def test_a_single_receipt_verifies_alone(lived):
    [made] = await ingest(chat(lived))
    async with transaction() as tx:
        receipt = await receipts.of(tx, lived[0], made.request_id)
    file = orjson.loads(receipt.file())
    assert proofs.check_one(file, [receipt.public_key])["request"] == made.handle
    with pytest.raises(NotGenuine, match="was altered"):
        proofs.check_one({**file, "facts": {**file["facts"], "cost_nano": 1}})
    with pytest.raises(NotGenuine, match="not one that you trust"):
        proofs.check_one(file, ["another key"])


KEPT = Path(__file__).with_name("kept")


def test_what_was_signed_receipt_by_receipt_verifies_for_ever():
    month = (KEPT / "month-of-single-signatures.jsonl").read_bytes()
    assert (proofs.check_month(month).receipts, proofs.check_month(month).total_nano) == (9, 66_980)
    one = orjson.loads((KEPT / "receipt-of-its-own-signature.json").read_bytes())
    assert proofs.check_one(one, [one["public_key"]])["number"] == 6
    with pytest.raises(NotGenuine, match="was altered"):
        proofs.check_one({**one, "facts": {**one["facts"], "cost_nano": 1}})
    for number, changed in ((2, b'"signature":""'), (12, b'"signature":"AAAA"')):
        lines = lines_of(month)
        lines[number] = re.sub(rb'"signature":"[^"]+"', changed, lines[number])
        assert "was altered: its signature does not fit" in complaint(b"".join(lines))


async def test_a_day_that_began_with_single_signatures_goes_on_with_common_ones(ada):
    await ingest(chat(ada), chat(ada))
    await as_before(ada)
    [made, _] = await ingest(chat(ada), chat(ada))
    content = await file_of(ada)
    assert proofs.check_month(content).receipts == 4
    assert [facts(one)["kind"][-1] for one in lines_of(content)[2:]] == ["1", "1", "2", "2"]
    async with transaction() as tx:
        old, new = [
            await receipts.of(tx, ada[0], events.request_id(facts(one)["request"])) for one in lines_of(content)[3:5]
        ]
    assert (old.batch, proofs.check_one(orjson.loads(old.file()))["number"]) == (None, 2)
    assert (new.batch.first, new.batch.last, orjson.loads(new.facts)["request"]) == (3, 4, made.handle)
    assert proofs.check_one(orjson.loads(new.file()))["number"] == 3


async def as_before(whose):
    """Give what was written of this day the form that it had before receipts were signed together."""
    async with transaction() as tx:
        head = proofs.FIRST
        for row in (await tx.sql(text("SELECT number, facts FROM usage_receipt ORDER BY number"))).all():
            told = {**orjson.loads(row.facts), "kind": proofs.ALONE, "previous": head}
            await tx.sql(
                text("UPDATE usage_receipt SET facts = :facts, signature = :signature WHERE number = :number"),
                {"facts": canonical(told).decode(), "signature": sign(canonical(told)), "number": row.number},
            )
            head = proofs.digest(canonical(told))
        [day] = (await tx.sql(text("SELECT facts FROM receipt_day"))).scalars()
        told = canonical({**orjson.loads(day), "head": head})
        await tx.sql(
            text("UPDATE receipt_day SET facts = :facts, signature = :signature"),
            {"facts": told.decode(), "signature": sign(told)},
        )


# One that was signed with others


async def singles(whose, made):
    async with transaction() as tx:
        return [orjson.loads((await receipts.of(tx, whose[0], call.request_id)).file()) for call in made]


async def test_what_is_written_together_is_signed_once_and_each_of_it_verifies_alone(ada):
    signatures = set()
    for many in (1, 2, 3, 7, 8, 13):
        made = await ingest(*(chat(ada, input_tokens=100 + n) for n in range(many)))
        files = await singles(ada, made)
        assert [proofs.check_one(file)["request"] for file in files] == [call.handle for call in made]
        assert {file["batch"]["last"] - file["batch"]["first"] + 1 for file in files} == {many}
        [signature] = {file["signature"] for file in files}
        signatures.add(signature)
    assert len(signatures) == 6
    assert proofs.check_month(await file_of(ada)).receipts == 34
    assert sum(1 for one in lines_of(await file_of(ada))[2:] if signature_of(one)) == 6


async def test_a_path_proves_no_other_receipt_no_other_place_and_no_other_batch(ada):
    one, two, _, _, five = await singles(ada, await ingest(*(chat(ada, input_tokens=100 + n) for n in range(5))))
    [other] = await singles(ada, await ingest(chat(ada)))
    batch = one["batch"]
    for wrong in (
        {**one, "batch": two["batch"]},
        {**one, "batch": {**batch, "path": batch["path"][:-1]}},
        {**one, "batch": {**batch, "path": [*batch["path"], "0" * 64]}},
        {**one, "batch": {**batch, "path": batch["path"][::-1]}},
        {**one, "batch": {**batch, "path": [batch["path"][0].upper(), *batch["path"][1:]]}},
        {**one, "batch": {**batch, "path": [7]}},
        {**one, "batch": {**batch, "first": 2}},
        {**five, "batch": {**five["batch"], "first": 4}},  # the same path leads there in a smaller tree, too
        {**one, "batch": {**batch, "last": 6}},
        {**one, "batch": {**batch, "last": 10**30}},
        {**one, "batch": {**batch, "more": 1}},
        {**one, "batch": other["batch"]},
        {**one, "batch": other["batch"], "signature": other["signature"]},
        {**one, "facts": {**one["facts"], "number": 2}},
        {**one, "facts": {**one["facts"], "kind": proofs.ALONE}},
        {**one, "facts": {**one["facts"], "organization": "org_MALLORY"}},
        {name: part for name, part in one.items() if name != "batch"},
    ):
        with pytest.raises(NotGenuine):
            proofs.check_one(wrong)


async def test_a_batch_without_its_signature_is_refused_though_its_day_names_it(ada):
    await ingest(*(chat(ada) for _ in range(3)))
    await ingest(*(chat(ada) for _ in range(2)))
    lines = lines_of(await file_of(ada))
    assert proofs.check_month(b"".join(lines)).receipts == 5
    for at in (4, 6):
        for nothing in (b'""', b"null", b"0", b"false"):
            told = re.sub(rb'"signature":"[^"]+"', b'"signature":' + nothing, lines[at])
            assert "was altered" in complaint(b"".join([*lines[:at], told, *lines[at + 1 :]]))
    for nothing in (b"null", b"0", b"false", b"[]"):
        told = lines[2].replace(b'"signature":""', b'"signature":' + nothing)
        assert "holds more than facts and their signature" in complaint(b"".join([*lines[:2], told, *lines[3:]]))


# A month that is wrong


def complaint(content):
    with pytest.raises(NotGenuine) as found:
        proofs.check_month(content)
    return str(found.value)


async def test_a_receipt_left_out_moved_or_repeated_is_named(lived):
    lines = lines_of(await file_of(lived))
    one, two, three = (facts(line)["request"] for line in lines[8:11])
    assert [facts(line)["number"] for line in lines[8:13]] == [1, 2, 3, 4, 5]
    assert complaint(b"".join(lines[:9] + lines[10:])) == (
        f"Receipt 2 of 2026-11-17 is missing: receipt 3 ({three}) stands in its place."
    )
    assert complaint(b"".join([*lines[:9], lines[8], *lines[9:]])) == (
        f"Receipt 1 of 2026-11-17 ({one}) comes twice or in the wrong place: receipt 2 belongs there."
    )
    assert complaint(b"".join([*lines[:8], lines[9], lines[8], *lines[10:]])) == (
        f"Receipt 1 of 2026-11-17 is missing: receipt 2 ({two}) stands in its place."
    )
    assert complaint(b"".join(lines[:-1])) == "Receipt 5 of 2026-11-17 is missing."
    assert complaint(b"".join([*lines, lines[-1]])) == "Line 14 belongs to no day that the statement names."
    assert complaint(b"".join(lines)[:-1]) == "Line 13 is cut off."
    assert (
        complaint(b"".join(lines[:1] + lines[2:]))
        == "The statement of 2026-11-14 is missing: line 2 holds something else."
    )
    assert complaint(b"".join(lines[1:])) == "The statement of the month is missing: line 1 holds something else."
    assert complaint(b"") == "Line 1 is cut off."


async def test_another_receipt_in_its_place_is_seen_though_it_is_signed(lived):
    bob = await owner(BOB)
    await ingest(*(chat(bob) for _ in range(5)))
    lines, others = lines_of(await file_of(lived)), lines_of(await file_of(bob))
    assert "Receipt 2 of 2026-11-17 is missing" in complaint(b"".join([*lines[:9], others[3], *lines[10:]]))


LIES = (
    (8, {"cost_nano": 10_801}, "does not add up: its units come to 10800 nano-USD, and it charges 10801"),
    (9, {"previous": "0" * 64}, "does not follow the one before it"),
    (12, {"model": "assisters-image-v1"}, "which is not on the invoice"),
    (12, {"units": [{"unit": "output token", "count": 64, "each_nano": 200}], "cost_nano": 12_800}, "another price"),
    (12, {"outcome": "failed"}, "do not end where its statement says"),
    (7, {"receipts": 4}, "is not the one that the month names"),
    (7, {"lines": []}, "do not come to what its statement says"),
    (0, {"total_cents": 7}, "total is not the sum of its lines"),
    (0, {"lines": []}, "which is not on the invoice"),
    (0, {"signed_by": "0" * 16}, "a key that is not named here"),
    (0, {"days": [{}]}, "does not hold what a receipt holds"),
)


async def test_what_does_not_fit_is_found_though_whoever_wrote_it_holds_the_key(lived):
    lines = lines_of(await file_of(lived))
    for number, changes, sentence in LIES:
        assert sentence in complaint(b"".join(resigned(lines, number, **changes)))


async def test_an_invoice_that_charges_more_than_the_receipts_is_found(lived):
    lines = lines_of(await file_of(lived))
    statement = facts(lines[0])
    dearer = [{**line, "nano": line["nano"] + 1} for line in statement["lines"]]
    total = sum(line["nano"] for line in dearer)
    lines = resigned(lines, 0, lines=dearer, total_nano=total)
    assert f"The invoice's line for {CHAT} under price version 1 does not fit its receipts" in complaint(
        b"".join(lines)
    )


async def test_one_request_charged_twice_is_found(ada):
    made = chat(ada)
    await ingest(made)
    async with transaction() as tx:  # a ledger and tallies that count it twice, and a worker that lies
        await tx.sql(text("DELETE FROM usage_event"))
        await receipts.append(tx, [made])
    content = lines_of(await file_of(ada))
    told = resigned(content, 3, replaces=None)
    assert "and another charge the same request" in complaint(b"".join(told))


@given(data=some.data())
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def tampering(content, data):
    """Change, drop or add a byte anywhere, and see it found."""
    place = data.draw(some.integers(0, len(content) - 1))
    change = data.draw(some.sampled_from(["change", "drop", "add"]))
    byte = bytes([data.draw(some.integers(0, 255))])
    rest = content[place:] if change == "add" else content[place + 1 :]
    altered = content[:place] + (b"" if change == "drop" else byte) + rest
    if altered != content:
        with pytest.raises(NotGenuine):
            proofs.check_month(altered)


async def test_no_byte_of_a_month_can_be_changed_dropped_or_added_unseen(lived):
    content = await file_of(lived)
    proofs.check_month(content)
    await asyncio.to_thread(tampering, content)
