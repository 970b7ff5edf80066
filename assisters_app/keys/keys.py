"""API keys in the order of their life: issued, live, changed, rotated, revoked; and what the gateway knows of one.

    issue(tx, person, NewKey(name=…, mode=…)) -> Issued      the secret is in it, this once
    live(tx, person) -> list[KeyView]                        newest first
    ended(tx, person) -> list[KeyView]                       revoked or expired
    one(tx, person, handle) -> KeyView                       raises NotFound
    rename(tx, person, handle, name) -> KeyView
    restrict(tx, person, handle, Terms(…)) -> KeyView        other terms, on every worker within a second
    rotate(tx, person, handle, grace=…) -> Issued            the old secret works until the grace is over
    revoke(tx, person, handle) -> KeyView                    at once, on every worker
    revoke_all(tx, organization_id, actor_id=…) -> int       for a closed or suspended account
    run_out(tx, account_id) -> list[KeyView]                 they end in two weeks: somebody else may hold them, too
    whose(tx, staff, "ask_8Fk2…") -> organization ids        for who may open accounts; live keys and ended ones

Somebody else's key does not exist: every function here looks inside the person's own organization only.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BeforeValidator, Field
from sqlalchemy import ColumnElement, values
from sqlalchemy import column as sql_column
from sqlmodel import and_, col, func, or_, select, update

from assisters_app.accounts.rights import require
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Organization
from assisters_app.base import ids, lasting, trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound, Refused
from assisters_app.base.secrets import Secret
from assisters_app.keys import secret as secrets
from assisters_app.keys.tables import ApiKey
from assisters_app.keys.terms import Terms

MOST_LIVE = 10  # active keys of one organization
GRACE = timedelta(hours=24)  # how long the old secret works after a rotation, unless asked otherwise
LONGEST_GRACE = timedelta(days=30)
RUN_OUT = timedelta(days=14)  # after a lost mailbox was replaced: time to give one's programs new keys

Mode = Literal["live", "test"]


def _one_line(given: Any) -> Any:  # noqa: ANN401 (what a form holds)
    """Put a name on one line: it stands in the subject of mails."""
    if not isinstance(given, str):
        return given
    return " ".join("".join(letter if letter.isprintable() else " " for letter in given).split())


class NewKey(Terms):
    """What a person asks for when making a key."""

    name: Annotated[str, BeforeValidator(_one_line)] = Field(min_length=1, max_length=255)
    mode: Mode = "live"
    expires_at: AwareDatetime | None = None


@dataclass(frozen=True, slots=True)
class KeyView:
    """One key as its owner may see it. `prefix` is all that is shown of the key itself."""

    id: UUID
    handle: str
    name: str
    prefix: str
    mode: Mode
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    old_secret_until: datetime | None  # after a rotation, while both secrets work
    leaked_at: datetime | None  # when it was found in public, and revoked for it
    content_kept_since: datetime | None  # None: what is said with it is not kept
    terms: Terms

    @classmethod
    def of(cls, key: ApiKey) -> Self:
        """Return the view of a row, without its digests."""
        waiting = key.previous_until if key.previous_until and key.previous_until > now() else None
        return cls(
            id=key.id,
            handle=key.handle,
            name=key.name,
            prefix=key.prefix,
            mode="test" if key.mode == "test" else "live",
            created_at=key.created_at,
            expires_at=key.expires_at,
            revoked_at=key.revoked_at,
            last_used_at=key.last_used_at,
            old_secret_until=waiting,
            leaked_at=key.leaked_at,
            content_kept_since=key.content_kept_since,
            terms=Terms.of(key),
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """A key and its secret, returned once: nothing can show the secret again."""

    key: KeyView
    secret: Secret


async def issue(tx: Tx, person: Person, new: NewKey) -> Issued:
    """Make a key; raise Refused when the organization has ten live ones or the end lies in the past."""
    if new.expires_at is not None and new.expires_at <= now():
        raise Refused("A key cannot end in the past.", code="expiry_in_the_past", field="expires_at")
    await _require_room(tx, person.organization_id)
    public_id = secrets.new_public_id()
    secret = secrets.new_secret(public_id)
    key = ApiKey(
        handle=ids.handle("key"),
        public_id=public_id,
        organization_id=person.organization_id,
        created_by=person.account_id,
        name=new.name,
        prefix=secrets.shown(public_id),
        digest=secrets.digest(secret.reveal()),
        mode=new.mode,
        expires_at=new.expires_at,
    )
    new.write(key)
    tx.add(key)
    await tx.flush()
    _write(tx, person, "key:issued", key)
    return Issued(KeyView.of(key), secret)


async def live(tx: Tx, person: Person) -> list[KeyView]:
    """Return the keys that work now, the newest first."""
    return await _views(tx, person, _is_live())


async def ended(tx: Tx, person: Person) -> list[KeyView]:
    """Return the keys that were revoked or have expired, the newest first."""
    return await _views(tx, person, ~_is_live())


async def one(tx: Tx, person: Person, handle: str) -> KeyView:
    """Return one key, live or ended; raise NotFound when it is not this person's."""
    return KeyView.of(await _own(tx, person, handle))


