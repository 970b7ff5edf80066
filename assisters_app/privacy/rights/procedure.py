"""The one written procedure (EDPB's report of 10 February 2026): the states of a request and of an erasure, as data.

    REQUEST, ERASURE        the two courses: their states, and each step with who takes it, from where, and to where
    clocks()                what has to be done by when, counted by the code's own constants
    as_json()               all of it, and what an erasure reaches, for programs

A step is named as the function that takes it. A test takes every step from every state, and fails when the software
allows what does not stand here, refuses what does, or has a step that is missing here.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, get_args

from assisters_app.base.marks import REGISTER
from assisters_app.billing import stripe
from assisters_app.privacy import inventory
from assisters_app.privacy.erasing import backups, erasure, errands, purge
from assisters_app.privacy.inventory import TableEntry
from assisters_app.privacy.rights import by_mail, requests

By = Literal["the person", "our staff", "our software"]
AN_EXAMPLE = datetime(2027, 1, 31, 15, tzinfo=UTC)  # a day that the next month does not have


@dataclass(frozen=True, slots=True)
class State:
    """Where a course can stand. `ends`: nothing follows."""

    id: str
    title: str
    says: str
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What leads from a state to a state; "" before: it begins the course. `says` is for the person whose it is."""

    id: str
    by: By
    before: tuple[str, ...]
    after: tuple[str, ...]
    title: str
    says: str
    mailed: bool = False
    once: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """One course, from its beginning to its ends."""

    title: str
    states: tuple[State, ...]
    steps: tuple[Step, ...]

    def after(self, state: str) -> tuple[Step, ...]:
        """Return the steps that can be taken from a state ("": the beginning)."""
        return tuple(step for step in self.steps if state in step.before)


@dataclass(frozen=True, slots=True)
class Clock:
    """One span of time: what is done in it, how long it is, and where the rule comes from."""

    what: str
    length: str
    source: str


_GOING_ON = ("open", "doubted")

REQUEST = Course(
    "A request",
    (
        State("open", "Open", "We have it, and one of our staff works on it. Both clocks run."),
        State("doubted", "Who is it?", "We asked who you are. The GDPR's clock stands still, California's does not."),
        State("done", "Done", "What you asked for was done; you were told what.", ends=True),
        State("refused", "Refused", "It was not done; you were told why, and how to appeal.", ends=True),
        State("withdrawn", "Withdrawn", "You took it back, or there is nobody left to answer.", ends=True),
    ),
    (
        Step("ask", "the person", ("",), ("open",), "Asked in the dashboard", "Confirmed at once.", mailed=True),
        Step(
            "enter",
            "our staff",
            ("",),
            ("open",),
            "Asked by mail",
            "Entered with the day it reached us, from which the clocks run, and confirmed at once.",
            mailed=True,
        ),
        Step(
            "acknowledge",
            "our staff",
            _GOING_ON,
            _GOING_ON,
            "Receipt confirmed",
            "For what was not confirmed yet.",
            mailed=True,
            once=True,
        ),
        Step(
            "assign",
            "our staff",
            _GOING_ON,
            _GOING_ON,
            "Given to somebody",
            "An appeal goes to another person than who decided before.",
        ),
        Step(
            "ask_identity",
            "our staff",
            ("open",),
            ("doubted",),
            "Asked who you are",
            "With a reason, which you read, before the answer is due. Signing in again is enough: we want no papers.",
            mailed=True,
            once=True,
        ),
        Step(
            "confirm_identity",
            "the person",
            ("doubted",),
            ("open",),
            "You say that it was you",
            "You signed in again; the clock goes on.",
        ),
        Step(
            "identity_confirmed", "our staff", ("doubted",), ("open",), "Your answer came by mail", "The clock goes on."
        ),
        Step(
            "extend",
            "our staff",
            _GOING_ON,
            _GOING_ON,
            "More time taken",
            "With the reason, and before the first date.",
            mailed=True,
            once=True,
        ),
        Step(
            "answer:done",
            "our staff",
            _GOING_ON,
            ("done",),
            "Done",
            "Refused by the software while it is not done.",
            mailed=True,
        ),
        Step(
            "answer:refused",
            "our staff",
            _GOING_ON,
            ("refused",),
            "Refused",
            "Only with a reason; the letter says how to appeal, and to whom you may complain.",
            mailed=True,
        ),
        Step(
            "meet",
            "the person",
            _GOING_ON,
            ("done",),
            "Done by your own hand",
            "You pressed the button behind the link that we mailed to your account's address.",
        ),
        Step(
            "withdraw_deletion",
            "the person",
            _GOING_ON,
            ("withdrawn",),
            "Erasure taken back",
            "You undid the closing of your account.",
        ),
        Step(
            "end_with_account",
            "our software",
            _GOING_ON,
            ("done", "withdrawn"),
            "Account erased",
            "An erasure that was asked for is done; whatever else was open has nobody left to answer.",
        ),
    ),
)

