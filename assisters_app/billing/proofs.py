"""What a receipt says and how anyone checks it: no database, no settings, no network, and no trust in us.

    canonical(facts) -> bytes                       the text that is signed: RFC 8785 for what receipts hold
    seal(last, first, root) -> bytes                the text that is signed for receipts that were written together
    line_of(facts), merged(lines)                   what receipts come to, by mode, model and price version
    check_month(content, trusted) -> Checked        a downloaded month; raises NotGenuine with the line at fault
    check_one(file, trusted) -> Facts               one downloaded receipt; raises NotGenuine

A request's receipt names its organization, its UTC day, its number within that day, and the SHA-256 of the receipt
before it. Receipts that were written together are signed together (Ed25519): what is signed is the root of their hash
tree (`billing.trees`), and the last of them carries the signature. One that is taken out of its batch is proven by its
path to that root. A day's statement names how many receipts it has, the hash of the last one and their sums; a month's
names its days and the invoice's lines. Each of these has a signature of its own, as every receipt had until the first
of them named another kind. A month is a file of JSON Lines: its statement, then each day's statement, followed by the
day's receipts while they are kept. Every byte of it is checked: a line must be exactly the canonical form of what it
says, so that nothing can be changed unseen, not even a blank.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from assisters_app.base.crypto import public_key_bytes
from assisters_app.base.money import invoice_cents
from assisters_app.billing import trees

REQUEST, BATCH = "assisters-request-receipt/2", "assisters-receipt-batch/1"
DAY, MONTH = "assisters-receipt-day/1", "assisters-receipt-month/1"
ALONE = "assisters-request-receipt/1"  # a receipt with a signature of its own, as all were until 24 November 2026
FIRST = "0" * 64  # what the first receipt of a day names as the one before it

Facts = dict[str, Any]
Line = dict[str, Any]


class NotGenuine(Exception):  # noqa: N818 (it reads as what was found)
    """Something was altered, left out, put elsewhere or repeated, or does not add up. The message says what."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A key that signs, and the id that its receipts name it by."""

    id: str
    public_key: str  # base64
    key: Ed25519PrivateKey

    @classmethod
    def of(cls, key: Ed25519PrivateKey) -> "Signer":
        """Return the signer of a key."""
        public = public_key_bytes(key.public_key())
        return cls(key_id(public), base64.b64encode(public).decode(), key)

    def sign(self, signed: bytes) -> str:
        """Return the signature as base64."""
        return base64.b64encode(self.key.sign(signed)).decode()


@dataclass(frozen=True, slots=True)
class Checked:
    """What a month's file was found to hold. `dropped_days` have only their statements left: 30 days are over."""

    organization: str
    month: str
    receipts: int
    days: int
    dropped_days: int
    total_nano: int
    total_cents: int
    growing: bool
    keys: tuple[str, ...]  # base64, of those who signed


def key_id(public: bytes) -> str:
    """Return the id of a public key: the first 16 hex characters of its SHA-256."""
    return hashlib.sha256(public).hexdigest()[:16]


def canonical(facts: Mapping[str, Any]) -> bytes:
    """Return the one way to write facts: names sorted, no blanks, UTF-8; numbers are whole."""
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)


def digest(signed: bytes) -> str:
    """Return what the next receipt says of this one."""
    return hashlib.sha256(signed).hexdigest()


def seal(last: Facts, first: int, root: bytes) -> bytes:
    """Return what is signed for the receipts of a day from number `first` to `last`, whose hash tree has this root."""
    return canonical(
        {
            "kind": BATCH,
            "organization": last["organization"],
            "day": last["day"],
            "first": first,
            "last": last["number"],
            "root": root.hex(),
            "signed_by": last["signed_by"],
        }
    )


def line_of(facts: Facts) -> Line:
    """Return what one receipt comes to."""
    return {
        "mode": facts["mode"],
        "model": facts["model"],
        "price_version": facts["price_version"],
        "requests": 1,
        "nano": facts["cost_nano"],
        "units": {one["unit"]: one["count"] for one in facts["units"]},
    }


def taken_back(line: Line) -> Line:
    """Return what undoes a line: a receipt that names one it replaces takes that one's line back."""
    undone = {name: -count for name, count in line["units"].items()}
    return {**line, "requests": -line["requests"], "nano": -line["nano"], "units": undone}


