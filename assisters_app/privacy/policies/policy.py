"""The privacy policy as versioned data: every sentence with its id. The page, its hash and the checks read it here.

    CURRENT: Policy                 .version, .effective_at, .sections[…].parts[…]; .text, .sha256
    VERSIONS                        every version there is, the oldest first; which are published is in `versions.py`
    changes(before, after)          what one version changes in another, sentence by sentence
    pieces(change)                  the same within a sentence, word by word
    differences()                   sentences that say how the marks contradict sections 1 to 4 of the policy

A version is a file beside this one, never edited once published: the database keeps its hash, and so does
`tests/privacy/test_policy.py`. CURRENT is the version that this release keeps; the next one lies beside it as a file
until it comes into force. A file begins with `effective DATE`; a version that is not the first says on its second line
`material …` or `minor …` and, in a sentence for everyone, what changes.
"""

import difflib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

from assisters_app.base import marks
from assisters_app.privacy import inventory
from assisters_app.privacy.processors import PROCESSORS

FOLDER = Path(__file__).parent
Kind = Literal["sentence", "item", "heading", "address"]
KINDS: dict[str, Kind] = {"": "sentence", "- ": "item", "## ": "heading", "> ": "address"}  # as a line begins
COLLECTED_LINES = {"1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7", "1.8", "1.9"}
FIRST = "The first version."
ALIKE = 0.5  # how much of two sentences is the same, from which on they are compared word by word
NOT_IN_TABLES = {"1.8"}  # error reports go to logs and Sentry, redacted


@dataclass(frozen=True, slots=True)
class Part:
    """One sentence, list item, subheading or line of an address. `id` is stable; headings have none."""

    kind: Kind
    text: str
    id: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One numbered section; the introduction has number 0 and no title."""

    number: int
    title: str
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """One sentence that a version changes: '' before when it is new, '' after when it is gone."""

    id: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Piece:
    """Some words of a sentence that a version changes: they stay, they are gone, or they are new."""

    kind: Literal["same", "gone", "new"]
    text: str


@dataclass(frozen=True, slots=True)
class Policy:
    """One immutable version."""

    version: str
    effective_at: date  # the earliest day it may come into force
    sections: tuple[Section, ...]
    material: bool = False
    summary: str = FIRST  # what changes, in a sentence for everyone

    @property
    def text(self) -> str:
        """The whole wording, one part a line, items with a dash, as its hash is taken."""
        return "\n".join(self._lines()) + "\n"

    @property
    def sha256(self) -> str:
        """64 hex characters over the UTF-8 of `text`."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def sentence(self, sentence_id: str) -> str:
        """Return the wording of one id; raise KeyError when the policy has no such sentence."""
        return self.sentences[sentence_id]

    @property
    def sentences(self) -> dict[str, str]:
        """The wording of every sentence by its id, in the order of the policy."""
        return {part.id: part.text for section in self.sections for part in section.parts if part.id}

    def _lines(self) -> Iterator[str]:
        for section in self.sections:
            if section.title:
                yield f"{section.number}. {section.title}"
            line = ""
            for part in section.parts:
                if part.kind == "sentence":  # sentences of one paragraph stand on one line
                    line = f"{line} {part.text}".strip()
                    continue
                if line:
                    yield line
                    line = ""
                yield f"- {part.text}" if part.kind == "item" else part.text
            if line:
                yield line


def read(version: str) -> Policy:
    """Return the version in `policies/<version>.txt`; raise ValueError for a line that cannot be read."""
    first, *lines = filter(None, (FOLDER / f"{version}.txt").read_text().splitlines())
    told = re.fullmatch(r"(material|minor) (.+)", lines[0])
    sections = [Section(0, "", ())]
    for line in lines[1:] if told else lines:
        if title := re.fullmatch(r"# (\d+)\. (.+)", line):
            sections.append(Section(int(title[1]), title[2], ()))
        else:
            last = sections[-1]
            sections[-1] = Section(last.number, last.title, (*last.parts, _part(line)))
    effective = date.fromisoformat(first.removeprefix("effective "))
    if told is None:
        return Policy(version, effective, tuple(sections))
    return Policy(version, effective, tuple(sections), material=told[1] == "material", summary=told[2])


