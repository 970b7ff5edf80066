"""What the stand-in remembers: every object, event and idempotent answer, in memory and (if asked) in one file."""

import json
import secrets
import string
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from assisters_app.base.clock import now
from assisters_app.doubles.stripe.wire import Thing, WrongError

API_VERSION = "2026-10-28.endive"
ALPHANUMERIC = string.ascii_letters + string.digits
DAY = 24 * 60 * 60
TITLES = {
    "checkout.session": "checkout session",
    "payment_intent": "payment_intent",
    "payment_method": "PaymentMethod",
}


@dataclass(slots=True)
class Faults:
    """What shall go wrong next: counts of calls still to be spoiled."""

    lost_answers: int = 0  # commit, then answer 500
    declines: int = 0  # refuse the card


@dataclass(slots=True)
class Books:
    """Everything of one stand-in. `objects` keeps the order in which things were made."""

    origin: str
    file: Path | None = None
    objects: dict[str, Thing] = field(default_factory=dict)
    answers: dict[str, Thing] = field(default_factory=dict)  # idempotency key → what was answered
    waiting: list[Thing] = field(default_factory=list)  # deliveries still to be made
    faults: Faults = field(default_factory=Faults)

    def make(self, kind: str, prefix: str, /, size: int = 24, **fields: Any) -> Thing:  # noqa: ANN401
        """File a new object of `kind` with an id of its own and return it."""
        thing: Thing = {
            "id": new_id(prefix, size), "object": kind, "created": timestamp(), "livemode": False, "metadata": {},
        } | fields  # fmt: skip
        self.objects[thing["id"]] = thing
        return thing

    def find(self, kind: str, name: str, param: str = "id") -> Thing:
        """Return the object of `kind` with that id; raise WrongError (404) when there is none."""
        thing = self.objects.get(name)
        if thing is None or thing["object"] != kind:
            title = TITLES.get(kind, kind)
            raise WrongError(f"No such {title}: '{name}'", status=404, code="resource_missing", param=param)
        return thing

    def every(self, kind: str, **equal: Any) -> list[Thing]:  # noqa: ANN401
        """Return the objects of `kind` whose fields equal those given (None: whatever), newest first."""
        wanted = {name: value for name, value in equal.items() if value is not None}
        return [
            thing
            for thing in reversed(self.objects.values())
            if thing["object"] == kind and all(thing.get(name) == value for name, value in wanted.items())
        ]

    def note(self, what: str, thing: Thing, previous: Thing | None = None) -> Thing:
        """Record that `what` happened to `thing` and queue its delivery; return the event."""
        data: Thing = {"object": seen(thing)}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.make("event", "evt", type=what, api_version=API_VERSION, data=deepcopy(data), pending_webhooks=1)
        event["request"] = {"id": None, "idempotency_key": None}
        del event["metadata"]
        self.waiting.append({"event": event["id"], "attempts": 0})
        return event

    def save(self) -> None:
        """Write everything to the file, whole or not at all, where there is one."""
        if self.file is not None:
            fresh = self.file.with_suffix(".new")
            fresh.write_text(json.dumps({"objects": self.objects, "answers": self.answers, "waiting": self.waiting}))
            fresh.replace(self.file)

    def forget_old_answers(self) -> None:
        """Drop idempotent answers older than 24 hours, as Stripe may."""
        oldest = timestamp() - DAY
        self.answers = {key: answer for key, answer in self.answers.items() if answer["at"] > oldest}

    def summary(self) -> Thing:
        """Return what the control endpoint shows."""
        return {"waiting": self.waiting, "faults": asdict(self.faults), "objects": len(self.objects)}


def opened(origin: str, file: Path | None = None) -> Books:
    """Return the books kept in `file`, or empty ones."""
    kept = json.loads(file.read_text()) if file is not None and file.exists() else {}
    return Books(origin, file, **kept)


def new_id(prefix: str, size: int = 24) -> str:
    """Return a random id such as `cus_9s…`."""
    return f"{prefix}_" + "".join(secrets.choice(ALPHANUMERIC) for _ in range(size))


def timestamp() -> int:
    """Return the present moment in whole seconds, as Stripe writes time."""
    return int(now().timestamp())


def seen(thing: Thing, expand: list[str] | None = None, books: Books | None = None) -> Thing:
    """Return `thing` as it is sent: without the stand-in's own notes, with the paths of `expand` filled in."""
    shown = {name: deepcopy(value) for name, value in thing.items() if not name.startswith("_")}
    for path in expand or []:
        if books is not None:
            _expand(books, shown, path.split("."), path)
    return shown


def _expand(books: Books, shown: Thing, steps: list[str], path: str) -> None:
    step, rest = steps[0], steps[1:]
    if step == "data" and shown.get("object") == "list":
        for item in shown["data"]:
            _expand(books, item, rest, path)
        return
    value = shown.get(step)
    if value is None and step in shown:
        return
    if isinstance(value, str) and value in books.objects:
        shown[step] = value = seen(books.objects[value])
    elif step == "line_items" and shown.get("object") == "checkout.session":
        shown[step] = value = listed(books.objects[shown["id"]]["_line_items"], {}, "/line_items")
    if not isinstance(value, dict):
        raise WrongError(f"This property cannot be expanded ({path}).", param="expand")
    if rest:
        _expand(books, value, rest, path)


def listed(things: list[Thing], params: Thing, url: str) -> Thing:
    """Return one page of `things`, as Stripe's lists are: `limit`, `starting_after`, `ending_before`, `created`."""
    things = [thing for thing in things if _within(thing.get("created", 0), params.get("created"))]
    order = [thing["id"] for thing in things]
    start, end = 0, len(things)
    if "starting_after" in params:
        start = _place(order, params["starting_after"], "starting_after") + 1
    if "ending_before" in params:
        end = _place(order, params["ending_before"], "ending_before")
    limit = params.get("limit", 10)
    if not 1 <= limit <= 100:  # noqa: PLR2004 (Stripe's own bounds)
        raise WrongError("Invalid limit: must be between 1 and 100", param="limit")
    page = things[start:end][:limit]
    more = len(things[start:end]) > limit
    return {"object": "list", "url": url, "has_more": more, "data": [seen(thing) for thing in page]}


def _place(order: list[str], name: str, param: str) -> int:
    if name not in order:
        raise WrongError(f"No such object: '{name}'", status=404, code="resource_missing", param=param)
    return order.index(name)


def _within(created: int, bounds: Thing | int | None) -> bool:
    if bounds is None:
        return True
    if isinstance(bounds, int):
        return created == bounds
    low, high = bounds.get("gte", bounds.get("gt", -1) + 1), bounds.get("lte", bounds.get("lt", 1 << 62) - 1)
    return bool(low <= created <= high)


def update(thing: Thing, params: Thing, *names: str) -> Thing:
    """Set `thing`'s fields from `params` (metadata merges, '' clears); return what they were before."""
    before = {}
    for name in (*names, "metadata"):
        if name not in params:
            continue
        before[name] = thing.get(name)
        if name == "metadata":
            merged = {**thing["metadata"], **params[name]} if params[name] else {}
            thing[name] = {key: value for key, value in merged.items() if value != ""}
        else:
            thing[name] = params[name] if params[name] != "" else None
    return before
