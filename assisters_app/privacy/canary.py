"""The canary: a pretend developer who comes, uses everything, has herself erased, and is then looked for everywhere.

    fly() -> Flight          one whole life against the running product; takes a minute or so
    every night              the same by the clock; what came of it stands beside the sentences it proves

She goes through the product's own doors over HTTP: signing up, verifying, signing in, calling the API, export, copy,
closing and erasing. Where a door is a button on a live page, which needs a browser, she calls what the button calls:
naming herself, making a key, ordering credit, choosing consents, changing her mind. Her mail is not read: the link that
proves her address is asked for where the mail gets it.

Every word of hers is random and stands nowhere else. Before she goes, the search must find her; afterwards it must not.
"""

import asyncio
import io
import logging
import re
import secrets
import time
import zipfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import UUID

import httpx
import sentry_sdk
from sqlmodel import col, select

from assisters_app.accounts import links, profile, sessions, signing_up
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Organization
from assisters_app.base import error_reports, jobs
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, snapshot, transaction
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.local_servers import LocalServerError
from assisters_app.base.settings import settings
from assisters_app.billing import stripe, topups
from assisters_app.gateway.content import contents
from assisters_app.keys import keys
from assisters_app.privacy import promises, searching
from assisters_app.privacy.choices import consents
from assisters_app.privacy.erasing import backups, erasure, receipts
from assisters_app.privacy.erasing.tables import Erasure
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.registers import audits
from assisters_app.privacy.registers.tables import CanaryRun
from assisters_app.privacy.searching import Trace

PATIENCE = 180.0  # seconds for the worker to carry her erasure out
LINGERING = 90.0  # seconds for what is on its way to be gone: the mail with her receipt
EVERY = timedelta(days=2)  # a night may be missed, not two
LONGEST = timedelta(minutes=30)  # a flight that takes longer was cut off
PAUSE = 0.5  # seconds between two looks
MODEL = "assisters-chat-v1"
TOP_UP_CENTS = 1_000

logger = logging.getLogger(__name__)


class Lost(Exception):  # noqa: N818 (it is raised as a word: the canary is lost)
    """The canary did not come through, or something of her was found. The message is a sentence without her words."""


@dataclass(frozen=True, slots=True)
class Flight:
    """What came of one life. `state` is 'returned', 'lost', or 'held' (a legal hold keeps something of hers)."""

    state: str
    says: str
    steps: tuple[str, ...]


@dataclass(slots=True)
class Canary:
    """Her words, and what she learns on the way."""

    web: httpx.AsyncClient
    word: str = field(default_factory=lambda: f"canary{secrets.token_hex(8)}")
    password: str = field(default_factory=lambda: f"Pw-{secrets.token_urlsafe(24)}")
    prompt: str = field(default_factory=lambda: f"prompt{secrets.token_hex(8)}")
    steps: list[str] = field(default_factory=list)
    account_id: UUID | None = None
    customer: str | None = None
    key: str = ""
    names: list[str] = field(default_factory=list)  # what machines call her; not what they call her key, which is gone
    receipt: str = ""
    not_searched: str = ""  # what could not be looked into, and why; empty when everything was

    @property
    def email(self) -> str:
        """Her address: our own mailbox, with her word in it."""
        name, _, domain = str(settings().canary_email).partition("@")
        return f"{name}+{self.word}@{domain}"

    @property
    def words(self) -> tuple[str, ...]:
        """Everything that leads to her, or that she said."""
        hers = (self.word, self.email, self.password, self.prompt, *self.names)
        return (*hers, self.key) if self.key else hers


async def fly() -> Flight:
    """Let one canary live, and write down what came of her. Raises Refused where none can be sent."""
    if settings().canary_email is None:
        raise Refused("Set CANARY_EMAIL to a mailbox of yours: the canary signs up with it.", code="no_canary_email")
    run_id = await _note(None, "under way", "", ())
    async with _visitor() as web:
        canary = Canary(web)
        try:
            state, says = await _live(canary)
        except Lost as lost:
            state, says = "lost", str(lost)
        except Exception as problem:
            logger.exception("The canary met something unexpected.")
            state, says = "lost", f"She met something unexpected ({type(problem).__name__}) after: {_last(canary)}."
    await _note(run_id, state, says, tuple(canary.steps))
    if state == "lost":
        logger.error("The canary is lost. %s", says)
    return Flight(state, says, tuple(canary.steps))


@jobs.job("privacy.canary", every="41 2 * * *", retries=0)
async def fly_by_night() -> None:
    """Send a canary, where one can be sent."""
    if settings().canary_email is not None:
        await fly()


