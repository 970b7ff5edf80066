"""A signed receipt for every request, chained per organization and UTC day, written with the event it is for.

    append(tx, new)                                  in the transaction that ingests, of what `events.insert` returned
    of(tx, organization_id, request_id) -> Receipt   the latest of one request; raises NotFound
    month(organization_id, month) -> AsyncIterator   the file that `billing.proofs.check_month` checks; raises NotFound
    keys(tx) -> tuple[PublicKey, …]                  every key that ever signed, the newest first
    ensure_key(tx)                                   at each start
    bring_in(tx, whose, told)                        keys of another installation, for receipts that were read in
    check(tx) -> list[Invariant]                     that every call of the kept days has its receipt, once

Workers append to one day of one organization after the other: they lock its statement, in the same order everywhere.
`billing.proofs` says what is signed and how it is checked; docs/decisions/0014 why it is so.
"""

import base64
from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert as insert_or_leave
from sqlmodel import col, select

from assisters_app.accounts.tables import Organization
from assisters_app.base import crypto, db
from assisters_app.base.clock import now
from assisters_app.base.db import Tx
from assisters_app.base.errors import NotFound
from assisters_app.base.marks import REQUEST_LOGS
from assisters_app.billing import invoices, rating, trees
from assisters_app.billing.months import Month
from assisters_app.billing.proofs import (
    DAY,
    FIRST,
    MONTH,
    REQUEST,
    Facts,
    Line,
    Signer,
    canonical,
    digest,
    key_id,
    line_of,
    merged,
    seal,
    taken_back,
)
from assisters_app.billing.rating import PriceVersion
from assisters_app.usage.events import Event, Invariant
from assisters_app.usage.tables import ReceiptKey

PURPOSE = "request-receipts"  # what the signing key is derived for
AT_ONCE = 1_000  # receipts in memory while a month is read
A_DAY = timedelta(days=1)
WHOLE = timedelta(days=29)  # days of events and receipts that no sweep has begun to drop

Chain = tuple[UUID, datetime]  # an organization, and when the day (UTC) began


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request's receipt. `facts` is its exact text, `signature` and `public_key` are base64.

    `batch` is what it was signed with, None for one that was signed alone.
    """

    facts: str
    signature: str
    public_key: str
    batch: "Batch | None" = None

    def file(self) -> bytes:
        """Return what is downloaded of it: JSON for people to read and for `billing.proofs.check_one`."""
        told = {"facts": orjson.loads(self.facts), "signature": self.signature, "public_key": self.public_key}
        if self.batch is not None:
            told["batch"] = self.batch
        return orjson.dumps(told, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


@dataclass(frozen=True, slots=True)
class Batch:
    """The receipts that one signature is for, by the first's and the last's number; `path` leads from one to its root.

    The path's hashes are in hex, from below.
    """

    first: int
    last: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that receipts verify with, and when it began to sign: our own, or another installation's."""

    id: str
    public_key: str  # base64
    since: datetime
    imported: bool = False


@dataclass(frozen=True, slots=True)
class _Known:
    """What a batch needs to be told in full: handles by id, prices by model, version and unit, receipts it replaces."""

    handles: Mapping[UUID, str]
    each: Mapping[tuple[str, int], Mapping[str, int]]
    earlier: Mapping[UUID, Facts]


class _Columns:
    """Receipts on their way into the table, column by column."""

    def __init__(self) -> None:
        self._columns = {
            name: list[str]()
            for name in ("organization_ids", "begins", "numbers", "request_ids", "facts", "signatures")
        }

    def add(self, chain: Chain, first: int, request_ids: Sequence[str], facts: Sequence[bytes], signature: str) -> None:
        """Add a batch of one chain, of which the last receipt gets the signature."""
        many = len(facts)
        for name, values in (
            ("organization_ids", [chain[0].hex] * many),
            ("begins", [chain[1].isoformat()] * many),
            ("numbers", map(str, range(first, first + many))),
            ("request_ids", request_ids),
            ("facts", [one.decode() for one in facts]),
            ("signatures", [""] * (many - 1) + [signature]),
        ):
            self._columns[name].extend(values)

    def told(self) -> dict[str, str]:
        """Return them as APPEND takes them."""
        return {name: "\n".join(values) for name, values in self._columns.items()}


