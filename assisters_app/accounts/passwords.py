"""Passwords: how good one is, and how it is kept (Argon2id, RFC 9106).

await judge(password, email) -> Verdict          for the meter beside the field
await require_strong(password, email)            raises Refused(code="weak_password", field="password")
await hashed(password) -> str
await verified(stored, password) -> bool
"""

import asyncio
import functools
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from assisters_app.base.errors import Refused

SHORTEST = 10
LONGEST = 72  # characters, and bytes for what Supabase Auth keeps; more adds no strength and costs time
T = TypeVar("T")
STRONG = 3  # of zxcvbn's 0 to 4: at least 10⁸ guesses

hasher = PasswordHasher()  # RFC 9106's second recommended profile: 64 MiB, 3 passes, 4 lanes
_pool = ThreadPoolExecutor(max_workers=2, thread_name_prefix="passwords")  # at most 128 MiB at a time


@dataclass(frozen=True, slots=True)
class Verdict:
    """How good a password is: `score` 0 (worst) to 4, and what is wrong with it in a sentence, if anything."""

    score: int
    problem: str | None


async def judge(password: str, email: str) -> Verdict:
    """Return how good `password` would be for the account of `email`. Nothing leaves this machine."""
    return await _in_pool(lambda: _judged(same_everywhere(password), email.lower()))


async def require_strong(password: str, email: str) -> None:
    """Raise Refused when `password` is too short, too long, breached, or easy to guess."""
    verdict = await judge(password, email)
    if verdict.problem:
        raise Refused(verdict.problem, code="weak_password", field="password")


async def hashed(password: str) -> str:
    """Return what is stored of `password`: an Argon2id string with its cost and salt."""
    return await _in_pool(lambda: hasher.hash(same_everywhere(password)))


async def verified(stored: str | None, password: str) -> bool:
    """Return whether `password` is the one; with nothing stored, take as long and return False."""
    return await _in_pool(lambda: _verify(stored, same_everywhere(password)))


def outdated(stored: str) -> bool:
    """Return whether `stored` was made at another cost than today's."""
    return hasher.check_needs_rehash(stored)


def _verify(stored: str | None, password: str) -> bool:
    try:
        return hasher.verify(stored or _nobodys(hasher), password) and stored is not None
    except (VerifyMismatchError, InvalidHashError):
        return False


@functools.cache
def _nobodys(of: PasswordHasher) -> str:
    """Return a hash that costs as much to verify as anybody's."""
    return of.hash("nobody has this password")


def _judged(password: str, email: str) -> Verdict:
    import zxcvbn  # type: ignore[import-untyped]  # 15 MB of lists, only where passwords are chosen

    if len(password) < SHORTEST:
        return Verdict(0, f"Use at least {SHORTEST} characters.")
    if len(password.encode()) > LONGEST:
        return Verdict(0, f"Use at most {LONGEST} letters, fewer where a letter is not Latin.")
    if _contains(password, email):
        return Verdict(0, "A password must not contain your e-mail address.")
    if password.lower() in _breached():
        return Verdict(0, "This password is on the lists of stolen passwords. Choose another one.")
    score = int(zxcvbn.zxcvbn(password, user_inputs=[email, *email.split("@"), "assisters"])["score"])
    if score < STRONG:
        return Verdict(score, "This password is easy to guess. Add an unusual word or two.")
    return Verdict(score, None)


def _contains(password: str, email: str) -> bool:
    name = email.partition("@")[0]
    return bool(email) and (email in password.lower() or (len(name) > 3 and name in password.lower()))  # noqa: PLR2004 (shorter names are in many words)


@functools.cache
def _breached() -> frozenset[str]:
    from zxcvbn.frequency_lists import FREQUENCY_LISTS  # type: ignore[import-untyped]  # (as above)

    return frozenset(word for word in FREQUENCY_LISTS["passwords"] if len(word) >= SHORTEST)


def same_everywhere(password: str) -> str:
    """Write `password` the way every keyboard and system would (NFKC; NIST SP 800-63B 3.1.1.2)."""
    return unicodedata.normalize("NFKC", password)


async def _in_pool(work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(_pool, work)
