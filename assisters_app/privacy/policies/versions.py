"""Which versions of the policy were published, and which is in force: never a material one before everybody was told.

    at_opening(tx)                               publish the very first version; raises Refused: altered
    publish(tx, staff, version, effective_on)    from then on nobody can change it; everybody is told if it is material
    in_force(tx) -> Policy                       the version that counts now
    upcoming(tx) -> Edition | None               the published version that will come next
    editions(tx) -> tuple[Edition, …]            every version, drafts included, the newest first

A draft is a file that is not published. Publishing writes down its SHA-256, and the database refuses to change or
delete that row; a material version comes into force 30 days after it was published, or later: less is refused.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from sqlmodel import col, select

from assisters_app.accounts.reauthentication import require_recent
from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.base import jobs, trail
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.privacy import promises
from assisters_app.privacy.policies import policy
from assisters_app.privacy.policies.policy import Change, Policy
from assisters_app.privacy.policies.tables import PolicyVersion
from assisters_app.privacy.promises import Broken

AHEAD = timedelta(days=30)  # policy 9.2: how long before a material change everybody is told

State = Literal["draft", "announced", "in force", "superseded"]


@dataclass(frozen=True, slots=True)
class Edition:
    """One version and where it stands. The times are None for a draft; `changes` are against the version before it."""

    policy: Policy
    state: State
    published_at: datetime | None
    effective_at: datetime | None
    changes: tuple[Change, ...]


async def at_opening(tx: Tx) -> None:
    """Publish the first version if none is; raise Refused (altered) when a published one was edited or is gone.

    Also has everybody told who was not, and the use of the product noted, as soon as a worker is there.
    """
    await jobs.enqueue(tx, "policy.tell", once="policy.tell")
    if not (published := await _published(tx)):
        first = policy.VERSIONS[0]
        _write_down(tx, first, datetime.combine(first.effective_at, time(), UTC))
        return
    if altered := _altered(published):
        raise Refused(altered, code="altered")


async def publish(tx: Tx, staff: Person, version: str, effective_on: date) -> None:
    """Publish a draft, to come into force as `effective_on` begins (UTC); a material one is told to everybody.

    Raises NotFound for who may not and when there is no such draft, Refused: reauthenticate, too_soon.
    """
    require(staff, "policy")
    require_recent(staff)
    published = await _published(tx)
    draft = next((one for one in policy.VERSIONS if one.version == version and one.version not in published), None)
    if draft is None:
        raise NotFound("draft")
    effective_at = datetime.combine(effective_on, time(), UTC)
    earliest = earliest_for(draft, max((row.effective_at for row in published.values()), default=now()))
    if effective_at < earliest:
        raise Refused(
            f"It can come into force on {earliest:%-d %B %Y} at the earliest.", code="too_soon", field="effective_on"
        )
    _write_down(tx, draft, effective_at)
    trail.write(tx, "policy:published", account_id=None, actor_id=staff.account_id, version=version)
    await jobs.enqueue(tx, "policy.tell", once="policy.tell")


def earliest_for(draft: Policy, last_effective_at: datetime) -> datetime:
    """Return the first midnight (UTC) at which a draft may come into force if it is published now."""
    ahead = AHEAD if draft.material else timedelta()
    written = datetime.combine(draft.effective_at, time(), UTC)
    return max(written, _midnight_after(now() + ahead), _midnight_after(last_effective_at))


async def in_force(tx: Tx) -> Policy:
    """Return the version that counts now."""
    latest = select(PolicyVersion.version).where(col(PolicyVersion.effective_at) <= now())
    found = (await tx.exec(latest.order_by(col(PolicyVersion.effective_at).desc()).limit(1))).first()
    return _file(found) if found else policy.VERSIONS[0]


async def upcoming(tx: Tx) -> Edition | None:
    """Return the published version that comes into force next, if there is one."""
    return next((one for one in reversed(await editions(tx)) if one.state == "announced"), None)


async def editions(tx: Tx) -> tuple[Edition, ...]:
    """Return every version with where it stands, the newest first."""
    published, current = await _published(tx), (await in_force(tx)).version
    found: list[Edition] = []
    for before, one in zip((None, *policy.VERSIONS), policy.VERSIONS, strict=False):
        row = published.get(one.version)
        found.append(
            Edition(
                policy=one,
                state=_state(row, current),
                published_at=row.published_at if row else None,
                effective_at=row.effective_at if row else None,
                changes=policy.changes(before, one) if before else (),
            )
        )
    return tuple(reversed(found))


@promises.check(
    "9.1", says="No published version was changed since, and the software was written for the one in force."
)
async def published_versions_are_as_published(tx: Tx) -> str:
    """Compare every published version with the hash that was written down, and the one in force with this release."""
    published = await _published(tx)
    if altered := _altered(published):
        raise Broken(altered)
    if (current := await in_force(tx)).version != policy.CURRENT.version:
        raise Broken(
            f"Version {current.version} is in force, and the software was written for {policy.CURRENT.version}."
        )
    versions = "1 version" if len(published) == 1 else f"{len(published)} versions"
    return f"{versions} published; {current.version} is in force, SHA-256 {current.sha256}."


def _altered(published: dict[str, PolicyVersion]) -> str:
    """Return a sentence when a published version is not what it was, else nothing."""
    files = {one.version: one for one in policy.VERSIONS}
    for version, row in published.items():
        if version not in files:
            return f"Version {version} of the policy was published, and its text is gone."
        if files[version].sha256 != row.sha256:
            return f"Version {version} of the policy was published, and its text was changed since."
    return ""


async def _published(tx: Tx) -> dict[str, PolicyVersion]:
    return {row.version: row for row in (await tx.exec(select(PolicyVersion))).all()}


def _write_down(tx: Tx, which: Policy, effective_at: datetime) -> None:
    tx.add(
        PolicyVersion(
            version=which.version,
            sha256=which.sha256,
            material=which.material,
            summary=which.summary,
            published_at=now(),
            effective_at=effective_at,
        )
    )


def _state(row: PolicyVersion | None, current: str) -> State:
    if row is None:
        return "draft"
    if row.effective_at > now():
        return "announced"
    return "in force" if row.version == current else "superseded"


def _file(version: str) -> Policy:
    return next((one for one in policy.VERSIONS if one.version == version), policy.CURRENT)


def _midnight_after(at: datetime) -> datetime:
    return datetime.combine((at + timedelta(days=1)).date(), time(), UTC)