Row = dict[str, Any]

# Each column of a batch travels as one text, a value a line: no value holds a line's end (JSON writes it otherwise),
# and nothing has to be escaped, or read again one by one.
APPEND = text("""
INSERT INTO usage_receipt (organization_id, begins, number, request_id, facts, signature)
SELECT * FROM unnest(
  CAST(string_to_array(:organization_ids, chr(10)) AS uuid[]),
  CAST(string_to_array(:begins, chr(10)) AS timestamptz[]),
  CAST(string_to_array(:numbers, chr(10)) AS integer[]),
  CAST(string_to_array(:request_ids, chr(10)) AS uuid[]),
  string_to_array(:facts, chr(10)),
  string_to_array(:signatures, chr(10)))
""")
STATE = text("""
UPDATE receipt_day d SET facts = s.facts, signature = s.signature
FROM json_populate_recordset(CAST(NULL AS receipt_day), CAST(:rows AS json)) s
WHERE d.organization_id = s.organization_id AND d.begins = s.begins
""")
BEGIN = text("""
INSERT INTO receipt_day (organization_id, begins, facts, signature)
SELECT s.organization_id, s.begins, '', ''
FROM unnest(CAST(:organization_ids AS uuid[]), CAST(:begins AS timestamptz[])) AS s (organization_id, begins)
ORDER BY 1, 2 ON CONFLICT DO NOTHING
""")
LOCK = text("""
SELECT d.organization_id, d.begins, d.facts
FROM receipt_day d JOIN unnest(CAST(:organization_ids AS uuid[]), CAST(:begins AS timestamptz[]))
     AS s (organization_id, begins) USING (organization_id, begins)
ORDER BY 1, 2 FOR UPDATE OF d
""")
NAMES = text("""
SELECT id, handle FROM organization WHERE id = ANY(:organization_ids)
UNION ALL SELECT id, handle FROM api_key WHERE id = ANY(:key_ids)
""")
EARLIER = text("""
SELECT request_id, facts FROM usage_receipt
WHERE request_id = ANY(CAST(string_to_array(:request_ids, chr(10)) AS uuid[])) AND begins >= :first AND begins <= :last
ORDER BY begins, number
""")
ONE = text("""
SELECT begins, number, facts FROM usage_receipt
WHERE request_id = :request_id AND organization_id = :organization_id ORDER BY begins DESC, number DESC LIMIT 1
""")
# The last receipt of a batch carries the signature for all of it.
BATCH = text("""
SELECT number, facts, signature FROM usage_receipt
WHERE organization_id = :organization_id AND begins = :begins AND number > coalesce(
  (SELECT number FROM usage_receipt WHERE organization_id = :organization_id AND begins = :begins
     AND number < :number AND signature <> '' ORDER BY number DESC LIMIT 1), 0)
  AND number <= (SELECT number FROM usage_receipt WHERE organization_id = :organization_id AND begins = :begins
     AND number >= :number AND signature <> '' ORDER BY number LIMIT 1)
ORDER BY number
""")
DAYS = text("""
SELECT begins, facts, signature FROM receipt_day
WHERE organization_id = :organization_id AND begins >= :begins AND begins < :ends ORDER BY begins
""")
NAMED = text("""
SELECT EXISTS (SELECT 1 FROM usage_receipt WHERE organization_id = ANY(:whose) AND position(:named IN facts) > 0)
    OR EXISTS (SELECT 1 FROM receipt_day WHERE organization_id = ANY(:whose) AND position(:named IN facts) > 0)
""")
COMPLETE = text("""
WITH stated AS (SELECT organization_id, begins, CAST(CAST(facts AS json) ->> 'receipts' AS bigint) AS receipts
                FROM receipt_day WHERE begins >= :since),
kept AS (SELECT organization_id, begins, count(*) AS receipts, max(number) AS last,
                count(DISTINCT request_id) AS requests
         FROM usage_receipt WHERE begins >= :since GROUP BY 1, 2),
called AS (SELECT organization_id, date_trunc('day', at, 'UTC') AS begins, count(*) AS requests
           FROM usage_event WHERE at >= :since GROUP BY 1, 2)
SELECT count(*) AS checked, count(*) FILTER (
  WHERE stated.receipts IS DISTINCT FROM kept.receipts OR kept.last IS DISTINCT FROM kept.receipts
     OR kept.requests IS DISTINCT FROM called.requests) AS broken
FROM stated FULL JOIN kept USING (organization_id, begins) FULL JOIN called USING (organization_id, begins)
""")
RECEIPTS = text("""
SELECT facts, signature FROM usage_receipt
WHERE organization_id = :organization_id AND begins = :begins ORDER BY number
""")


