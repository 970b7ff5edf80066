"""Every check of the promises is run by the clock, and what each sentence of the policy is worth follows from it.

    look(only=None) -> tuple[Result, …]      run the checks, each in a transaction that only reads; keep what they found
    standing(tx) -> tuple[Standing, …]       each sentence of the policy: does it hold now, by which checks and tests

A check that says so, that fails itself, or that has not been run for an hour makes its sentences "not currently true":
nothing counts as true because nobody has looked. A check is known once its module is imported: PROOFS names them all,
and tests/privacy/test_promises.py compares it with every `@promises.check` there is.
"""

import asyncio
import functools
import importlib
import logging
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlmodel import select

from assisters_app.accounts.rights import holders
from assisters_app.base import jobs, mail, redaction
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, snapshot, transaction
from assisters_app.base.settings import settings
from assisters_app.privacy import canary, promises
from assisters_app.privacy.checks import custody, edges, metering
from assisters_app.privacy.choices import consents, news, opting_out
from assisters_app.privacy.erasing import checks as endings
from assisters_app.privacy.erasing import unproven
from assisters_app.privacy.keeping import in_time
from assisters_app.privacy.policies import checks, policy, telling, versions
from assisters_app.privacy.policies.tables import PromiseResult
from assisters_app.privacy.promises import Broken, Check
from assisters_app.privacy.registers import (
    answers,
    audits,
    disclosures,
    holds,
    incidents,
    suspensions,
    trails,
)
from assisters_app.privacy.rights import correction, proofs, requests

FACES = ("assisters_app.ui.storage",)  # what only a face can tell; by name, since nothing below may import one
PROOFS = (
    custody,
    audits,
    canary,
    checks,
    telling,
    versions,
    consents,
    disclosures,
    edges,
    endings,
    holds,
    incidents,
    in_time,
    metering,
    news,
    opting_out,
    proofs,
    requests,
    suspensions,
    trails,
    unproven,
    correction,
    answers,
    *map(importlib.import_module, FACES),
)

STALE = timedelta(hours=1)  # the longest for which a result is believed; the checks run every 15 minutes
PATIENCE = 20  # seconds for one check; one that takes longer is broken
LONGEST = 500  # characters of what was found
REGISTER = Path(policy.__file__).with_name("tests.txt")