def merged(lines: Iterable[Line]) -> list[Line]:
    """Return the sums of lines, one for each mode, model and price version, without those that come to nothing."""
    sums: dict[tuple[str, str, int], Line] = {}
    for line in lines:
        key = line["mode"], line["model"], line["price_version"]
        into = sums.get(key)
        if into is None:
            sums[key] = {**line, "units": dict(line["units"])}
            continue
        into["requests"] += line["requests"]
        into["nano"] += line["nano"]
        for name, count in line["units"].items():
            into["units"][name] = into["units"].get(name, 0) + count
    for line in sums.values():
        line["units"] = {name: count for name, count in line["units"].items() if count}
    return [sums[key] for key in sorted(sums) if _something(sums[key])]


def _something(line: Line) -> bool:
    return bool(line["requests"] or line["nano"] or line["units"])


def check_one(file: Mapping[str, Any], trusted: Collection[str] = ()) -> Facts:
    """Return what a single downloaded receipt says; raise NotGenuine. `trusted` are public keys (base64), if any."""
    with _sound_facts():
        keys, facts = _Keys([file["public_key"]], trusted), file["facts"]
        if facts["kind"] not in {REQUEST, ALONE}:
            raise NotGenuine("This is not the receipt of a request.")
        signed = _sealed(facts, file["batch"]) if facts["kind"] == REQUEST else canonical(facts)
        keys.check(facts, signed, file["signature"], "This receipt")
        _check_arithmetic(facts)
        return dict(facts)


def check_month(content: bytes, trusted: Collection[str] = ()) -> Checked:
    """Return what a month's file holds, every line, link, product and sum in it found right; raise NotGenuine."""
    with _sound_facts():
        lines = _Lines(content, trusted)
        statement = lines.take(MONTH, "The statement of the month")
        days = [_check_day(lines, statement, day) for day in statement["days"]]
        lines.require_end()
        _check_invoice(statement, merged(line for day in days for line in day))
        return Checked(
            organization=statement["organization"],
            month=statement["month"],
            receipts=sum(day["receipts"] for day in statement["days"]),
            days=len(days),
            dropped_days=sum(1 for day in statement["days"] if not day["kept"]),
            total_nano=statement["total_nano"],
            total_cents=statement["total_cents"],
            growing=statement["growing"],
            keys=tuple(sorted(lines.keys.used)),
        )


def _sealed(facts: Facts, batch: Mapping[str, Any]) -> bytes:
    """Return what was signed for the batch that a single receipt is of, by the path that comes with it."""
    first, last, path = batch["first"], batch["last"], batch["path"]
    if batch.keys() != {"first", "last", "path"} or not all(re.fullmatch("[0-9a-f]{64}", one) for one in path):
        raise NotGenuine("This receipt was altered: what it says of its batch is not written as receipts are.")
    leaf = trees.leaf(canonical(facts))
    root = trees.root_by(leaf, facts["number"] - first, last - first + 1, [bytes.fromhex(one) for one in path])
    return seal({**facts, "number": last}, first, root)


