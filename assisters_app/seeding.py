"""`seed`: four people and thirteen months of plausible usage, written by the same functions that write real usage."""

import dataclasses
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sqlmodel import select

from assisters_app.accounts import signing_up
from assisters_app.accounts.identity import identity
from assisters_app.accounts.rights import Role, role_named
from assisters_app.accounts.sessions import Person
from assisters_app.accounts.tables import Account, Organization
from assisters_app.base import clock, ids, money
from assisters_app.base.db import Tx, transaction
from assisters_app.base.errors import Refused
from assisters_app.base.settings import settings
from assisters_app.billing import ledger, plans, rating, receipts
from assisters_app.keys import keys
from assisters_app.privacy.keeping import retention
from assisters_app.privacy.policies import telling
from assisters_app.usage import ddl, events
from assisters_app.usage.events import Event

DAYS = 396  # thirteen months
KEPT = 30  # days, today among them, whose events the request log still holds
SUMMED = KEPT + 31  # days whose receipts are written, so that every month of which a part is kept adds up
PASSWORD = "correct horse battery staple 7"  # noqa: S105 (of pretend people, in development only)


@dataclass(frozen=True, slots=True)
class Character:
    """One pretend person: `calls` is a busy weekday's number of API calls at the end of the thirteen months."""

    name: str
    email: str
    organization: str
    time_zone: str
    calls: int
    top_up_cents: int
    role: Role = "member"


CAST = (
    Character("Ada", "ada@example.com", "Analytical Engines", "Europe/London", 60, 25_000),
    Character("Bob", "bob@example.org", "Bob Builds", "America/New_York", 25, 5_000),
    Character("Mallory", "mallory@example.net", "Mallory and Sons", "Asia/Kolkata", 8, 1_000),
    Character("Grace", "grace@assisters.example", "Assisters", "America/New_York", 0, 0, role="admin"),
)


@dataclass(frozen=True, slots=True)
class Habit:
    """One kind of call: its share of all, its usual tokens, and how many units (of what its family counts) it uses."""

    model: str
    endpoint: str
    share: float
    given: int = 0
    made: int = 0
    unit: str = ""
    units: int = 0


HABITS = (
    Habit("assisters-chat-v1", "/v1/chat/completions", 0.60, 900, 350),
    Habit("assisters-vision-v1", "/v1/chat/completions", 0.10, 1_600, 250),
    Habit("assisters-embed-v1", "/v1/embeddings", 0.16, 400),
    Habit("assisters-moderation-v1", "/v1/moderations", 0.04, 120),
    Habit("assisters-rerank-v1", "/v1/rerank", 0.03, 2_400, 0, "document", 12),
    Habit("assisters-whisper-v1", "/v1/audio/transcriptions", 0.03, 0, 0, "second", 75),
    Habit("assisters-tts-v1", "/v1/audio/speech", 0.02, 0, 0, "character", 420),
    Habit("assisters-image-v1", "/v1/images/generations", 0.02, 0, 0, "image", 1),
)
FAILURES = ((400, "invalid_request_error"), (429, "rate_limit_exceeded"), (502, "upstream_error"))


async def seed() -> None:
    """Fill a development database. Raises Refused in production, or when it was done before."""
    if not settings().development:
        raise Refused("Pretend people belong into development only.", code="development_only")
    chance = random.Random(20)  # noqa: S311 (the same history every time, not a secret)
    today = clock.now()
    async with transaction() as tx:  # one for all of it: what is cut off has not begun
        for character in CAST:
            with clock.frozen(today - timedelta(days=DAYS)):
                person = await _arrive(tx, character)
                made = await _make_keys(tx, person) if character.calls else ()
            await _live(tx, Life(person, made, character.calls, today), chance)
    await retention.sweep_by_the_clock()  # what was made too old to be kept goes at once, not within the half hour
    await telling.tell_by_the_clock()  # and that the product was used is written down


async def _arrive(tx: Tx, character: Character) -> Person:
    """Sign somebody up, mail address proven, with credit in the wallet."""
    account = await signing_up.open_account(tx, character.email, name=character.name, role=character.role)
    if account is None:
        raise Refused(f"{character.email} has an account already: this database was seeded before.", code="seeded")
    account.verified_at, account.time_zone = clock.now(), character.time_zone
    await identity().enroll(tx, account, PASSWORD)
    await identity().confirm(tx, account)
    organization = (await tx.exec(select(Organization).where(Organization.owner_id == account.id))).one()
    organization.name = character.organization
    if character.top_up_cents:
        organization.plan = plans.earned(character.top_up_cents).id
        amount = money.from_cents(character.top_up_cents)
        await ledger.post(
            tx,
            ledger.Movement(
                organization.id, "topup", f"seed:{organization.handle}", {"wallet": amount, "stripe": -amount}
            ),
        )
    return _as_person(account, organization)