@promises.check(
    *("1.2", "1.8", "1.9", "1.10", "4.1", "6.1", "6.3", "6.4", "11.1", "11.2", "11.3"),
    says="A pretend person came, used everything, was erased, and nothing of her is found in any store.",
)
async def the_canary_returned(tx: Tx) -> str:
    """Read what came of the latest flight that is over."""
    latest = await _latest(tx)
    if latest is None:
        if settings().canary_email is None:
            raise Broken("Nobody can be sent to look: CANARY_EMAIL is not set.")
        if now().date() > await audits.opened_on(tx) + EVERY:
            raise Broken("Nobody has been sent to look.")
        return "The first one is sent tonight."
    if latest.ended_at is None:
        if now() - latest.begun_at > LONGEST:
            raise Broken(f"The one of {latest.begun_at:%d %B %Y} never came back.")
        return "One is on her way."
    if now() - latest.ended_at > EVERY:
        raise Broken(f"Nobody has been sent since {latest.begun_at:%d %B %Y}.")
    if latest.state == "lost":
        raise Broken(latest.says)
    return latest.says


# Her life


async def _live(canary: Canary) -> tuple[str, str]:
    await _until(canary, _doors_are_open, "The product does not answer.")
    for step in (_sign_up, _sign_in, _settle_in, _call, _choose, _export, _fail_before_sentry):
        await _take(canary, step)
    await _take(canary, _must_be_found)
    for step in (_close, _change_her_mind, _erase):
        await _take(canary, step)
    if not await _wait_for_receipt(canary):
        return "held", "Her erasure waits for a legal hold, as the law wants it."
    await _take(canary, _look_everywhere)
    took = f"She took {len(canary.steps)} steps; her receipt is genuine, and nothing of her was found anywhere."
    return "returned", f"{took} {canary.not_searched}".strip()


async def _take(canary: Canary, step: Callable[[Canary], Awaitable[str]]) -> None:
    began = time.monotonic()
    did = await step(canary)
    canary.steps.append(f"{did} ({time.monotonic() - began:.1f} s)")


async def _sign_up(canary: Canary) -> str:
    await _post(canary, "/auth/sign-up", email=canary.email, password=canary.password)
    async with transaction() as tx:
        account = await signing_up.find(tx, canary.email)
        if account is None:
            raise Lost("Signing up opened no account.")
        canary.account_id = account.id
        address = await links.link(tx, account.id, "verify")
    await _get(canary, f"/verify?{urlsplit(address).query}")
    await _post(canary, "/auth/verify")
    return "signed up and proved her address"


async def _sign_in(canary: Canary) -> str:
    await _post(canary, "/auth/sign-in", email=canary.email, password=canary.password)
    await _person(canary)
    return "signed in"


async def _settle_in(canary: Canary) -> str:
    who = await _person(canary)
    async with transaction() as tx:
        await profile.correct(tx, who, f"Canary {canary.word}", "Europe/Paris")
        organization = await tx.get_one(Organization, who.organization_id)
        made = await keys.issue(tx, who, keys.NewKey(name=f"key of {canary.word}", mode="test"))
        await contents.turn(tx, who, made.key.handle, on=True)
        canary.key = made.secret.reveal()
        canary.names += [str(who.account_id), str(organization.id), organization.handle]
    if settings().stripe_api_base is None:  # at the real Stripe nobody is made up
        return "named herself and made a key"
    async with transaction() as tx:
        await topups.order(tx, who, TOP_UP_CENTS)
    async with transaction() as tx:
        canary.customer = (await tx.get_one(Organization, who.organization_id)).stripe_customer_id
    return "named herself, made a key and ordered credit"


async def _call(canary: Canary) -> str:
    asked = {"model": MODEL, "messages": [{"role": "user", "content": f"{canary.prompt}, said {canary.word}"}]}
    with_key = {"authorization": f"Bearer {canary.key}", "user-agent": f"canary/{canary.word}"}
    whole = await canary.web.post("/v1/chat/completions", json=asked, headers=with_key)
    repeatable = {**with_key, "idempotency-key": f"again-{canary.word}"}
    kept = await canary.web.post("/v1/chat/completions", json=asked, headers=repeatable)
    streamed = await canary.web.post("/v1/chat/completions", json={**asked, "stream": True}, headers=with_key)
    refused = await canary.web.post("/v1/chat/completions", json={**asked, "model": canary.word}, headers=with_key)
    stranger = await canary.web.post("/v1/chat/completions", json=asked, headers={"authorization": "Bearer ask_x"})
    answers = [one.status_code for one in (whole, kept, streamed, refused, stranger)]
    if answers != [200, 200, 200, 404, 401]:
        raise Lost(f"Her calls were answered with {answers}.")
    await _until(canary, _calls_are_written_down, "Her calls were not written down.")
    await _until(canary, _what_was_said_is_kept, "What she said was not kept, though she asked for it.")
    return "called the API: whole, repeatable, streamed, refused; what she said was kept for her"