async def rename(tx: Tx, person: Person, handle: str, name: str) -> KeyView:
    """Give a key another name; raise NotFound, or Refused for a name that is empty or too long."""
    key = await _own(tx, person, handle)
    key.name = _name(name)
    await tx.flush()
    _write(tx, person, "key:renamed", key)
    return KeyView.of(key)


async def restrict(tx: Tx, person: Person, handle: str, asked: Terms) -> KeyView:
    """Give a live key other terms; raise NotFound, or Refused for one that has ended."""
    key = await _own(tx, person, handle)
    _require_live(key)
    asked.write(key)
    await tx.flush()
    _changed(tx, key.public_id)
    _write(tx, person, "key:restricted", key)
    return KeyView.of(key)


async def keep_content(tx: Tx, person: Person, handle: str, *, keep: bool) -> KeyView:
    """Have what is said with a live key kept for a day from now on, or no more; raise NotFound, Refused if it ended.

    A key begins without (policy 4.3), and no other choice of its owner's turns it on.
    """
    key = await _own(tx, person, handle)
    if keep:
        _require_live(key)
    if keep != (key.content_kept_since is not None):
        key.content_kept_since = now() if keep else None
        await tx.flush()
        _changed(tx, key.public_id)
        _write(tx, person, "key:content-kept" if keep else "key:content-not-kept", key)
    return KeyView.of(key)


async def rotate(tx: Tx, person: Person, handle: str, grace: timedelta = GRACE) -> Issued:
    """Give a live key a new secret; the old one works for `grace` (none to thirty days) more.

    The key keeps its handle, name and history. A third secret is never alive: rotating again ends the one before.
    """
    if not timedelta() <= grace <= LONGEST_GRACE:
        raise Refused("The old secret may work for up to 30 days more.", code="grace_out_of_range", field="grace")
    key = await _own(tx, person, handle)
    _require_live(key)
    secret = secrets.new_secret(key.public_id)
    key.previous_digest = key.digest if grace else None
    key.previous_until = now() + grace if grace else None
    key.old_secret_warned_at = None
    key.digest = secrets.digest(secret.reveal())
    await tx.flush()
    _changed(tx, key.public_id)
    await lasting.changed(tx, "key", str(key.id))
    _write(tx, person, "key:rotated", key)
    return Issued(KeyView.of(key), secret)


async def revoke(tx: Tx, person: Person, handle: str) -> KeyView:
    """End a key for good, on every worker within a second; one that has ended stays as it is."""
    key = await _own(tx, person, handle)
    if key.revoked_at is None:
        key.revoked_at = now()
        await tx.flush()
        _changed(tx, key.public_id)
        await lasting.changed(tx, "key", str(key.id))
        _write(tx, person, "key:revoked", key)
    return KeyView.of(key)


async def revoke_all(tx: Tx, organization_id: UUID, *, account_id: UUID, actor_id: UUID | None) -> int:
    """End every key of an organization and return how many there were; `account_id` is whose keys they were."""
    ending = update(ApiKey).where(col(ApiKey.organization_id) == organization_id, col(ApiKey.revoked_at).is_(None))
    done = await tx.exec(ending.values(revoked_at=now()).returning(col(ApiKey.public_id), col(ApiKey.id)))
    ended = done.all()
    for public_id, _ in ended:
        _changed(tx, public_id)
    if ended:
        await lasting.changed(tx, "key", *(str(id_) for _, id_ in ended))
        trail.write(tx, "key:all-revoked", account_id=account_id, actor_id=actor_id, keys=len(ended))
    return len(ended)


