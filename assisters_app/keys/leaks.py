"""Keys that were found in public: revoked at once on every worker, and their owner is told.

    findings(body) -> list[Finding]                  raises Refused (400) when it is not a list of such
    report(tx, findings) -> list[bool]               for each, whether it is a key of ours; now it works no longer

What was found is compared with what is stored of every key, ended ones too. Only a whole key is recognised, and only
somebody whose signature was checked may ask, so that nobody learns here which keys there are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlmodel import col, select

from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import lasting, mail, trail, valkey
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.keys import secret
from assisters_app.keys.tables import ApiKey

MOST = 1_000  # findings in one message
_PLACE = re.compile(r"https://[!-~]{1,500}")  # an address that may be shown to the owner
_SOURCE = re.compile(r"[A-Za-z_]{1,40}")


class Finding(BaseModel):
    """One token found in public: `url` is where (may be empty), `source` what kind of place that is."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    token: str = Field(max_length=2_000, repr=False)
    type: str = Field(default="", max_length=200)
    url: str = Field(default="", max_length=4_000, repr=False)
    source: str = Field(default="", max_length=200)


_LIST = TypeAdapter(Annotated[list[Finding], Field(max_length=MOST)])


@dataclass(frozen=True, slots=True)
class _Held:
    """A key that was found, and whose it is."""

    key: ApiKey
    owner: Account


def findings(body: bytes) -> list[Finding]:
    """Read what was reported; raise Refused without saying what was in it."""
    try:
        return _LIST.validate_json(body)
    except ValidationError:
        raise Refused(f"The message must be a JSON list of at most {MOST} findings.", code="invalid_json") from None


async def report(tx: Tx, found: Sequence[Finding]) -> list[bool]:
    """End every key of ours among what was found; return, for each finding, whether it is one."""
    held = await _held(tx, {public_id for one in found if (public_id := secret.public_id_of(one.token))})
    return [await _ours(tx, held, one) for one in found]


async def _held(tx: Tx, public_ids: set[str]) -> dict[str, _Held]:
    """Read keys and lock them, in one order, so that a key reported twice at once is ended once."""
    read = (
        select(ApiKey, Account)
        .where(col(ApiKey.public_id).in_(public_ids))
        .where(Organization.id == ApiKey.organization_id, Account.id == Organization.owner_id)
        .order_by(col(ApiKey.id))
        .with_for_update(of=ApiKey)
    )
    return {key.public_id: _Held(key, owner) for key, owner in await tx.exec(read)}


async def _ours(tx: Tx, held: dict[str, _Held], found: Finding) -> bool:
    known = held.get(secret.public_id_of(found.token) or "")
    if known is None:
        return False
    key = known.key
    if secret.matches(found.token, key.digest):
        await _revoke(tx, known, found)
        return True
    if key.previous_digest is None or not secret.matches(found.token, key.previous_digest):
        return False
    await _end_old_secret(tx, known, found)
    return True


async def _revoke(tx: Tx, known: _Held, found: Finding) -> None:
    key = known.key
    if key.revoked_at is not None:
        return
    key.revoked_at = key.leaked_at = now()
    await _tell(
        tx,
        known,
        found,
        f"Your API key “{key.name}” was found in public and is revoked",
        "We revoked it at once: whoever uses it is refused, your own programs too. Make a new key for them, and look "
        "in the request log for calls that were not yours.",
    )


async def _end_old_secret(tx: Tx, known: _Held, found: Finding) -> None:
    """End the secret before the last rotation, which is the one that was found; the key itself goes on."""
    key = known.key
    if key.previous_until is None or key.previous_until <= now():
        return
    key.previous_until = now()
    await _tell(
        tx,
        known,
        found,
        f"The old secret of your API key “{key.name}” was found in public and has ended",
        "The key has a newer secret, which goes on working. The old one was to work for a while longer; we ended it at "
        "once. Look at the request log for calls that were not yours.",
    )


async def _tell(tx: Tx, known: _Held, found: Finding, subject: str, what_now: str) -> None:
    """Push the change to every worker, write it into the trail, and mail the owner, unless they are suspended."""
    key, owner = known.key, known.owner
    await tx.flush()
    _announce(tx, key.public_id)
    await lasting.changed(tx, "key", str(key.id))
    source = found.source if _SOURCE.fullmatch(found.source) else ""
    trail.write(tx, "key:leaked", account_id=owner.id, key=key.handle, source=source)
    if owner.suspended_at is not None:
        return
    place = found.url if _PLACE.fullmatch(found.url) else "a place that it does not name"
    message = mail.Message(
        subject,
        (f"Secret scanning found the key that begins with {key.prefix} here: {place}", what_now),
        action=("Look at your keys", f"{settings().public_url}/dashboard/api-keys"),
    )
    await mail.send(tx, owner.email, message, account_id=owner.id)


def _announce(tx: Tx, public_id: str) -> None:
    async def tell() -> None:
        await valkey.announce("key", public_id)

    tx.afterwards(tell)