async def append(tx: Tx, new: Sequence[Event]) -> None:
    """Add the receipts of newly written events to their organizations' chains, in the order given."""
    chains: defaultdict[Chain, list[Event]] = defaultdict(list)
    day = datetime.min.replace(tzinfo=UTC)
    for event in new:
        if not timedelta(0) <= event.at - day < A_DAY:  # most are of the day of the one before
            day = _day(event.at)
        chains[event.organization_id, day].append(event)
    if not chains:
        return
    days = await _locked(tx, chains)
    known, signer = await _known(tx, chains), Signer.of(crypto.signing_key(PURPOSE))
    written, stated = _Columns(), list[Row]()
    for chain, events in chains.items():
        statement = canonical(_extended(days[chain], chain, events, known, signer, written))
        stated.append(
            {
                "organization_id": chain[0],
                "begins": chain[1],
                "facts": statement.decode(),
                "signature": signer.sign(statement),
            }
        )
    await tx.sql(APPEND, written.told())
    await tx.sql(STATE, {"rows": orjson.dumps(stated).decode()})


async def _locked(tx: Tx, chains: Iterable[Chain]) -> dict[Chain, Facts | None]:
    """Return the statements of days as they stand (None for a day that begins), locked until the transaction ends."""
    ordered = sorted(chains)
    which = {"organization_ids": [one for one, _ in ordered], "begins": [begins for _, begins in ordered]}
    await tx.sql(BEGIN, which)
    found = await tx.sql(LOCK, which)
    return {
        (row.organization_id, row.begins.astimezone(UTC)): orjson.loads(row.facts) if row.facts else None
        for row in found
    }


async def _known(tx: Tx, chains: Mapping[Chain, Sequence[Event]]) -> _Known:
    events = [event for one in chains.values() for event in one]
    named = await tx.sql(
        NAMES,
        {
            "organization_ids": list({event.organization_id for event in events}),
            "key_ids": list({event.key_id for event in events}),
        },
    )
    begun = [begins for _, begins in chains]
    asked = {
        "request_ids": "\n".join([event.request_id.hex for event in events]),
        "first": min(begun),
        "last": max(begun),
    }
    earlier = await tx.sql(EARLIER, asked)
    return _Known(
        handles={row.id: row.handle for row in named},
        each={which: _prices(price) for which, price in (await rating.versions(tx)).items()},
        earlier={row.request_id: orjson.loads(row.facts) for row in earlier},
    )


def _extended(  # noqa: PLR0913, PLR0917 (each is a part of what is signed)
    day: Facts | None, chain: Chain, events: Sequence[Event], known: _Known, signer: Signer, written: _Columns
) -> Facts:
    """Write the receipts of `events` down, with one signature for them, and return the day's statement with them."""
    organization_id, begins = chain
    number, head, lines = (day["receipts"], day["head"], day["lines"]) if day else (0, FIRST, [])
    first = number + 1
    named = {"organization": known.handles[organization_id], "day": f"{begins:%Y-%m-%d}", "signed_by": signer.id}
    texts, added, facts = list[bytes](), list[Line](), Facts()
    for number, event in enumerate(events, first):
        replaced = known.earlier.get(event.request_id) if known.earlier else None
        facts = {
            **_facts(event, known),
            **named,
            "number": number,
            "previous": head,
            "replaces": replaced["number"] if replaced else None,
        }
        texts.append(canonical(facts))
        head = digest(texts[-1])
        added.append(line_of(facts))
        if replaced:
            added.append(taken_back(line_of(replaced)))
    signature = signer.sign(seal(facts, first, trees.root([trees.leaf(one) for one in texts])))
    written.add(chain, first, [event.request_id.hex for event in events], texts, signature)
    return {"kind": DAY, **named, "receipts": number, "head": head, "lines": merged([*lines, *added])}


