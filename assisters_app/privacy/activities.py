"""The record of processing activities (GDPR Art. 30), read from the marks, the processors and the policy.

    record() -> Record      as controller (Art. 30(1)) an activity for each purpose, as processor (Art. 30(2)) one
    as_json() -> dict

An activity holds the seven things of Art. 30(1): who is responsible, the purpose, whose and which data, who receives
them, where they go and under which safeguard, how long they stay, and how they are secured.
"""

from dataclasses import asdict, dataclass
from typing import Any

from assisters_app.base import contact
from assisters_app.base.marks import Purpose
from assisters_app.privacy import inventory, taxonomy
from assisters_app.privacy.inventory import TableEntry
from assisters_app.privacy.policies import policy
from assisters_app.privacy.processors import PROCESSORS, Processor

SUBJECT = "customer"  # fideslang's word for whoever has an account; those who only write to us are meant, too
WHOSE = "Developers who have an account, and people who write to us"
OF_CUSTOMERS = "People whom our customers name in what they send to the API; the customers say who"
CONTENT = ("user.content",)
HOLDING = ("vercel", "supabase")  # who sees it pass, and who holds it sealed where a customer turned that on
ANSWERING = "Answer the calls that a customer's programs make to the API, and nothing else"


@dataclass(frozen=True, slots=True)
class Transfer:
    """One recipient: a company that works for us, in which country, under which safeguard (Art. 30(1)(d) and (e))."""

    name: str
    receives: tuple[str, ...]  # data categories
    country: str
    safeguard: str
    terms: str


@dataclass(frozen=True, slots=True)
class Limit:
    """How long rows of one kind stay (Art. 30(1)(f)); `promise` is the policy's sentence, if it has one."""

    what: str
    how_long: str
    promise: str


@dataclass(frozen=True, slots=True)
class Activity:
    """What is done with data for one purpose."""

    id: str  # the sentence of the policy: "2.1"
    purpose: str
    data_use: str  # fideslang
    subjects: str
    data_subject: str  # fideslang
    categories: tuple[str, ...]
    recipients: tuple[Transfer, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class AsProcessor:
    """What is done for customers, who are the controllers (Art. 30(2))."""

    controllers: str
    processing: str
    subjects: str
    categories: tuple[str, ...]
    recipients: tuple[Transfer, ...]
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """The whole record."""

    controller: str
    contact: str
    policy_version: str
    activities: tuple[Activity, ...]
    as_processor: AsProcessor
    security: tuple[tuple[str, str], ...]  # the policy's sentences about it (Art. 30(1)(g)), each with its id


def record() -> Record:
    """Return the record as of now."""
    return Record(
        controller=contact.ON_ONE_LINE,
        contact=contact.EMAIL,
        policy_version=policy.CURRENT.version,
        activities=tuple(_activity(purpose) for purpose in Purpose if _tables(purpose)),
        as_processor=AsProcessor(
            controllers="Every customer, for what its programs send: listed by the accounts themselves",
            processing=ANSWERING,
            subjects=OF_CUSTOMERS,
            categories=CONTENT,
            recipients=tuple(_transfer(processor, CONTENT) for processor in PROCESSORS if processor.id in HOLDING),
            limits=(Limit("Request content", policy.CURRENT.sentence("4.3").split(": ", 1)[1], "4.3"),),
        ),
        security=tuple((f"5.{n}", policy.CURRENT.sentence(f"5.{n}")) for n in range(1, 6)),
    )


def as_json() -> dict[str, Any]:
    """Return the record ready for JSON."""
    return {"regulation": "GDPR Art. 30", "taxonomy": taxonomy.SOURCE, **asdict(record())}


def _activity(purpose: Purpose) -> Activity:
    entries = _tables(purpose)
    columns = [
        column for entry in entries for column in entry.columns if column.category and str(purpose) in column.purposes
    ]
    received = {
        processor.id: tuple(sorted({c.category for c in columns if c.category and processor.id in c.recipients}))
        for processor in PROCESSORS
    }
    return Activity(
        id=str(purpose),
        purpose=inventory.PURPOSES[purpose],
        data_use=inventory.FIDESLANG_USES[purpose],
        subjects=WHOSE,
        data_subject=SUBJECT,
        categories=tuple(sorted({column.category for column in columns if column.category})),
        recipients=tuple(_transfer(one, received[one.id]) for one in PROCESSORS if received[one.id]),
        limits=tuple(dict.fromkeys(Limit(entry.title, entry.retention, entry.promise) for entry in entries)),
    )


def _tables(purpose: Purpose) -> list[TableEntry]:
    return [entry for entry in inventory.inventory() if entry.personal and str(purpose) in entry.purposes]


def _transfer(processor: Processor, categories: tuple[str, ...]) -> Transfer:
    return Transfer(processor.name, categories, processor.country, processor.safeguard, processor.terms)