def changes(before: Policy, after: Policy) -> tuple[Change, ...]:
    """Return the sentences whose wording differs, in the order of `after`; those that are gone come last."""
    old, new = before.sentences, after.sentences
    ids = [*new, *(gone for gone in old if gone not in new)]
    return tuple(Change(one, old.get(one, ""), new.get(one, "")) for one in ids if old.get(one) != new.get(one))


def pieces(change: Change) -> tuple[Piece, ...]:
    """Return what a change does to a sentence, word by word: read without what is gone it is the new wording.

    Sentences that have little in common are told whole, the old one and the new one: crossed words would confuse.
    """
    old, new = (re.findall(r"\s+|[^\s]+", said) for said in (change.before, change.after))
    found = difflib.SequenceMatcher(None, old, new, autojunk=False)
    if not (change.before and change.after) or found.ratio() < ALIKE:
        return tuple(_changed(change.before, change.after))
    told, gone, came = list[Piece](), "", ""
    for kind, old_from, old_to, new_from, new_to in found.get_opcodes():
        before, after = "".join(old[old_from:old_to]), "".join(new[new_from:new_to])
        if kind == "equal" and after.strip():  # what only a space parts is one change: words do not take turns
            told += [*_changed(gone, came), Piece("same", after)]
            gone = came = ""
        else:
            gone, came = gone + before, came + after
    return (*told, *_changed(gone, came))


def _changed(gone: str, came: str) -> Iterator[Piece]:
    if gone:
        yield Piece("gone", gone)
    if came:
        yield Piece("new", came)


def _part(line: str) -> Part:
    found = re.fullmatch(r"(- |> |## )?(?:\[([\w.]+)\] )?([^\[].*)", line)
    if found is None:
        raise ValueError(f"The policy has a line that cannot be read: {line}")
    return Part(KINDS[found[1] or ""], found[3], found[2] or "")


def differences() -> tuple[str, ...]:
    """Return how the marks contradict the current policy, as sentences; empty when it is true as written."""
    return (*section_1(), *_section_2(), *_section_3(), *_section_4())


def as_json(which: Policy) -> dict[str, Any]:
    """Return a version ready for JSON."""
    return {
        "version": which.version,
        "effective_at": which.effective_at.isoformat(),
        "sha256": which.sha256,
        "sentences": [
            {"id": part.id, "section": section.number, "text": part.text}
            for section in which.sections
            for part in section.parts
            if part.id
        ],
    }


def section_1() -> Iterator[str]:
    """Everything collected has a line; every line that names stored data has a column."""
    collected = set(inventory.collected())
    for line in sorted(collected - COLLECTED_LINES):
        yield f"Columns are collected under {line}, which section 1 does not list as stored data."
    for line in sorted(COLLECTED_LINES - NOT_IN_TABLES - collected):
        yield f"Section 1 lists {line}, but no column is marked as collected under it."


def _section_2() -> Iterator[str]:
    for purpose, title in inventory.PURPOSES.items():
        if CURRENT.sentence(str(purpose)) != title:
            yield f"Purpose {purpose} is marked as {title!r}, which section 2 does not say."


def _section_3() -> Iterator[str]:
    named = {part.text.split(" - ")[0]: part.text for part in _parts(3) if part.kind == "item"}
    for processor in PROCESSORS:
        if named.pop(processor.name, "") != f"{processor.name} - {processor.purpose}":
            yield f"{processor.name} receives data, but section 3 does not say so in these words."
    yield from (f"Section 3 names {name}, which is not in the registry." for name in named)
    known = {processor.id for processor in PROCESSORS}
    for column, mark in inventory.marked_columns():
        yield from (
            f"{column.table.name}.{column.name} goes to {recipient}, which is not in the registry."
            for recipient in set(mark.recipients) - known
        )


def _section_4() -> Iterator[str]:
    for rule, _ in inventory.kept().values():
        if rule.promise == marks.UNSTATED:
            continue
        promised = CURRENT.sentence(rule.promise).split(": ", 1)[1]
        if not promised.startswith(rule.sentence):
            yield f"Rows stay {rule.sentence}, but {rule.promise} promises {promised}."


def _parts(number: int) -> Iterator[Part]:
    for section in CURRENT.sections:
        if section.number == number:
            yield from section.parts


CURRENT = read("2026-01")
VERSIONS = tuple(read(path.stem) for path in sorted(FOLDER.glob("????-??.txt")))
