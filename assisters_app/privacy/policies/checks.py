"""What proves the policy's sentences about itself, purposes and contact; and which sentences only introduce others."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from assisters_app.base import contact, mail, marks
from assisters_app.base.db import Tx
from assisters_app.privacy import inventory, promises
from assisters_app.privacy.policies import policy
from assisters_app.privacy.promises import Broken

PRIVACY = Path(policy.__file__).parents[1]
RIGHTS = ("rights", "erasing", "choices")  # the rooms in which rights are exercised
WHERE_ONE_LIVES = ("country", "countries", "jurisdiction", "residence", "region", "location")

promises.state("0.0", why="It says who we are and what we care about; the sentences below say what we do about it.")
promises.state(
    "1.0", "1.0b", "2.0", "4.0", "5.0", why="It opens a list. Each line of the list is a promise of its own."
)
promises.state("5.7", why="It promises nothing, and says so.")


@promises.check(
    "0.1", says="The policy covers itself: each of its sentences is checked, or says why nothing can check it."
)
async def every_sentence_is_accounted_for(tx: Tx) -> str:  # noqa: ARG001 (every check is given one)
    """Compare the sentences of the policy with the checks and statements there are."""
    ids = [part.id for section in policy.CURRENT.sections for part in section.parts if part.id]
    checked = {sentence for check in promises.checks() for sentence in check.sentences}
    if forgotten := [one for one in ids if one not in checked and one not in promises.statements()]:
        raise Broken(f"Nothing checks {', '.join(forgotten)}.")
    return f"{len(ids)} sentences: {len(checked & set(ids))} are checked, the others say why they cannot be."


@promises.check(
    "2.1", says="Every stored thing about a person names what it is used for: one of the eight purposes, and no other."
)
async def every_column_has_a_purpose(tx: Tx) -> str:  # noqa: ARG001 (as above)
    """Read the purposes of all marks."""
    about_people = [(column, mark) for column, mark in inventory.marked_columns() if mark.category]
    without = [
        f"{column.table.name}.{column.name}"
        for column, mark in about_people
        if not mark.purposes or not set(mark.purposes) <= set(marks.Purpose)
    ]
    if without:
        raise Broken(f"Nobody says what these are used for: {', '.join(without)}.")
    return f"{len(about_people)} stored things about people, each for at least one of {len(marks.Purpose)} purposes."


@promises.check("2.2", says="What data are used for, and what the policy says they are used for, are the same words.")
async def purposes_are_the_policys(tx: Tx) -> str:  # noqa: ARG001 (as above)
    """Compare the marks with sections 1 to 4."""
    if wrong := policy.differences():
        raise Broken(" ".join(wrong))
    return "The marks of every table say what sections 1 to 4 say."


@promises.check(
    "6.0", says="The rights are everybody's: no decision in the code of the rights asks where a person lives."
)
async def rights_are_the_same_everywhere(tx: Tx) -> str:  # noqa: ARG001 (as above)
    """Read the conditions in the code of the rights."""
    decisions = _decisions(PRIVACY)
    if asking := sorted({place for place, names in decisions if _asks_where(names)}):
        raise Broken(f"Where a person lives decides something in {', '.join(asking)}.")
    return f"{len(decisions)} decisions read, and none of them asks."


@promises.check("10.1", "10.2", says="Pages, mails and receipts name the address of the policy, from one place.")
async def contact_is_the_policys(tx: Tx) -> str:  # noqa: ARG001 (as above)
    """Compare the contact that everything reads with section 10."""
    (section,) = (one for one in policy.CURRENT.sections if one.number == 10)  # noqa: PLR2004 (Contact Us)
    said = [part.text for part in section.parts if part.kind == "address"]
    for line in (contact.COMPANY, *contact.ADDRESS, f"Email: {contact.EMAIL}"):
        if line not in said:
            raise Broken(f"We give “{line}” as our contact, and the policy does not.")
    if contact.EMAIL not in mail.SIGNATURE or contact.ADDRESS[0] not in mail.SIGNATURE:
        raise Broken("Our mails are signed with another address than the policy's.")
    return "They name the address of section 10, letter for letter."


@functools.cache
def _decisions(privacy: Path) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return every condition in the rooms of the rights: its file, and the names and words it asks about."""
    found = []
    for room in RIGHTS:
        for path in sorted((privacy / room).glob("*.py")):
            found += [(f"{room}/{path.name}", frozenset(_names(test))) for test in _tests(ast.parse(path.read_text()))]
    return tuple(found)


def _tests(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If | ast.IfExp | ast.While | ast.Assert):
            yield node.test
        elif isinstance(node, ast.comprehension):
            yield from node.ifs
        elif isinstance(node, ast.Match):
            yield node.subject


def _names(test: ast.AST) -> Iterator[str]:
    for node in ast.walk(test):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _asks_where(names: frozenset[str]) -> bool:
    return any(word in name.lower() for name in names for word in WHERE_ONE_LIVES)