def _facts(event: Event, known: _Known) -> Facts:
    """Return what a receipt says of the event itself: nothing of who called from where, which is nobody else's."""
    each = known.each.get((event.model, event.price_version)) or {}
    return {
        "kind": REQUEST,
        "request": event.handle,
        "at": event.at.astimezone(UTC).isoformat(),
        "key": known.handles.get(event.key_id, ""),
        "mode": event.mode,
        "endpoint": event.endpoint,
        "model": event.model,
        "status": event.status,
        "outcome": event.outcome,
        "error_code": event.error_code,
        "estimated": event.estimated,
        "units": [
            {"unit": unit, "count": count, "each_nano": each.get(unit, 0)}
            for unit, count in _units(event, event.unit)
            if count
        ],
        "price_version": event.price_version,
        "cost_nano": event.cost_nano,
    }


def _units(used: Event | invoices.Line, unit: str) -> tuple[tuple[str, int], ...]:
    """Return what is charged for, and how many; `cached_tokens` are among `input_tokens`, `units` are of `unit`."""
    tokens = (
        ("input token", used.input_tokens - used.cached_tokens),
        ("cached input token", used.cached_tokens),
        ("output token", used.output_tokens),
    )
    return (*tokens, (unit, used.units)) if unit else tokens


def _prices(price: PriceVersion) -> dict[str, int]:
    """Return nano-USD for each of what is charged for."""
    by_unit = {price.unit: price.per_unit} if price.unit else {}
    return {"input token": price.input, "cached input token": price.cached, "output token": price.output, **by_unit}


