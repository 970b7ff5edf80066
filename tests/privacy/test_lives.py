"""Whatever somebody did here, nothing of it is anywhere once they are erased: every store is read from end to end."""

import hashlib
import io
import json
import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from cast import BOB, PASSWORD
from customers import customer, key_of
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from lives import busy_month
from markers import everything
from sqlmodel import select

from assisters_app.accounts import links, profile, sessions
from assisters_app.accounts.client import Client
from assisters_app.accounts.identity import identity
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import jobs, log, mail
from assisters_app.base.clock import frozen, now
from assisters_app.base.db import transaction
from assisters_app.base.ids import new_id
from assisters_app.base.settings import settings
from assisters_app.base.valkey import valkey
from assisters_app.billing import stripe as billing
from assisters_app.gateway.scripts import OPEN, RECORDS, Keys, open_name
from assisters_app.privacy.belonging import subject_of
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import backups, erasure, errands, ledger, reopening
from assisters_app.privacy.rights import requests
from assisters_app.support import messages
from assisters_app.usage import ddl
from assisters_app.usage.events import Event

pytestmark = pytest.mark.usefixtures("mail_waits")

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
_number = count(1)
FEW = examples(
    max_examples=4, deadline=None, derandomize=True, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


class Till(tuple):
    """The stand-in for Stripe, wrapped: Hypothesis prints what a test was given, and its books are long."""

    __slots__ = ()

    def __repr__(self):
        return "a till"


@pytest.fixture
def till(payments_on):
    return Till([payments_on])


@dataclass
class Life:
    """Somebody, and every text of theirs that is found nowhere else."""

    person: object
    stripe: object
    said: list[str] = field(default_factory=list)
    customer: str = ""

    def word(self):
        self.said.append(f"zq{next(_number):06d}qz")
        return self.said[-1]


async def makes_a_key(life, tx):
    from assisters_app.keys import keys

    issued = await keys.issue(tx, life.person, keys.NewKey(name=life.word()))
    life.said.append(issued.secret.reveal())  # its handle stays in the audit trail, where it leads to nothing


async def signs_in(life, tx):
    account = await tx.get_one(Account, life.person.account_id)
    cookie = await sessions.open_session(tx, account, Client("198.51.100.77", f"Browser/{life.word()}"))
    life.said.append(cookie.reveal())


async def has_a_password(life, tx):
    await identity().set_password(tx, await tx.get_one(Account, life.person.account_id), PASSWORD)


async def is_renamed(life, tx):
    await profile.correct(tx, life.person, life.word(), "Europe/Paris")


async def opts_in(life, tx):
    for purpose in ("training", "marketing"):
        await consents.choose(tx, life.person, purpose, given=True)


async def opts_out(life, tx):
    await consents.choose(tx, life.person, "training", given=False)


async def writes_to_us(life, tx):
    await messages.begin(tx, life.person, life.word(), f"Please help with {life.word()}.")


async def gets_mail(life, tx):
    await mail.send(tx, life.person.email, mail.Message(life.word(), (life.word(),)), account_id=life.person.account_id)


async def is_sent_a_link(life, tx):
    life.said.append((await links.link(tx, life.person.account_id, "reset")).partition("token=")[2])


async def asks_for_a_copy(life, tx):
    await requests.record(tx, "access", "dashboard", account_id=life.person.account_id)


async def calls(life, _tx):
    await valkey().xadd(RECORDS, {"record": _call(life).to_json()})


async def is_calling(life, _tx):
    open_ = _call(life)
    held = f"500:10:{int(now().timestamp())}:{open_.to_json()}"
    await valkey().hset(Keys.of(life.person.organization_id).holds, str(open_.request_id), held)
    named = open_name(life.person.organization_id, open_.request_id)
    await valkey().zadd(OPEN, {named: (now().timestamp() + 900) * 1000})


def _call(life):
    return Event(
        request_id=new_id(), at=now(), organization_id=life.person.organization_id, key_id=new_id(), mode="live",
        endpoint="/v1/embeddings", model="m", status=200, outcome="completed", cost_nano=5, price_version=1,
        ip="198.51.100.78", user_agent=f"Client/{life.word()}",
    )  # fmt: skip


async def pays(life, tx):
    if not life.customer:
        life.customer = await billing.new_customer(life.person.email, life.word(), "org", attempt=f"{next(_number)}")
        (await tx.get_one(Organization, life.person.organization_id)).stripe_customer_id = life.customer
        life.said.append(life.customer)
    checkout = await billing.open_checkout(
        f"order_{next(_number)}",
        life.customer,
        2000,
        success_url="http://localhost/ok",
        cancel_url="http://localhost/no",
    )
    life.stripe.press(checkout.url, "pay")


async def closes_and_changes_their_mind(life, tx):
    await erasure.close(tx, life.person)
    await erasure.undo(tx, life.person)


DEEDS = (
    makes_a_key, signs_in, has_a_password, is_renamed, opts_in, opts_out, writes_to_us, gets_mail, is_sent_a_link,
    asks_for_a_copy, calls, is_calling, pays, closes_and_changes_their_mind,
)  # fmt: skip


@pytest.mark.promise("4.1", "6.3")
@given(deeds=st.lists(st.sampled_from(DEEDS), min_size=4, max_size=14), month=st.booleans(), grace=st.booleans())
@FEW
async def test_after_any_life_no_store_holds_anything_of_it(house, till, deeds, month, grace):
    printed = io.StringIO()
    listening = logging.StreamHandler(printed)
    listening.setFormatter(log._Lines())
    logging.getLogger().addHandler(listening)
    try:
        with frozen(START) as move:
            life = Life(await customer(f"ada{next(_number)}@example.com"), till[0])
            found = await _lived_and_ended(life, deeds, move, month=month, grace=grace)
            assert await _search(life, *found, printed) == []
    finally:
        logging.getLogger().removeHandler(listening)


async def _lived_and_ended(life, deeds, move, *, month, grace):
    """Live and be erased; return who it was, and the backup that was made before."""
    life.stripe.control(reset=True)
    bob = await customer(f"bob{next(_number)}@example.org")
    async with transaction() as tx:
        await ddl.ahead(tx)
    await reopening.reopen()
    if month:
        await busy_month(life.person, await key_of(life.person), days=2, calls=2)
    for deed in deeds:
        async with transaction() as tx:
            await deed(life, tx)
    async with transaction() as tx:
        subject = await subject_of(tx, life.person.account_id)
        closing = await (erasure.close if grace else erasure.erase_now)(tx, life.person)
    backup = backups.back_up()
    move(closing.carry_out_at + timedelta(minutes=1))
    await jobs.run_waiting()
    for hours in range(4):
        move(START + timedelta(days=121, hours=hours))
        await errands.run_due()
        await jobs.run_waiting()
    await _delivered(life.person.email)
    async with transaction() as tx:
        assert await tx.get(Account, bob.account_id)  # nobody else was touched
    return subject, backup.file


async def _delivered(address):
    """Hand over the farewell mail, as the mail server's answer would: the last thing that names them goes."""
    from assisters_app.base.tables import OutgoingMail

    async with transaction() as tx:
        waiting = (await tx.exec(select(OutgoingMail).where(OutgoingMail.to_email == address))).all()
        assert [one.subject for one in waiting] == ["Your account has been erased"]
        for one in waiting:
            await tx.delete(one)


async def _search(life, subject, leave, printed):
    """Return which text of theirs stands in which store."""
    async with transaction() as tx:
        stores = {f"table {name}": "\n".join(rows) for name, rows in (await everything(tx)).items()}
    stores["valkey"] = await _valkey()
    stores["logs"] = printed.getvalue()
    books = life.stripe.books
    stores["stripe"] = json.dumps([books.objects, books.answers, books.waiting])
    for file in settings().data_dir.rglob("*"):
        if file.is_file() and file != leave:
            stores[f"file {file.name}"] = file.read_bytes().decode("latin-1")
    looked_for = {*life.said, life.person.email, *map(str, subject.ids), *(one.hex for one in subject.ids)}
    looked_for |= {*subject.handles, "198.51.100.77", "198.51.100.78", *_hashes(life.person.email)}
    allowed = {("stripe", life.customer)}  # Stripe keeps the name of a customer, without anything that it said
    return sorted(
        (store, text)
        for store, content in stores.items()
        for text in looked_for
        if text.lower() in content.lower() and (store, text) not in allowed
    )


def _hashes(email):
    """Return what somebody who knows the address would look for: hashes of it that need no secret (EDPB 2026, E)."""
    for kind in ("md5", "sha1", "sha256", "sha512", "blake2b", "sha3_256"):
        yield hashlib.new(kind, email.encode()).hexdigest()


async def _valkey():
    kept = []
    async for key in valkey().scan_iter("*"):
        read = {
            "string": valkey().get, "hash": valkey().hgetall, "set": valkey().smembers, "stream": valkey().xrange,
            "zset": lambda name: valkey().zrange(name, 0, -1), "list": lambda name: valkey().lrange(name, 0, -1),
        }[await valkey().type(key)]  # fmt: skip
        kept.append(f"{key} {await read(key)}")
    return "\n".join(kept)


async def test_a_planted_copy_is_found_in_every_store(payments_on):
    life = Life(await customer(BOB), payments_on)
    word = life.word()
    async with transaction() as tx:
        subject = await subject_of(tx, life.person.account_id)
        await mail.send(tx, "someone@example.net", mail.Message(word, ("",)))
    await valkey().set("copy", word)
    payments_on.books.make("charge", "ch", description=word)
    settings().data_dir.mkdir(parents=True, exist_ok=True)
    (settings().data_dir / "copy.txt").write_text(word)
    found = await _search(life, subject, ledger.path(), io.StringIO(word))
    assert {store for store, text in found if text == word} == {
        "table outgoing_mail", "valkey", "stripe", "file copy.txt", "logs",
    }  # fmt: skip
