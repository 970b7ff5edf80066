"""Audits and attestations, each with its date and the day it is due again (policy 5.2, 5.4, 8.2).

    standing(tx) -> tuple[Line, …]        what is assured, when it was last, whether it is overdue: public
    record(tx, …)                         enter what was done: an audit, an attestation of a host, an agreement
    enter(tx, staff, …)                   the same, by somebody of staff; it is in the trail who did
    entries(tx, staff) -> tuple[Entry, …] the newest of the register
    audit_dependencies(advisories)        what the software does itself, every night

What people must do is due a year after it was last done, or after the house opened; nothing counts as done because
nobody entered that it was not.
"""

import asyncio
import base64
import hashlib
import importlib.metadata
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import httpx
from sqlalchemy import text
from sqlmodel import col, select

from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.base import jobs, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.marks import EMAIL
from assisters_app.base.sealed_text import Sealed
from assisters_app.base.settings import settings
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.processors import PROCESSORS
from assisters_app.privacy.promises import Broken
from assisters_app.privacy.registers import ingredients
from assisters_app.privacy.registers.tables import Assurance

NIGHTLY = timedelta(days=2)  # a night may be missed, not two
YEARLY = timedelta(days=366)
SHOWN = 50  # entries, the newest
PATIENCE = 30.0  # seconds for the register of vulnerabilities to answer
AT_ONCE = 500  # questions that the register takes in one go; it allows a thousand
CODE = {".py", ".so", ".pyd", ".js", ""}  # what runs; translations and samples do not

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kind:
    """One thing that is assured again and again. `sentence` is the policy's; `by` is who does it."""

    id: str
    title: str
    sentence: str
    by: str
    every: timedelta

    @property
    def by_people(self) -> bool:
        """Whether people do it, and enter it; what the software does it enters itself."""
        return self.every == YEARLY