@contextmanager
def _sound_facts() -> Iterator[None]:
    """Refuse what lacks the names that we write: whoever signs with a key of their own may write anything."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise NotGenuine(f"It does not hold what a receipt holds ({type(problem).__name__}: {problem}).") from None


class _Keys:
    """The public keys that signatures are checked with, by their ids."""

    def __init__(self, told: Sequence[str], trusted: Collection[str]) -> None:
        self.used: set[str] = set()
        self._trusted = trusted
        self._keys: dict[str, tuple[str, Ed25519PublicKey]] = {}
        for text in told:
            public = _bytes(text)
            try:
                self._keys[key_id(public)] = (text, Ed25519PublicKey.from_public_bytes(public))
            except ValueError:
                raise NotGenuine(f"{text} is not a public key.") from None

    def check(self, facts: Facts, signed: bytes, signature: str, what: str) -> None:
        """Raise NotGenuine unless `signature` is the one of `signed`, by the key that `facts` name."""
        signed_by = facts.get("signed_by")
        if signed_by not in self._keys:
            raise NotGenuine(f"{what} was signed with a key that is not named here: {signed_by}.")
        text, key = self._keys[signed_by]
        if self._trusted and text not in self._trusted:
            raise NotGenuine(f"{what} was signed with the key {text}, which is not one that you trust.")
        try:
            key.verify(_bytes(signature), signed)
        except (InvalidSignature, NotGenuine):
            raise NotGenuine(f"{what} was altered: its signature does not fit.") from None
        self.used.add(text)


@dataclass(frozen=True, slots=True)
class _Read:
    """One line: what it says, the canonical text of that, its signature, and how a complaint names it."""

    facts: Facts
    text: bytes
    signature: str
    name: str


class _Lines:
    """The lines of a month's file, taken one by one. Nothing of them is believed before their signature is checked."""

    def __init__(self, content: bytes, trusted: Collection[str]) -> None:
        *self._lines, rest = content.split(b"\n")
        self._next = 0
        if rest or not self._lines:
            raise NotGenuine(f"Line {len(self._lines) + 1} is cut off.")
        told = self._read()["facts"].get("keys")
        if not isinstance(told, list):
            raise NotGenuine("The statement of the month is missing: line 1 holds something else.")
        self.keys = _Keys(told, trusted)

    def take(self, kind: str, what: str) -> Facts:
        """Return the next line; raise NotGenuine when it was altered, or is not of the kind that belongs here."""
        found = self.look({kind}, what)
        self.keys.check(found.facts, found.text, found.signature, found.name)
        return found.facts

    def look(self, kinds: Collection[str], what: str) -> _Read:
        """Return the next line, its signature unchecked; raise NotGenuine when no line of its kind belongs here."""
        if self._next == len(self._lines):
            raise NotGenuine(f"{what} is missing.")
        line = self._read()
        facts, signature = line["facts"], line["signature"]
        if facts["kind"] not in kinds:
            raise NotGenuine(f"{what} is missing: line {self._next + 1} holds something else.")
        self._next += 1
        named = f" ({facts['request']})" if isinstance(facts.get("request"), str) else ""
        return _Read(facts, canonical(facts), signature, f"Line {self._next}{named}")

    def require_end(self) -> None:
        """Raise NotGenuine when there is more."""
        if self._next < len(self._lines):
            raise NotGenuine(f"Line {self._next + 1} belongs to no day that the statement names.")

    def _read(self) -> dict[str, Any]:
        raw = self._lines[self._next]
        try:
            line = orjson.loads(raw)
            exact = orjson.dumps(line, option=orjson.OPT_SORT_KEYS) == raw
        except (ValueError, TypeError):
            exact = False
        if not exact or not isinstance(line, dict) or not isinstance(line.get("facts"), dict):
            raise NotGenuine(f"Line {self._next + 1} was altered: it is not written as receipts are.")
        if line.keys() != {"facts", "signature"} or not isinstance(line["signature"], str):
            raise NotGenuine(f"Line {self._next + 1} was altered: it holds more than facts and their signature.")
        return dict(line)


def _check_day(lines: _Lines, statement: Facts, named: Facts) -> list[Line]:
    """Return what a day comes to, once its statement and its receipts were found right."""
    what = f"The statement of {named['day']}"
    facts = lines.take(DAY, what)
    same = all(facts[name] == named[name] for name in ("day", "receipts", "head"))
    if not same or facts["organization"] != statement["organization"]:
        raise NotGenuine(f"{what} is not the one that the month names.")
    if not facts["day"].startswith(statement["month"]):
        raise NotGenuine(f"{what} belongs to another month.")
    if named["kept"]:
        _check_chain(lines, statement, facts)
    return list(facts["lines"])


def _check_chain(lines: _Lines, statement: Facts, day: Facts) -> None:
    before, seen, come_to = FIRST, dict[str, Facts](), list[Line]()
    prices = {(line["model"], line["price_version"]): line["prices"] for line in statement["lines"]}
    for receipt in _receipts(lines, day):
        facts, what = receipt.facts, f"Receipt {receipt.facts['number']} of {day['day']} ({receipt.facts['request']})"
        if facts["previous"] != before:
            raise NotGenuine(f"{what} does not follow the one before it.")
        _check_arithmetic(facts)
        _check_prices(facts, prices, what)
        come_to += [line_of(facts), *_replaced(facts, seen, what)]
        seen[facts["request"]], before = facts, digest(receipt.text)
    if before != day["head"]:
        raise NotGenuine(f"The receipts of {day['day']} do not end where its statement says.")
    if merged(come_to) != day["lines"]:
        raise NotGenuine(f"The receipts of {day['day']} do not come to what its statement says.")


def _receipts(lines: _Lines, day: Facts) -> Iterator[_Read]:
    """Yield a day's receipts, each once the signature of its batch was found right."""
    batch = list[_Read]()
    for number in range(1, day["receipts"] + 1):
        batch.append(_take_receipt(lines, day, number))
        if batch[-1].signature or batch[-1].facts["kind"] == ALONE:
            _check_batch(lines.keys, batch)
            yield from batch
            batch.clear()
    if batch:
        raise NotGenuine(f"{batch[0].name} was altered: nobody signed it, nor what follows it on {day['day']}.")