State = Literal["holds", "broken", "unknown", "statement", "unproven"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What one check found. `state` is 'unknown' when it was not run for an hour, or never (`looked_at` is None)."""

    name: str
    says: str
    state: State
    found: str
    since: datetime | None
    looked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Proof:
    """One test of the suite that proves a sentence: its file, and its name, which is a sentence."""

    file: str
    name: str

    @property
    def words(self) -> str:
        """The name as a sentence."""
        return _sentence(self.name)


@dataclass(frozen=True, slots=True)
class Standing:
    """One sentence of the policy and what it is worth now.

    `state`: 'holds'; 'broken' and 'unknown' (a check failed, or was not run lately: not currently true); 'statement'
    (nothing can prove it, `why` says why); 'unproven' (there is no check of it: not currently true either).
    """

    id: str
    text: str
    state: State
    why: str
    results: tuple[Result, ...]
    tests: tuple[Proof, ...]

    @property
    def true(self) -> bool:
        """Whether the sentence may be called true now."""
        return self.state in ("holds", "statement")


async def look(only: str | None = None) -> tuple[Result, ...]:
    """Run every check (or the one called `only`) against the running system, and keep what each found."""
    found = [await _look(check) for check in promises.checks() if only in (None, check.name)]
    async with transaction() as tx:
        turned = [result for result in found if await _keep(tx, result)]
        await _forget_the_gone(tx)
        await _tell(tx, turned)
    return tuple(found)


async def standing(tx: Tx) -> tuple[Standing, ...]:
    """Return each sentence of the policy in its order, with what is known of it."""
    current = await versions.in_force(tx)
    kept = {one.name: one for one in (await tx.exec(select(PromiseResult))).all()}
    by_sentence: dict[str, list[Result]] = defaultdict(list)
    for check in promises.checks():
        for sentence in check.sentences:
            by_sentence[sentence].append(_as_kept(check, kept.get(check.name)))
    return tuple(
        _standing(part.id, part.text, tuple(by_sentence[part.id]))
        for section in current.sections
        for part in section.parts
        if part.id
    )


def as_json(standing: tuple[Standing, ...]) -> dict[str, Any]:
    """Return what each sentence is worth, for programs; times are ISO 8601 in UTC once written as JSON."""
    return {
        "true": all(sentence.true for sentence in standing),
        "sentences": [
            {**asdict(sentence), "true": sentence.true, "tests": [f"{one.file}::{one.name}" for one in sentence.tests]}
            for sentence in standing
        ],
    }


@functools.cache
def tests() -> dict[str, tuple[Proof, ...]]:
    """Return the tests that prove each sentence, by its id, from the register that a test keeps current."""
    found: dict[str, list[Proof]] = defaultdict(list)
    for line in filter(None, REGISTER.read_text().splitlines()):
        sentence, file, name = line.split()
        found[sentence].append(Proof(file, name))
    return {sentence: tuple(sorted(proofs, key=lambda one: (one.file, one.name))) for sentence, proofs in found.items()}


@jobs.job("privacy.promises", every="*/15 * * * *")
async def look_by_the_clock() -> None:
    """Run every check; also done once when the house opens."""
    await look()


async def at_opening(tx: Tx) -> None:
    """Have every check run as soon as a worker is there."""
    await jobs.enqueue(tx, "privacy.promises", once="privacy.promises")


async def _look(check: Check) -> Result:
    """Run one check. Whatever keeps it from saying that the promise holds breaks the promise."""
    state: State = "broken"
    try:
        async with asyncio.timeout(PATIENCE), snapshot() as tx:
            await tx.sql(text(f"SET LOCAL statement_timeout = '{PATIENCE}s'"))
            found, state = await check.look(tx), "holds"
    except Broken as broken:
        found = str(broken)
    except TimeoutError:
        found = f"The check did not come to an end within {PATIENCE} seconds."
    except Exception as problem:
        logger.exception("The check %s failed.", check.name)
        found = f"The check itself failed ({type(problem).__name__})."  # its message may quote what it read
    return Result(check.name, check.says, state, redaction.redact(found)[:LONGEST], now(), now())


async def _keep(tx: Tx, result: Result) -> bool:
    """Keep what was found; return whether the promise broke just now, or holds again."""
    before = await tx.get(PromiseResult, result.name, with_for_update=True)
    holds = result.state == "holds"
    turned = before is None or before.holds != holds
    if turned and not holds:
        logger.error("A promise of the policy is broken: %s (%s)", result.found, result.name)
    row = PromiseResult(
        name=result.name,
        holds=holds,
        found=result.found,
        since=now() if before is None or turned else before.since,
        looked_at=now(),
    )
    insertion = insert(PromiseResult).values(row.model_dump())
    await tx.exec(insertion.on_conflict_do_update(index_elements=["name"], set_=row.model_dump(exclude={"name"})))
    return turned and not (before is None and holds)


async def _tell(tx: Tx, turned: list[Result]) -> None:
    """Mail whoever watches over the promises, once when one breaks and once when it holds again."""
    broken = [_in_a_line(one) for one in turned if one.state == "broken"]
    mended = [_in_a_line(one) for one in turned if one.state == "holds"]
    for lines, subject, says in (
        (broken, "A promise of the privacy policy is broken", "Its page shows everyone that it is not true now."),
        (mended, "A promise of the privacy policy holds again", "Its page shows everyone that it is true again."),
    ):
        if lines:
            page = ("See how the promises stand", f"{settings().public_url}/privacy-policy")
            for one in await holders(tx, "retention"):
                await mail.send(tx, one.email, mail.Message(subject, (*lines, says), page), account_id=one.id)


def _in_a_line(result: Result) -> str:
    sentences = next(check.sentences for check in promises.checks() if check.name == result.name)
    return f"{', '.join(sentences)}: {result.says} {'Now' if result.state == 'holds' else 'Found'}: {result.found}"


async def _forget_the_gone(tx: Tx) -> None:
    """Delete what checks found that are no more."""
    known = {check.name for check in promises.checks()}
    for kept in (await tx.exec(select(PromiseResult))).all():
        if kept.name not in known:
            await tx.delete(kept)


def _as_kept(check: Check, kept: PromiseResult | None) -> Result:
    if kept is None:
        return Result(check.name, check.says, "unknown", "Nobody has looked yet.", None, None)
    state: State = "holds" if kept.holds else "broken"
    if kept.looked_at < now() - STALE:
        state = "unknown"
    return Result(check.name, check.says, state, kept.found, kept.since, kept.looked_at)


def _standing(sentence: str, words: str, results: tuple[Result, ...]) -> Standing:
    why = promises.statements().get(sentence, "")
    return Standing(sentence, words, _state(results, why), why, results, tests().get(sentence, ()))


def _state(results: tuple[Result, ...], why: str) -> State:
    if not results:
        return "statement" if why else "unproven"
    states = {result.state for result in results}
    return next(state for state in ("broken", "unknown", "holds") if state in states)


def _sentence(name: str) -> str:
    words = name.removeprefix("test_").replace("_", " ")
    return words[:1].upper() + words[1:]