KINDS = (
    Kind("dependencies", "Audit of every dependency", "5.4", "The software, every night", NIGHTLY),
    Kind("security", "Security audit by people", "5.4", "People, once a year", YEARLY),
    Kind("host", "Encryption of the disks of our hosts", "5.2", "Attested by people, once a year", YEARLY),
    *(
        Kind(f"agreement:{one.id}", f"Agreement with {one.name} on its handling of data", "8.2", "People, once a year",
             YEARLY)
        for one in PROCESSORS
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Line:
    """One kind of assurance as everyone sees it. `last` is None when it was never done."""

    kind: Kind
    last: date | None
    due: date
    passed: bool
    says: str
    evidence: str

    @property
    def overdue(self) -> bool:
        """True when the day on which it was due has passed."""
        return now().date() > self.due

    @property
    def state(self) -> str:
        """Return in a word how it stands: "passed", "failed", "overdue", or "due" for what was never done yet."""
        if self.overdue:
            return "overdue"
        if self.last is None:
            return "due"
        return "passed" if self.passed else "failed"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the register, as staff reads it."""

    title: str
    done_on: date
    passed: bool
    says: str
    evidence: str


async def standing(tx: Tx) -> tuple[Line, ...]:
    """Return how each kind of assurance stands."""
    opened = await opened_on(tx)
    return tuple([_line(kind, await _last(tx, kind.id), opened) for kind in KINDS])


async def record(  # noqa: PLR0913 (each says one thing about the audit)
    tx: Tx, kind: str, done_on: date, says: str, *, passed: bool = True, evidence: str = ""
) -> None:
    """Enter what people did. Raises Refused: unknown_kind, bad_date, nothing_said."""
    if kind not in {one.id for one in KINDS}:
        raise Refused(f"There is no such audit. There are: {', '.join(one.id for one in KINDS)}.", code="unknown_kind")
    if done_on > now().date():
        raise Refused("What was done lies in the past.", code="bad_date")
    if not says.strip():
        raise Refused("Say in a sentence what was found.", code="nothing_said")
    tx.add(Assurance(kind=kind, done_on=done_on, passed=passed, says=says.strip()[:1000], evidence=evidence[:300]))


async def enter(  # noqa: PLR0913 (each says one thing about the audit)
    tx: Tx, staff: Person, kind: str, done_on: date, says: str, *, passed: bool, evidence: str
) -> None:
    """Enter what people did, as `record` does. Raises NotFound for who may not, and what `record` raises."""
    require(staff, "audits")
    require_recent(staff)
    if kind not in {one.id for one in KINDS if one.by_people}:
        raise Refused("Choose what was looked at.", code="unknown_kind", field="kind")
    await record(tx, kind, done_on, says, passed=passed, evidence=evidence.strip())
    trail.write(tx, "audit:entered", account_id=None, actor_id=staff.account_id, kind=kind, passed=passed)


async def entries(tx: Tx, staff: Person) -> tuple[Entry, ...]:
    """Return the newest entries, with where the evidence is."""
    require(staff, "audits")
    titles = {kind.id: kind.title for kind in KINDS}
    newest = select(Assurance).order_by(col(Assurance.done_on).desc(), col(Assurance.id).desc()).limit(SHOWN)
    return tuple(
        Entry(titles.get(one.kind, one.kind), one.done_on, one.passed, one.says, one.evidence)
        for one in await tx.exec(newest)
    )


async def at_opening(tx: Tx) -> None:
    """Compare the pins when the house opens for the first time; the nightly audit looks at every file as well."""
    if await _last(tx, "dependencies") is None:
        wrong = [*ingredients.unpinned(), *ingredients.unbuilt()]
        says = wrong[0] if wrong else f"{_all()} are the pinned ones. Their files are compared tonight."
        await record(tx, "dependencies", now().date(), says, passed=not wrong)


@jobs.job("privacy.audit-dependencies", every="23 3 * * *")
async def audit_by_night() -> None:
    """Audit every dependency, and enter what was found."""
    passed, says = await audit_dependencies()
    async with transaction() as tx:
        await record(tx, "dependencies", now().date(), says, passed=passed)
    if not passed:
        logger.error("The audit of dependencies failed.")


async def audit_dependencies() -> tuple[bool, str]:
    """Return whether what is installed is what was pinned, unaltered, without known vulnerabilities; and a sentence.

    Without ADVISORIES_URL nothing is compared with known vulnerabilities, and the sentence says so.
    """
    wrong = [*ingredients.unpinned(), *ingredients.unbuilt(), *await asyncio.to_thread(lambda: list(altered()))]
    if wrong:
        return False, f"{wrong[0]} ({len(wrong)} findings)"
    packages = f"{_all()} are the pinned ones, and no file of Python's was altered"
    if settings().advisories_url is None:
        return True, f"{packages}. They were not compared with known vulnerabilities (ADVISORIES_URL is not set)."
    known = await vulnerable(settings().advisories_url or "")
    if known:
        return False, f"{known[0]} has a known vulnerability ({len(known)} packages do)."
    return True, f"{packages}; none has a known vulnerability."


def altered() -> Iterator[str]:
    """Yield a sentence for each file of a package that is not what its package said when it was installed (RECORD)."""
    for package in importlib.metadata.distributions():
        for file in package.files or ():
            if file.hash is None or file.hash.mode != "sha256" or file.suffix not in CODE:
                continue
            try:
                content = Path(str(file.locate())).read_bytes()
            except OSError:
                yield f"{file} of {package.name} is not there."
                continue
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            if digest != file.hash.value:
                yield f"{file} of {package.name} was altered."


def _all() -> str:
    """Count what is pinned, in words."""
    kinds = [package.ecosystem for package in ingredients.packages()]
    return f"{kinds.count('PyPI')} packages of Python and {kinds.count('npm')} of the pages"


async def vulnerable(advisories: str) -> list[str]:
    """Return the pinned packages, Python's and the pages', with a known vulnerability, asked of an API like OSV's.

    It learns names and versions of packages and nothing else. https://google.github.io/osv.dev/post-v1-querybatch/
    """
    every = ingredients.packages()
    found = []
    async with httpx.AsyncClient(timeout=PATIENCE) as client:
        for some in (every[start : start + AT_ONCE] for start in range(0, len(every), AT_ONCE)):
            asked = [
                {"package": {"name": one.name, "ecosystem": one.ecosystem}, "version": one.version} for one in some
            ]
            answer = await client.post(f"{advisories}/v1/querybatch", json={"queries": asked})
            results = answer.raise_for_status().json()["results"]
            pairs = zip(some, results, strict=True)
            found += [f"{one.name} {one.version}" for one, result in pairs if result.get("vulns")]
    return found


async def _last(tx: Tx, kind: str) -> Assurance | None:
    newest = select(Assurance).where(Assurance.kind == kind)
    return (await tx.exec(newest.order_by(col(Assurance.done_on).desc(), col(Assurance.id).desc()).limit(1))).first()


async def opened_on(tx: Tx) -> date:
    """Return the day on which the register was begun: the house writes its first entry when it opens."""
    first = (await tx.exec(select(Assurance.created_at).order_by(col(Assurance.created_at)).limit(1))).first()
    return (first or now()).date()


def _line(kind: Kind, last: Assurance | None, opened: date) -> Line:
    if last is None:
        return Line(kind, None, opened + kind.every, passed=False, says="Not done yet.", evidence="")
    return Line(kind, last.done_on, last.done_on + kind.every, last.passed, last.says, last.evidence)


async def _must_stand(tx: Tx, sentence: str) -> list[Line]:
    lines = [line for line in await standing(tx) if line.kind.sentence == sentence]
    for line in lines:
        if line.overdue:
            raise Broken(f"{line.kind.title}: overdue since {line.due}.")
        if line.state == "failed":
            raise Broken(f"{line.kind.title}, {line.last}: {line.says}")
    return lines


@promises.check("5.4", says="No audit is overdue, of the software by itself each night or by people each year.")
async def audits_are_regular(tx: Tx) -> str:
    """Look into the register."""
    lines = await _must_stand(tx, "5.4")
    return "; ".join(
        f"{line.kind.title.lower()}: {f'last on {line.last}' if line.last else f'first due by {line.due}'}"
        for line in lines
    )


@promises.check("5.2", says="Every column of e-mail addresses is sealed, and what is stored in them is.")
async def addresses_are_sealed(tx: Tx) -> str:
    """Read a handful of what the database really holds in each of these columns."""
    columns = [column for column, mark in inventory.marked_columns() if mark.category == EMAIL]
    for column in columns:
        if not isinstance(column.type, Sealed):
            raise Broken(f"{column.table.name}.{column.name} is not sealed.")
        if await _shown(tx, column.table.name, column.name):
            raise Broken(f"{column.table.name}.{column.name} holds an address that anyone with the file can read.")
    return f"{len(columns)} columns, all sealed"


async def _shown(tx: Tx, table: str, column: str) -> bool:
    question = f"SELECT EXISTS (SELECT FROM {table} WHERE {column} LIKE '%@%')"  # noqa: S608 (names of our own metadata)
    return bool((await tx.sql(text(question))).scalar_one())


@promises.check("5.2", says="That the disks of our hosts are encrypted was attested within a year.")
async def disks_are_attested(tx: Tx) -> str:
    """Look into the register."""
    [line] = await _must_stand(tx, "5.2")
    return f"attested on {line.last}" if line.last else f"the first attestation is due by {line.due}"


@promises.check("8.2", says="The agreement with each company was looked at within a year.")
async def agreements_are_current(tx: Tx) -> str:
    """Look into the register."""
    lines = await _must_stand(tx, "8.2")
    looked_at = sum(line.last is not None for line in lines)
    return f"{looked_at} of {len(lines)} have been looked at here, the others are first due by {lines[0].due}"