async def _doors_are_open(canary: Canary) -> bool:
    try:
        return (await canary.web.get("/readyz")).status_code == httpx.codes.OK
    except httpx.TransportError:
        return False  # when the house opens, the worker may be up before the pages


async def _calls_are_written_down(canary: Canary) -> bool:
    organization = canary.names[1]
    async with snapshot() as tx:
        return any(".usage_" in table for table in await searching.in_database(tx, [organization]))


async def _what_was_said_is_kept(canary: Canary) -> bool:
    who = await _person(canary)
    async with snapshot() as tx:
        return await contents.count(tx, who) > 0


async def _choose(canary: Canary) -> str:
    who = await _person(canary)
    for given in (True, False):
        for purpose in consents.PURPOSES:
            async with transaction() as tx:
                await consents.choose(tx, who, purpose.id, given=given)
    return "opted in and out of everything"


async def _export(canary: Canary) -> str:
    packed = await _get(canary, "/download/export")
    with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist())
    copy = await _get(canary, "/download/copy")
    for what, content in (("export", inside), ("copy", copy.content)):
        if canary.word.encode() not in content or canary.email.encode() not in content:
            raise Lost(f"Her {what} does not hold what she told us.")
        if any(secret.encode() in content for secret in (canary.password, canary.key)):
            raise Lost(f"Her {what} holds a secret.")
    return "downloaded her export and her copy"


async def _fail_before_sentry(canary: Canary) -> str:
    """Fail with all her words in hand, and read what Sentry would be told."""
    told = _Told()
    client = sentry_sdk.Client(
        "http://canary@127.0.0.1/1", transport=told, before_send=error_reports.report, **error_reports.SDK
    )
    held = {"email": canary.email, "prompt": canary.prompt, "key": canary.key}
    with sentry_sdk.new_scope() as scope:
        scope.set_client(client)
        try:
            raise RuntimeError(f"{canary.word} failed with {held}")  # noqa: TRY301 (an error is what is wanted)
        except RuntimeError as problem:
            scope.capture_exception(problem)
    client.close()
    if b"RuntimeError" not in told.content:
        raise Lost("An error was not reported at all.")
    if any(word.encode() in told.content for word in canary.words):
        raise Lost("An error report told Sentry of her.")
    return "failed, and Sentry was told nothing of her"


class _Told(sentry_sdk.Transport):
    """Keeps what would have been sent."""

    def __init__(self) -> None:
        super().__init__()
        self.content = b""

    def capture_envelope(self, envelope: sentry_sdk.envelope.Envelope) -> None:
        self.content += envelope.serialize()


async def _must_be_found(canary: Canary) -> str:
    """See to it that the search is not blind: while she is here, it finds each thing that is stored of her."""
    async with snapshot() as tx:
        for word in (canary.word, canary.email, *canary.names):
            if not await searching.in_database(tx, [word]):
                raise Lost("The search is blind: it does not find what is there.")
        for secret in (canary.password, canary.key, canary.prompt):
            if found := await searching.in_database(tx, [secret]):
                raise Lost(f"A secret of hers, or what she asked, lies open in {found[0]}.")
    return "was found where she should be, and her secrets nowhere"


async def _close(canary: Canary) -> str:
    await _post(canary, "/privacy/close", email=canary.email, how="later")
    if (await canary.web.get("/download/copy")).status_code == httpx.codes.OK:
        raise Lost("A session outlived the closing of its account.")
    refused = await canary.web.get("/v1/models", headers={"authorization": f"Bearer {canary.key}"})
    if refused.status_code != httpx.codes.UNAUTHORIZED:
        raise Lost("A key outlived the closing of its account.")
    return "closed her account; her session and her key ended"


async def _change_her_mind(canary: Canary) -> str:
    await _sign_in(canary)
    who = await _person(canary)
    async with transaction() as tx:
        await erasure.undo(tx, who)
    return "came back and changed her mind"


async def _erase(canary: Canary) -> str:
    answer = await _post(canary, "/privacy/close", email=canary.email, how="now")
    found = re.search(r"rcp_\w+", answer.text)
    if found is None:
        raise Lost("Erasing named no receipt.")
    canary.receipt = found[0]
    return "had herself erased"


async def _wait_for_receipt(canary: Canary) -> bool:
    """Wait until her erasure was carried out, and check the receipt; False when a legal hold keeps something."""
    await _until(canary, _is_over, "Her erasure was not carried out in time.")
    async with snapshot() as tx:
        if await _is_held(tx, canary):
            return False
        receipt = await receipts.shown(tx, canary.receipt)
    facts = receipts.verify(receipt.body, receipt.signature, receipt.public_key)
    if facts["receipt"] != canary.receipt or facts["found_by_scan"]:
        raise Lost("Her receipt does not say that nothing is left.")
    canary.steps.append("was given a receipt that verifies")
    return True