async def run_out(tx: Tx, account_id: UUID) -> list[KeyView]:
    """Have every live key of the organizations of an account end in two weeks at the latest, and return them.

    Whoever had the account before may have made one or have read one; the programs of its owner need time for others.
    """
    owned = select(Organization.id).where(Organization.owner_id == account_id)
    found = select(ApiKey).where(col(ApiKey.organization_id).in_(owned), _is_live()).order_by(col(ApiKey.id))
    ending = (await tx.exec(found.with_for_update())).all()
    for key in ending:
        key.expires_at = min(key.expires_at or now() + RUN_OUT, now() + RUN_OUT)
        _changed(tx, key.public_id)
    if ending:
        await lasting.changed(tx, "key", *(str(key.id) for key in ending))
        trail.write(tx, "key:all-running-out", account_id=account_id, actor_id=None, keys=len(ending))
    return [KeyView.of(key) for key in ending]


def named(text: str) -> str | None:
    """Return what may be shown of the key that `text` is, begins, or names by its handle; None for anything else."""
    text = text.strip()
    if text.startswith("key_"):
        return text[:32]
    return text[: secrets.SHOWN_SIZE] if text.startswith(secrets.PREFIX) and len(text) > len(secrets.PREFIX) else None


async def whose(tx: Tx, staff: Person, name: str) -> frozenset[UUID]:
    """Return the organizations with a key of this handle, or one that begins so; raise NotFound for who may not ask."""
    require(staff, "accounts")
    begun = col(ApiKey.public_id).startswith(name.removeprefix(secrets.PREFIX), autoescape=True)
    asked = select(ApiKey.organization_id).where(or_(ApiKey.handle == name, begun)).distinct().limit(100)
    return frozenset((await tx.exec(asked)).all())


async def note_use(tx: Tx, used: Mapping[UUID, datetime]) -> None:
    """Write down when keys were last used (key id → time). Called by the ingest in batches, never by a request."""
    if not used:
        return
    rows = values(sql_column("id", ApiKey.__table__.c.id.type), sql_column("at", ApiKey.__table__.c.created_at.type))  # type: ignore[attr-defined]
    latest = rows.data(sorted(used.items())).alias("latest")
    note = update(ApiKey).where(col(ApiKey.id) == latest.c.id)
    newer = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) < latest.c.at)
    await tx.exec(note.where(newer).values(last_used_at=latest.c.at))


async def _require_room(tx: Tx, organization_id: UUID) -> None:
    """Count under a lock of the organization's row, so that two requests at once cannot both be the tenth."""
    await tx.exec(select(Organization.id).where(Organization.id == organization_id).with_for_update())
    count = select(func.count()).select_from(ApiKey).where(ApiKey.organization_id == organization_id, _is_live())
    if (await tx.exec(count)).one() >= MOST_LIVE:
        raise Refused(f"You have {MOST_LIVE} live keys. Revoke one to make another.", code="too_many_keys", status=409)


def _is_live() -> ColumnElement[bool]:
    return and_(col(ApiKey.revoked_at).is_(None), or_(col(ApiKey.expires_at).is_(None), col(ApiKey.expires_at) > now()))


async def _views(tx: Tx, person: Person, which: ColumnElement[bool]) -> list[KeyView]:
    found = select(ApiKey).where(ApiKey.organization_id == person.organization_id, which)
    return [KeyView.of(key) for key in await tx.exec(found.order_by(col(ApiKey.id).desc()))]


async def _own(tx: Tx, person: Person, handle: str) -> ApiKey:
    found = select(ApiKey).where(ApiKey.handle == handle, ApiKey.organization_id == person.organization_id)
    key = (await tx.exec(found)).first()
    if key is None:
        raise NotFound("key")
    return key


def _require_live(key: ApiKey) -> None:
    if key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= now()):
        raise Refused("That key has ended. Make a new one instead.", code="key_ended", status=409)


def _name(text: str) -> str:
    name: str = _one_line(text)
    if not 1 <= len(name) <= 255:  # noqa: PLR2004 (what the column holds)
        raise Refused("A key's name has 1 to 255 characters.", code="bad_name", field="name")
    return name


def _changed(tx: Tx, public_id: str) -> None:
    async def tell() -> None:
        await valkey.announce("key", public_id)

    tx.afterwards(tell)


def _write(tx: Tx, person: Person, action: str, key: ApiKey) -> None:
    trail.write(tx, action, account_id=person.account_id, actor_id=person.account_id, key=key.handle)