def _day(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


async def of(tx: Tx, organization_id: UUID, request_id: UUID) -> Receipt:
    """Return the latest receipt of a request; raise NotFound when it is not there, not theirs, or its day is over."""
    which = {"organization_id": organization_id, "request_id": request_id}
    found = (await tx.sql(ONE, which)).one_or_none()
    if found is None:
        raise NotFound("receipt")
    facts = orjson.loads(found.facts)
    signed_by = await tx.get(ReceiptKey, facts["signed_by"])
    public_key = signed_by.public_key if signed_by else ""
    together = (await tx.sql(BATCH, {**which, "begins": found.begins, "number": found.number})).all()
    if facts["kind"] != REQUEST or not together:  # signed alone, or damaged: then it has no signature that fits
        return Receipt(found.facts, together[-1].signature if together else "", public_key)
    leaves = [trees.leaf(row.facts.encode()) for row in together]
    first, last = together[0].number, together[-1].number
    path = trees.path(leaves, found.number - first)
    return Receipt(
        found.facts, together[-1].signature, public_key, Batch(first, last, tuple(one.hex() for one in path))
    )


async def month(organization_id: UUID, which: Month) -> AsyncIterator[bytes]:
    """Yield a month's file, one line after the other, as it is at one moment; raise NotFound when there is nothing."""
    async with db.snapshot() as tx:
        days = (await tx.sql(DAYS, _span(organization_id, which))).all()
        if not days:
            raise NotFound("month of receipts")
        kept_from, signer = REQUEST_LOGS.cutoff(now()), Signer.of(crypto.signing_key(PURPOSE))
        statement = await _statement(tx, organization_id, which) | {
            "days": [{**_named(orjson.loads(day.facts)), "kept": day.begins >= kept_from} for day in days],
            "signed_by": signer.id,
        }
        signed = canonical(statement)
        yield _line(signed.decode(), signer.sign(signed))
        for day in days:
            yield _line(day.facts, day.signature)
            if day.begins >= kept_from:
                async for lines in _receipts(tx, organization_id, day.begins):
                    yield lines


async def _statement(tx: Tx, organization_id: UUID, which: Month) -> Facts:
    bill = await invoices.bill(tx, organization_id, which)
    organization = await tx.get_one(Organization, organization_id)
    lines = [_invoice_line(line, line.price) for line in bill.lines if line.price is not None]
    return {
        "kind": MONTH,
        "organization": organization.handle,
        "month": str(which),
        "made_at": now().isoformat(),
        "growing": bill.growing,
        "keys": [key.public_key for key in await keys(tx)],
        "lines": lines,
        "total_nano": bill.total_nano,
        "total_cents": bill.total_cents,
    }


def _invoice_line(line: invoices.Line, price: PriceVersion) -> Line:
    units = _units(line, price.unit)
    return {
        "model": line.model,
        "price_version": price.version,
        "requests": line.requests,
        "units": {unit: count for unit, count in units if count},
        "prices": _prices(price),
        "nano": line.amount_nano,
    }


async def _receipts(tx: Tx, organization_id: UUID, begins: datetime) -> AsyncIterator[bytes]:
    connection = await tx.connection()
    question = {"organization_id": organization_id, "begins": begins}
    async with connection.stream(RECEIPTS.execution_options(yield_per=AT_ONCE), question) as found:
        async for rows in found.partitions():
            yield b"".join(_line(row.facts, row.signature) for row in rows)


def _line(facts: str, signature: str) -> bytes:
    """Return one line of the file. The facts go in as they were signed, byte for byte."""
    return b'{"facts":' + facts.encode() + b',"signature":"' + signature.encode() + b'"}\n'


def _named(day: Facts) -> Facts:
    return {name: day[name] for name in ("day", "receipts", "head")}


def _span(organization_id: UUID, which: Month) -> dict[str, object]:
    return {"organization_id": organization_id, "begins": which.begins, "ends": which.ends}


async def keys(tx: Tx) -> tuple[PublicKey, ...]:
    """Return every public key that receipts were signed with, the newest first."""
    rows = await tx.exec(select(ReceiptKey).order_by(col(ReceiptKey.created_at).desc(), col(ReceiptKey.id)))
    return tuple(PublicKey(row.id, row.public_key, row.created_at, row.imported) for row in rows)


async def ensure_key(tx: Tx) -> None:
    """Publish the key that signs from now on, should it be new: the pepper may have been changed."""
    signer = Signer.of(crypto.signing_key(PURPOSE))
    row = {"id": signer.id, "public_key": signer.public_key, "created_at": now()}
    await tx.sql(insert_or_leave(ReceiptKey).values(row).on_conflict_do_nothing())


async def bring_in(tx: Tx, whose: Collection[UUID], told: Iterable[PublicKey]) -> None:
    """Publish the keys in `told` that receipts of these organizations were signed with, as another installation's.

    No other one: whoever holds the key could sign receipts that verify with what is published here. Raises ValueError
    for what is no key.
    """
    for key in told:
        public = base64.b64decode(key.public_key, validate=True)
        Ed25519PublicKey.from_public_bytes(public)
        named = f'"signed_by":"{key_id(public)}"'
        if (await tx.sql(NAMED, {"whose": list(whose), "named": named})).scalar_one():
            row = {"id": key_id(public), "public_key": key.public_key, "created_at": key.since, "imported": True}
            await tx.sql(insert_or_leave(ReceiptKey).values(row).on_conflict_do_nothing())


async def check(tx: Tx) -> list[Invariant]:
    """Compare events, receipts and the statements of days, over the days of which everything is kept."""
    row = (await tx.sql(COMPLETE, {"since": _day(now() - WHOLE)})).one()
    days = f"{row.checked} days of organizations"
    told = f"{row.broken} of {days} are wrong" if row.broken else f"{days} checked"
    return [Invariant("every call has one receipt", row.broken == 0, told)]