async def _is_over(canary: Canary) -> bool:
    async with snapshot() as tx:
        try:
            await receipts.shown(tx, canary.receipt)
        except NotFound:
            return await _is_held(tx, canary)
        return True


async def _is_held(tx: Tx, canary: Canary) -> bool:
    waiting = select(Erasure).where(Erasure.account_id == canary.account_id, col(Erasure.carried_out_at).is_(None))
    return any(one.progress.get("held") for one in (await tx.exec(waiting)).all())


async def _look_everywhere(canary: Canary) -> str:
    """Look until nothing is found, for the mail with her receipt may still be on its way; then look into a backup."""
    deadline = time.monotonic() + LINGERING
    while found := await _traces(canary):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(PAUSE)
    if found := (*found, *await asyncio.to_thread(_in_a_backup, canary)):
        places = ", ".join(sorted({f"{trace.place} ({trace.store})" for trace in found}))
        raise Lost(f"Something of her was found in {places}.")
    return f"was looked for everywhere, and was gone. {canary.not_searched}".strip()


def _in_a_backup(canary: Canary) -> tuple[Trace, ...]:
    """Look into a backup made now. Her receipt must be found in it, else the search is blind."""
    try:
        with backups.for_a_moment() as backup:
            found = searching.in_backup(backup.file, (*canary.words, canary.receipt))
    except LocalServerError:
        canary.not_searched = "Not searched: backups, for PostgreSQL's programs are not there to open one."
        return ()
    except Refused:
        logger.exception("No backup could be made and opened.")
        raise Lost("No backup could be made and opened, so that none was searched.") from None
    if not found.pop(canary.receipt, None):
        raise Lost("The search of backups is blind: it does not find her receipt, which is there.")
    return tuple(Trace("backup", table) for tables in found.values() for table in tables)


async def _traces(canary: Canary) -> tuple[Trace, ...]:
    found = await searching.everywhere(canary.words)
    if canary.customer and canary.word in await stripe.still_told(canary.customer):
        found = (*found, Trace("Stripe", "a customer"))
    return found + await _in_letters_of_others(canary)


async def _in_letters_of_others(canary: Canary) -> tuple[Trace, ...]:
    """Look into the mail of everybody but her, where it is caught: what was sent to her is hers."""
    if settings().mailbox_url is None:
        return ()
    async with httpx.AsyncClient() as reader:
        letters = (await reader.get(f"{settings().mailbox_url}/letters.json")).raise_for_status().json()
    others = [letter for letter in letters if canary.email not in str(letter["to"])]
    return tuple(Trace("mail", "a letter to somebody else") for letter in others if canary.word in str(letter))


# Doors


@asynccontextmanager
async def _visitor() -> AsyncIterator[httpx.AsyncClient]:
    base = settings().public_url
    async with httpx.AsyncClient(base_url=base, headers={"origin": base}, timeout=30) as web:
        yield web


async def _post(canary: Canary, path: str, **fields: str) -> httpx.Response:
    answer = await canary.web.post(path, data=fields, headers={"accept": "application/json"})
    return _accepted(answer, path)


async def _get(canary: Canary, path: str) -> httpx.Response:
    return _accepted(await canary.web.get(path), path.partition("?")[0])


def _accepted(answer: httpx.Response, path: str) -> httpx.Response:
    if answer.status_code not in (httpx.codes.OK, httpx.codes.SEE_OTHER):  # a link leaves its token in a cookie
        raise Lost(f"{path} answered {answer.status_code}.")
    return answer


async def _person(canary: Canary) -> Person:
    """Return who she is signed in as, read from her cookie as the pages do."""
    who = await sessions.resolve(canary.web.cookies.get(settings().cookie_name("session")) or "")
    if who is None or who.account_id != canary.account_id:
        raise Lost("Signing in opened no session of hers.")
    return who


async def _until(canary: Canary, true: Callable[[Canary], Awaitable[bool]], otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not await true(canary):
        if time.monotonic() > deadline:
            raise Lost(otherwise)
        await asyncio.sleep(PAUSE)


def _last(canary: Canary) -> str:
    return canary.steps[-1] if canary.steps else "nothing"


async def _note(run_id: UUID | None, state: str, says: str, steps: tuple[str, ...]) -> UUID:
    async with transaction() as tx:
        run = CanaryRun() if run_id is None else await tx.get_one(CanaryRun, run_id)
        run.state, run.says, run.steps = state, says[:500], list(steps)
        run.ended_at = None if run_id is None else now()
        tx.add(run)
        return run.id


async def _latest(tx: Tx) -> CanaryRun | None:
    newest = select(CanaryRun).order_by(col(CanaryRun.begun_at).desc()).limit(1)
    return (await tx.exec(newest)).first()
