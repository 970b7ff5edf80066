"""Redaction jobs (Stripe's public preview): objects are validated, then what is personal in them is overwritten.

As Stripe documents them: a job names at most ten objects, validates by itself, waits to be run, and takes its time; a
charge of the last 90 days cannot be redacted, and a customer brings along everything that belongs to them. What a
redacted object was, its events and answers to earlier calls included, can no longer be read by anybody.
"""

from typing import Literal, TypedDict

from assisters_app.doubles.stripe.books import DAY, Books, timestamp
from assisters_app.doubles.stripe.calls import Call
from assisters_app.doubles.stripe.wire import Thing, WrongError

KEPT = 90 * DAY  # seconds after which a charge may be redacted
MOST = 10
GONE = "[redacted]"
KINDS = {
    "charges": "charge",
    "checkout_sessions": "checkout.session",
    "customers": "customer",
    "invoices": "invoice",
    "payment_intents": "payment_intent",
}
PERSONAL = (
    "address", "billing_details", "customer_details", "customer_email", "description", "email", "metadata", "name",
    "phone", "receipt_email", "shipping",
)  # fmt: skip


class Objects(TypedDict, total=False):
    """The objects of a job, by kind."""

    charges: list[str]
    checkout_sessions: list[str]
    customers: list[str]
    invoices: list[str]
    payment_intents: list[str]


class CreateParams(TypedDict):
    """What makes a job. The official client has no types for previews."""

    objects: Objects
    validation_behavior: Literal["error", "fix"]


class NoParams(TypedDict):
    """Nothing."""


def create(books: Books, params: Thing) -> Thing:
    """Make a job, which begins to validate its objects."""
    objects = params["objects"]
    if sum(map(len, objects.values())) > MOST:
        raise WrongError("You can provide up to 10 object identifiers.", code="too_many_objects", param="objects")
    for kind, names in objects.items():
        for name in names:
            books.find(KINDS[kind], name, f"objects[{kind}]")
    return books.make(
        "privacy.redaction_job", "prj", objects=objects, status="validating", validation_errors=None,
        validation_behavior=params.get("validation_behavior", "error"),
    )  # fmt: skip


def retrieve(books: Books, _params: Thing, name: str) -> Thing:
    """Return a job, a step further than when it was last asked for."""
    job = books.find("privacy.redaction_job", name)
    if job["status"] == "validating":
        errors = [_refused(charge) for charge in _charges(books, job) if charge["created"] > timestamp() - KEPT]
        job["status"] = "failed" if errors else "ready"
        job["validation_errors"] = {"object": "list", "data": errors[:MOST], "has_more": len(errors) > MOST}
    elif job["status"] == "redacting":
        _redact(books, job)
        job["status"] = "succeeded"
    return job


def run(books: Books, _params: Thing, name: str) -> Thing:
    """Begin to redact what was validated."""
    job = books.find("privacy.redaction_job", name)
    if job["status"] != "ready":
        raise WrongError(f"This job cannot be run because its status is {job['status']}.", code="invalid_state")
    job["status"] = "redacting"
    return job


def _refused(charge: Thing) -> Thing:
    return {
        "object": "privacy.redaction_job_validation_error", "code": "invalid_state",
        "message": "Charges can be redacted 90 days after they were created.",
        "erroring_object": {"id": charge["id"], "object_type": "charge"},
    }  # fmt: skip


def _named(job: Thing) -> set[str]:
    return {name for names in job["objects"].values() for name in names}


def _charges(books: Books, job: Thing) -> list[Thing]:
    return [thing for thing in _related(books, _named(job)) if thing["object"] == "charge"]


def _related(books: Books, names: set[str]) -> list[Thing]:
    """Return the named objects and what belongs to them: their customer's things, their charges and sessions."""
    related = set(names)
    while more := {
        thing["id"]
        for thing in books.objects.values()
        if thing["id"] not in related and related & {thing.get("customer"), thing.get("payment_intent")} - {None}
    }:
        related |= more
    return [books.objects[name] for name in related if name in books.objects]


def _redact(books: Books, job: Thing) -> None:
    related = _related(books, _named(job))
    names = {thing["id"] for thing in related}
    for thing in related:
        _overwrite(thing)
    for event in books.every("event"):
        if event["data"]["object"].get("id") in names or event["data"]["object"].get("customer") in names:
            _overwrite(event["data"]["object"])
            event["data"].pop("previous_attributes", None)
    books.answers = {
        key: answer
        for key, answer in books.answers.items()
        if not names & {answer["answer"].get("id"), answer["answer"].get("customer")}
    }


def _overwrite(thing: Thing) -> None:
    for name in PERSONAL:
        if thing.get(name):
            thing[name] = {} if isinstance(thing[name], dict) else GONE
    if thing["object"] != "customer" or not thing.get("deleted"):
        thing["redaction"] = {"status": "redacted"}
    for own in [name for name in thing if name.startswith("_") and name != "_line_items"]:
        thing[own] = {}


CALLS = (
    Call("POST", "/v1/privacy/redaction_jobs", create, CreateParams),
    Call("GET", "/v1/privacy/redaction_jobs/{name}", retrieve, NoParams),
    Call("POST", "/v1/privacy/redaction_jobs/{name}/run", run, NoParams),
)
