"""The promises of the policy, and what proves each: a check that looks at the running system, again and again.

    @check("4.2", says="No request log row is older than 30 days.")     beside the code that keeps the promise
    async def request_logs(tx: Tx) -> str: ...                          what was found; raises Broken

    state("5.6", why="It promises nothing that software could keep.")   a sentence that nothing can prove

A check reads, and changes nothing; each runs in a transaction of its own. What it returns or raises is shown to all
on the policy's page, so neither names a person.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from assisters_app.base.db import Tx

Look = Callable[[Tx], Awaitable[str]]


class Broken(Exception):  # noqa: N818 (it is raised as a word: the promise is broken)
    """A promise is not true at the moment. The message is a sentence for the public page."""


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `sentences` are ids of the policy, `says` what is looked at, in a sentence for everyone."""

    name: str
    sentences: tuple[str, ...]
    says: str
    look: Look


_checks: dict[str, Check] = {}
_statements: dict[str, str] = {}


def check(*sentences: str, says: str) -> Callable[[Look], Look]:
    """Register an async function as a check of the policy's `sentences`; its name is the check's."""

    def register(look: Look) -> Look:
        name = getattr(look, "__name__", "")
        if name in _checks:
            raise ValueError(f"There are two checks called {name}.")
        _checks[name] = Check(name, sentences, says, look)
        return look

    return register


def state(*sentences: str, why: str) -> None:
    """Declare that nothing can prove these sentences, and `why`, in a sentence for everyone."""
    _statements.update(dict.fromkeys(sentences, why))


def checks() -> tuple[Check, ...]:
    """Return every check that has been registered so far, by name."""
    return tuple(sorted(_checks.values(), key=lambda one: one.name))


def statements() -> dict[str, str]:
    """Return the sentences that nothing can prove, each with its reason."""
    return dict(_statements)