ERASURE = Course(
    "An erasure",
    (
        State("closed", "Closed", "Keys and sign-ins have ended. You can sign in and undo it."),
        State("erasing", "Being erased", "Nobody can sign in, and nothing brings it back."),
        State(
            "waiting", "Waiting for the law", "All is gone but what a legal hold names; that goes when it is released."
        ),
        State("erased", "Erased", "You have a signed receipt. What the law keeps has lost what led to you.", ends=True),
        State("taken-back", "Taken back", "The account is open again; it needs new keys.", ends=True),
    ),
    (
        Step("close", "the person", ("",), ("closed",), "Close account", "After proving who you are.", mailed=True),
        Step(
            "erase_now",
            "the person",
            ("", "closed"),
            ("erasing",),
            "Erase now",
            "After proving who you are, without a wait.",
        ),
        Step("undo", "the person", ("closed",), ("taken-back",), "Undo", "Until the time to change your mind is over."),
        Step(
            "remind",
            "our software",
            ("closed",),
            ("closed",),
            "Reminder",
            "Some days before that time is over.",
            mailed=True,
            once=True,
        ),
        Step(
            "carry_out",
            "our software",
            ("closed", "erasing", "waiting"),
            ("erased", "waiting"),
            "Carried out",
            "By itself when the time has come, table by table, then in one last step with the receipt.",
            mailed=True,
        ),
    ),
)


def clocks() -> tuple[Clock, ...]:
    """Return what has to be done by when."""
    return (
        Clock(
            "A request is confirmed",
            f"within {requests.CCPA_CONFIRM_BUSINESS_DAYS} business days; here at once",
            "11 CCR § 7021(a)",
        ),
        Clock("A request is answered", _months(requests.GDPR_ANSWER_MONTHS), "GDPR Art. 12(3)"),
        Clock("The same in California", _days(requests.CCPA_ANSWER), "11 CCR § 7021(b)"),
        Clock(
            "The longest, when more time was taken",
            f"{_months(requests.GDPR_EXTENDED_MONTHS)}; {_days(requests.CCPA_EXTENDED)} in California",
            "GDPR Art. 12(3), 11 CCR § 7021(b)",
        ),
        Clock("A link that was mailed works", f"once, within {_days(by_mail.LASTING)}", "Our own rule"),
        Clock(
            "Time to change your mind after closing",
            f"{_days(erasure.GRACE)}, or to the date of the answer where a short month brings it earlier",
            "Policy 4.1",
        ),
        Clock("Reminder before it is over", _days(erasure.REMINDED), "Our own rule"),
        Clock("Erased after it is over", f"within {_hours(erasure.LATE)}", "Policy 4.1"),
        Clock(
            "Payments redacted at Stripe",
            f"{_days(stripe.KEPT)} after the last payment, and up to {_days(errands.TAKES)} that it takes",
            "Stripe keeps them so long",
        ),
        Clock("Gone from backups", _days(backups.KEPT), "Our own rule"),
        Clock("The register of requests is kept", REGISTER.sentence, "11 CCR § 7101"),
    )


def example() -> tuple[tuple[str, datetime], ...]:
    """Return the dates of a request that came on a day which the next month does not have."""
    due = requests.deadlines(AN_EXAMPLE)
    return (
        ("Received", AN_EXAMPLE),
        ("Confirmed by", due.confirm_by),
        ("Answered by, GDPR", due.gdpr_due),
        ("Answered by, California", due.ccpa_due),
        ("What counts is the earlier", due.earliest),
        ("An account closed that day is erased", erasure.carry_out_at(AN_EXAMPLE)),
    )


def kinds() -> tuple[tuple[str, bool], ...]:
    """Return what can be asked for, and whether our staff answers it; else the dashboard does it at once."""
    return tuple((kind, kind in get_args(requests.Asked)) for kind in get_args(requests.Kind))


def kept() -> tuple[TableEntry, ...]:
    """Return the tables whose rows stay after an erasure."""
    return tuple(entry for entry in inventory.inventory() if entry.personal and entry.ground)


def gone() -> tuple[TableEntry, ...]:
    """Return the tables whose rows go."""
    return tuple(entry for entry in inventory.inventory() if entry.personal and not entry.ground)


def as_json() -> dict[str, Any]:
    """Return the procedure ready for JSON."""
    return {
        "request": asdict(REQUEST),
        "erasure": asdict(ERASURE),
        "clocks": [asdict(clock) for clock in clocks()],
        "example": {what: at.isoformat() for what, at in example()},
        "kinds": [{"kind": kind, "answered_by": "our staff" if asked else "at once"} for kind, asked in kinds()],
        "erased": [entry.name for entry in gone()],
        "kept": [{"table": one.name, "ground": one.ground, "for": one.retention} for one in kept()],
        "reached_outside_the_tables": purge.reached(),
    }


def _months(count: int) -> str:
    return "1 month" if count == 1 else f"{count} months"


def _days(span: timedelta) -> str:
    return "1 day" if span.days == 1 else f"{span.days} days"


def _hours(span: timedelta) -> str:
    count = int(span / timedelta(hours=1))
    return "1 hour" if count == 1 else f"{count} hours"