def _check_batch(keys: _Keys, batch: Sequence[_Read]) -> None:
    last, first = batch[-1], batch[0].facts["number"]
    if last.facts["kind"] == ALONE:
        if len(batch) > 1:
            raise NotGenuine(f"{batch[-2].name} was altered: nobody signed it.")
        keys.check(last.facts, last.text, last.signature, last.name)
        return
    root = trees.root([trees.leaf(receipt.text) for receipt in batch])
    suspect = next((one for one, after in pairwise(batch) if after.facts["previous"] != digest(one.text)), last)
    keys.check(last.facts, seal(last.facts, first, root), last.signature, suspect.name)


def _take_receipt(lines: _Lines, day: Facts, number: int) -> _Read:
    missing = f"Receipt {number} of {day['day']}"
    receipt = lines.look({REQUEST, ALONE}, missing)
    facts = receipt.facts
    if (facts["organization"], facts["day"]) != (day["organization"], day["day"]):
        raise NotGenuine(f"{missing} is missing: receipt {facts['request']} of {facts['day']} stands in its place.")
    if facts["number"] > number:
        raise NotGenuine(f"{missing} is missing: receipt {facts['number']} ({facts['request']}) stands in its place.")
    if facts["number"] < number:
        raise NotGenuine(
            f"Receipt {facts['number']} of {day['day']} ({facts['request']}) comes twice or in the wrong place: "
            f"receipt {number} belongs there."
        )
    return receipt


def _replaced(facts: Facts, seen: Mapping[str, Facts], what: str) -> list[Line]:
    """Return what takes back the receipt that this one replaces, if it replaces one."""
    earlier = seen.get(facts["request"])
    if earlier is None and facts["replaces"] is None:
        return []
    if earlier is None or facts["replaces"] != earlier["number"]:
        raise NotGenuine(f"{what} and another charge the same request.")
    return [taken_back(line_of(earlier))]


def _check_arithmetic(facts: Facts) -> None:
    derived = sum(one["count"] * one["each_nano"] for one in facts["units"])
    if derived != facts["cost_nano"]:
        raise NotGenuine(
            f"Receipt {facts['request']} does not add up: its units come to {derived} nano-USD, "
            f"and it charges {facts['cost_nano']}."
        )


def _check_prices(facts: Facts, prices: Mapping[tuple[str, int], Mapping[str, int]], what: str) -> None:
    named = prices.get((facts["model"], facts["price_version"]))
    if facts["mode"] != "live" or (named is None and not facts["cost_nano"]):
        return
    if named is None:
        raise NotGenuine(f"{what} charges for {facts['model']}, which is not on the invoice.")
    for one in facts["units"]:
        if named.get(one["unit"]) != one["each_nano"]:
            raise NotGenuine(f"{what} charges another price for each {one['unit']} than the invoice names.")


def _check_invoice(statement: Facts, days: Sequence[Line]) -> None:
    """Compare the invoice's lines with what the days come to."""
    charged = {(line["model"], line["price_version"]): line for line in days if line["mode"] == "live"}
    for line in statement["lines"]:
        name = f"{line['model']} under price version {line['price_version']}"
        found = charged.pop((line["model"], line["price_version"]), {"requests": 0, "nano": 0, "units": {}})
        for part in ("nano", "requests", "units"):
            if line[part] != found[part]:
                raise NotGenuine(
                    f"The invoice's line for {name} does not fit its receipts: "
                    f"{part} {line[part]} on the invoice, {found[part]} by the receipts."
                )
        if line["nano"] != sum(count * line["prices"][unit] for unit, count in line["units"].items()):
            raise NotGenuine(f"The invoice's line for {name} is not its units times their prices.")
    for line in charged.values():
        if line["nano"]:
            raise NotGenuine(f"The receipts charge for {line['model']}, which is not on the invoice.")
    total = sum(line["nano"] for line in statement["lines"])
    if statement["total_nano"] != total or statement["total_cents"] != invoice_cents(total):
        raise NotGenuine("The invoice's total is not the sum of its lines.")


def _bytes(text: str) -> bytes:
    """Return what base64 text holds; raise NotGenuine for any other spelling of the same."""
    try:
        found = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError, TypeError):
        found = b""
    if not found or base64.b64encode(found).decode() != text:
        raise NotGenuine("A signature or a key in it is not base64.")
    return found