def _as_person(account: Account, organization: Organization) -> Person:
    return Person(
        account_id=account.id,
        session_id=ids.new_id(),
        email=account.email,
        name=account.name,
        role=role_named(account.role),
        organization_id=organization.id,
        organization_name=organization.name,
        verified=True,
        reauthenticated_at=clock.now(),
        time_zone=account.time_zone,
    )


@dataclass(frozen=True, slots=True)
class Life:
    """What a person's days are made up from."""

    person: Person
    key_ids: tuple[UUID, ...]
    calls: int
    today: datetime


async def _make_keys(tx: Tx, person: Person) -> tuple[UUID, ...]:
    live = [await keys.issue(tx, person, keys.NewKey(name=name)) for name in ("Production", "Experiments")]
    await keys.issue(tx, person, keys.NewKey(name="Tests", mode="test"))
    return tuple(issued.key.id for issued in live)


async def _live(tx: Tx, life: Life, chance: random.Random) -> None:
    """Write every day's calls: whole events where they are still kept, sums and charges for all of them."""
    prices, used = await rating.prices(tx), dict[UUID, datetime]()
    for past in range(DAYS if life.calls else -1, -1, -1):
        day = (life.today - timedelta(days=past)).date()
        calls = [_priced(call, prices) for call in _day(day, life, chance)]
        with clock.frozen(min(datetime.combine(day, time(23, 59), UTC), life.today)):
            if past < KEPT:
                calls = await events.insert(tx, calls)
            else:
                await events.add_to_tallies(tx, calls)
            if past < SUMMED:
                await ddl.ensure(tx, [day])
                await receipts.append(tx, calls)
            await ledger.post_usage(tx, calls)
            used |= {call.key_id: call.at for call in sorted(calls, key=lambda call: call.at)}
    await keys.note_use(tx, used)


def _day(day: date, life: Life, chance: random.Random) -> Iterator[Event]:
    """Make up a day's calls: more on weekdays, more in the afternoon, growing over the months; a few fail."""
    growth = 0.25 + 0.75 * (1 - (life.today.date() - day).days / DAYS)
    weekday = 1.0 if day.weekday() < 5 else 0.35  # noqa: PLR2004 (Monday to Friday)
    for _ in range(round(life.calls * growth * weekday * chance.uniform(0.6, 1.2))):
        hour = min(max(chance.gauss(14, 4), 0), 23.99)
        at = datetime.combine(day, time(), UTC) + timedelta(hours=hour, microseconds=chance.randrange(10**6))
        if at > life.today:
            continue
        habit = chance.choices(HABITS, [one.share for one in HABITS])[0]
        failed = chance.random() < 0.03  # noqa: PLR2004 (three in a hundred)
        status, code = chance.choice(FAILURES) if failed else (200, "")
        stream = habit.endpoint.endswith("completions") and chance.random() < 0.6  # noqa: PLR2004 (six in ten)
        took = round(600 * math.exp(chance.gauss(0, 0.6)))
        yield Event(
            request_id=ids.new_id(),
            at=at,
            organization_id=life.person.organization_id,
            key_id=chance.choices(life.key_ids, [3, 1])[0],
            mode="live",
            endpoint=habit.endpoint,
            model=habit.model,
            status=status,
            outcome="failed" if failed else "completed",
            error_code=code,
            input_tokens=0 if failed else _about(habit.given, chance),
            output_tokens=0 if failed else _about(habit.made, chance),
            units=0 if failed else _about(habit.units, chance),
            unit=habit.unit,
            stream=stream,
            duration_ms=took,
            first_token_ms=round(took * chance.uniform(0.2, 0.4)) if stream and not failed else None,
            overhead_ms=round(chance.uniform(0.4, 1.5), 2),
            ip="198.51.100.7",
            user_agent="OpenAI/Python 3.54.0",
        )


def _about(usual: int, chance: random.Random) -> int:
    """Return a number that is usually about `usual`, at least 1 unless that is 0."""
    return max(1, round(usual * math.exp(chance.gauss(0, 0.5)))) if usual else 0


def _priced(call: Event, prices: dict[str, rating.PriceVersion]) -> Event:
    price = prices[call.model]
    nano = rating.cost(price, call.input_tokens, call.cached_tokens, call.output_tokens, call.units)
    return dataclasses.replace(call, cost_nano=nano, price_version=price.version)
