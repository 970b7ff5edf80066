"""The API reference: every route as the OpenAPI document has it, with code to paste, and every way to be refused."""

import json
import re
from typing import Any

import reflex as rx

from assisters_app.openapi import samples
from assisters_app.openapi.document import HEADERS
from assisters_app.openapi.operations import OPERATIONS, TAGS, Operation
from assisters_app.openapi.problems import PROBLEMS, UPSTREAMS_OWN, Problem
from assisters_app.openapi.schemas import SCHEMAS, Schema
from assisters_app.ui.parts import anchor, badge, code, copyable, link
from assisters_app.ui.parts.browser import Finder
from assisters_app.ui.parts.choices import choices
from assisters_app.ui.shell import public
from assisters_app.ui.words import BASE, YOUR_KEY

DOCUMENT = "/v1/openapi.json"
DEEPEST = 2  # levels of a body that are shown; below that, the document has it
AGAIN = {"later": "Try again later", "no": "Trying again does not help", "fixed": "Change the request"}
BEFORE = (("begin", "Before you begin"), ("repeats", "Sending again safely"))
AFTER = (("headers", "Headers of answers", tuple(HEADERS)), ("errors", "Errors", ()))

_CODE = re.compile(r"`([^`]+)`")
_INLINE = "font-mono text-[0.8125rem]"
LINK = "text-accent underline underline-offset-2 decoration-accent/40 hover:decoration-accent"
_JUMP = "scroll-mt-20"  # an anchor stops below the header


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            rx.el.aside(
                Finder.create(places=_places(), label="Find in the reference", hint="Find a route, a code"),
                class_name="lg:sticky lg:top-16 lg:h-[calc(100dvh-4rem)] lg:overflow-y-auto lg:w-52 shrink-0 pt-8 lg:py-10 lg:px-1 lg:-mx-1",
            ),
            rx.el.div(
                _head(),
                _before(),
                _repeats(),
                *[_group(tag, text) for tag, text in TAGS.items()],
                _headers(),
                _errors(),
                class_name="min-w-0 flex-1 pb-16 lg:pt-10 space-y-14",
            ),
            class_name="max-w-6xl mx-auto px-4 sm:px-6 flex flex-col lg:flex-row gap-x-8 gap-y-8",
        )
    )


def _places() -> list[dict[str, str]]:
    """Return what the finder finds: a title, its group, where it is, what else it is called; `quiet` only when sought."""
    routes = sorted(OPERATIONS, key=lambda one: list(TAGS).index(one.tag))
    return [
        *({"id": name, "title": title, "group": "Start", "words": ""} for name, title in BEFORE),
        *({"id": one.id, "title": one.title, "group": one.tag, "words": f"{one.method} {one.path}"} for one in routes),
        *({"id": name, "title": title, "group": "For all", "words": " ".join(words)} for name, title, words in AFTER),
        *(
            {"id": f"error-{one.code}", "title": one.code, "group": "Errors", "words": str(one.status), "quiet": "yes"}
            for one in PROBLEMS.values()
        ),
    ]


def _head() -> rx.Component:
    return rx.el.header(
        rx.el.h1("API reference", class_name="text-2xl font-semibold tracking-tight"),
        rx.el.p(
            "A metered API that speaks OpenAI's language. What is written here is what the API serves as its ",
            anchor("OpenAPI 3.1 document", href=DOCUMENT, target="_blank", class_name=LINK),
            ", and tests hold it to that. New here? Begin with the ",
            link("quickstart", to="/docs"),
            ".",
            class_name="mt-2 text-muted max-w-prose text-pretty",
        ),
    )


def _before() -> rx.Component:
    return _section(
        "begin",
        "Before you begin",
        rx.el.div(
            _text("Everything below `/v1` is asked for at this address:"),
            copyable(f"{BASE}/v1", "Copy base address"),
            _text(
                "Send your key with each request, in the header `Authorization: Bearer ask_…`. A key has scopes: `chat` calls "
                "models, `read` reads usage and the wallet, `write` tops the wallet up. Test keys always reach the sandbox, "
                "cost nothing, and know magic words: `sandbox:error`, `sandbox:rate-limit`, `sandbox:slow`, `sandbox:tool`, "
                "`sandbox:long`, `sandbox:cut`, `sandbox:flagged`. What the sandbox answers carries `X-Sandbox: true`."
            ),
            _text(
                "Every answer says what it cost (`X-Cost-USD`; a stream at its end, in `usage.cost`, or in `cost` where you ask for no usage), how long of it was ours "
                "(`X-Overhead-Ms`), what is left of your limits (`X-RateLimit-…`), and its id (`X-Request-ID`), which the request "
                "log shows. An answer in which nothing was said costs nothing."
            ),
            _text(
                "OpenAI's clients for Python and Node work as they are. Parameters that are not listed here are handed to the "
                "model as they are."
            ),
            class_name="space-y-3 max-w-prose",
        ),
    )


def _repeats() -> rx.Component:
    return _section(
        "repeats",
        "Sending again safely",
        rx.el.div(
            _text(
                "Give a POST a header `Idempotency-Key` with a text that you have not used before, such as a UUID. Should the "
                "connection break, send the same request with the same key again: within a day you get the same answer, "
                "streams included, and the call is made and charged once. The repeat says `Idempotent-Replayed: true`."
            ),
            _text(
                "What failed or was refused was free, and may be tried again under its key. Another request under the same "
                "key is refused (422), and so is a second one while the first runs (409: OpenAI's clients try again by "
                "themselves). What is kept for a repeat opens only with your API key, which we do not store; it is gone "
                "after 24 hours. After a rotation "
                "the new secret is told that the request was done, and under which id."
            ),
            class_name="space-y-3 max-w-prose",
        ),
    )


def _group(tag: str, text: str) -> rx.Component:
    mine = [one for one in OPERATIONS if one.tag == tag]
    return rx.el.section(
        rx.el.div(
            rx.el.h2(tag, class_name="text-lg font-semibold tracking-tight"),
            rx.el.p(text, class_name="mt-0.5 text-muted"),
        ),
        *[_operation(one) for one in mine],
        class_name="space-y-8",
    )


def _operation(operation: Operation) -> rx.Component:
    return rx.el.article(
        rx.el.div(
            _title(operation),
            rx.el.p(*_marked(operation.text), class_name="mt-2 text-muted text-pretty"),
            _taken(operation),
            _given(operation),
            _refused(operation),
            class_name="min-w-0 space-y-4",
        ),
        rx.el.div(_samples(operation), class_name="min-w-0 xl:sticky xl:top-20 self-start"),
        id=operation.id,
        class_name=_JUMP
        + " grid xl:grid-cols-[minmax(0,1fr)_minmax(0,27.5rem)] gap-x-8 gap-y-5 border-t border-line pt-8",
    )


def _title(operation: Operation) -> rx.Component:
    return rx.el.div(
        rx.el.h3(
            anchor(operation.title, href=f"#{operation.id}", class_name="text-ink no-underline hover:underline"),
            class_name="text-[0.9375rem] font-semibold tracking-tight",
        ),
        rx.el.p(
            badge(operation.method, tone="accent" if operation.method == "POST" else "good"),
            rx.el.code(operation.path, class_name=_INLINE + " break-all"),
            class_name="mt-1.5 flex flex-wrap items-center gap-2",
        ),
    )


def _samples(operation: Operation) -> rx.Component:
    return choices(
        f"sample-{operation.id}",
        ("Python", code(samples.python(operation, BASE, YOUR_KEY), label="Copy Python code")),
        ("Node", code(samples.node(operation, BASE, YOUR_KEY), label="Copy Node code")),
        ("curl", code(samples.curl(operation, BASE, YOUR_KEY), label="Copy curl command")),
        label=f"Language of the sample: {operation.title}",
    )


def _taken(operation: Operation) -> rx.Component:
    lines = [line for schema in (operation.takes or {}).values() for line in _fields(schema)]
    lines += [
        _field(one.name, one.schema, one.text, needed=one.where == "path", where=one.where)
        for one in operation.takes_beside_its_body
    ]
    return _folded("What it takes", lines, opened=True) if lines else rx.fragment()


def _given(operation: Operation) -> rx.Component:
    parts = []
    for answer in operation.answers:
        for media, schema in answer.content.items():
            if media == "application/json":
                parts.append(_folded(f"What it answers ({answer.status})", _fields(schema), lead=answer.text))
    return rx.fragment(*parts)


def _fields(schema: Schema, depth: int = 1) -> list[rx.Component]:
    """Return a line for each property of an object, and of what is inside it."""
    whole = _resolved(schema)
    if "items" in whole:
        return _fields(whole["items"], depth)
    lines = []
    for name, one in whole.get("properties", {}).items():
        lines.append(
            _field(
                name, one, _resolved(one).get("description", ""), needed=name in whole.get("required", ()), depth=depth
            )
        )
        if depth < DEEPEST and "properties" in _inside(one):
            lines += _fields(_inside(one), depth + 1)
    return lines


def _field(
    name: str, schema: Schema, text: str, *, needed: bool = False, where: str = "", depth: int = 1
) -> rx.Component:
    return rx.el.li(
        rx.el.div(
            rx.el.code(name, class_name=_INLINE + " font-medium text-ink break-all"),
            rx.el.span(_kind(schema), class_name="text-xs text-faint"),
            rx.el.span(where, class_name="text-xs text-faint") if where in ("path", "header") else rx.fragment(),
            rx.el.span("required", class_name="text-xs text-warn") if needed else rx.fragment(),
            class_name="flex flex-wrap items-baseline gap-x-2",
        ),
        rx.el.p(*_marked(text), class_name="mt-0.5 text-[0.8125rem] text-muted") if text else rx.fragment(),
        class_name="py-2 border-t border-line first:border-0" + (" pl-5" if depth > 1 else ""),
    )


def _kind(schema: Schema) -> str:
    """Name what a value may be, in words."""
    whole = _resolved(schema)
    if "const" in whole:
        return json.dumps(whole["const"])
    if "enum" in whole:
        return " · ".join(str(one) for one in whole["enum"] if one is not None)
    if whole.get("contentMediaType") == "application/octet-stream":
        return "file"
    if "anyOf" in whole:
        return " or ".join(dict.fromkeys(_kind(one) for one in whole["anyOf"] if one.get("type") != "null"))
    kinds = whole.get("type", "anything")
    names = [kind for kind in (kinds if isinstance(kinds, list) else [kinds]) if kind != "null"]
    if names == ["array"]:
        return f"list of {_kind(whole['items'])}" if whole.get("items") else "list"
    words = {"integer": "whole number", "boolean": "true or false", "string": "text"}
    return " or ".join(words.get(name, name) for name in names) + _range(whole)


def _range(schema: Schema) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None and most < 2**31:
        return f", {least} to {most}"
    return f", from {least}" if least else ""


def _inside(schema: Schema) -> Schema:
    whole = _resolved(schema)
    return _resolved(whole["items"]) if "items" in whole else whole


def _resolved(schema: Schema) -> Schema:
    named = schema.get("$ref")
    return SCHEMAS[named.rpartition("/")[2]] if named else schema


def _refused(operation: Operation) -> rx.Component:
    codes = sorted({PROBLEMS[code] for code in operation.problems}, key=lambda one: (one.status, one.code))
    more = (
        "A model may also refuse for itself, with " + ", ".join(map(str, UPSTREAMS_OWN)) + "."
        if operation.metered
        else ""
    )
    return _folded(
        "How it refuses",
        [
            rx.el.li(
                *[
                    anchor(
                        rx.el.span(str(one.status), class_name="text-faint tabular-nums"),
                        one.code,
                        href=f"#error-{one.code}",
                        class_name=_INLINE
                        + " inline-flex gap-1.5 rounded-md bg-raised px-1.5 py-0.5 text-muted no-underline hover:text-ink",
                    )
                    for one in codes
                ],
                class_name="flex flex-wrap gap-1.5 py-2",
            )
        ],
        lead=more,
    )


def _folded(title: str, lines: list[rx.Component], *, lead: str = "", opened: bool = False) -> rx.Component:
    """Return a list that unfolds; what a reader needs first stands open."""
    return rx.el.details(
        rx.el.summary(
            rx.icon(
                "chevron-right",
                size=14,
                aria_hidden="true",
                class_name="shrink-0 text-muted transition-transform group-open:rotate-90",
            ),
            title,
            class_name="inline-flex items-center gap-2 text-[0.8125rem] font-medium select-none rounded",
        ),
        rx.el.p(lead, class_name="mt-1 text-[0.8125rem] text-muted") if lead else rx.fragment(),
        rx.el.ul(*lines, class_name="mt-1"),
        open=opened,
        class_name="group",
    )


def _headers() -> rx.Component:
    return _section(
        "headers",
        "Headers of answers",
        rx.el.ul(
            *[_field(name, schema, text) for name, (text, schema) in HEADERS.items()],
            class_name="max-w-3xl",
        ),
    )


def _errors() -> rx.Component:
    return _section(
        "errors",
        "Errors",
        _text(
            "Bodies have OpenAI's shape: `error.message` for people, `error.code` for programs, `error.param` for the parameter at fault. What is refused or fails costs nothing."
        ),
        rx.el.ul(*[_problem(one) for one in sorted(PROBLEMS.values(), key=lambda one: one.status)], class_name="mt-3"),
    )


def _problem(problem: Problem) -> rx.Component:
    return rx.el.li(
        rx.el.span(str(problem.status), class_name="text-muted tabular-nums"),
        rx.el.code(problem.code, class_name=_INLINE + " break-all"),
        rx.el.span(
            *_marked(problem.meaning),
            rx.el.span(f" {AGAIN[problem.again]}.", class_name="text-faint"),
            class_name="col-span-2 sm:col-span-1",
        ),
        id=f"error-{problem.code}",
        class_name=_JUMP
        + " grid grid-cols-[3rem_1fr] sm:grid-cols-[3rem_15rem_1fr] gap-x-3 gap-y-0.5 py-2.5 px-2 -mx-2 border-t border-line target:bg-accent-soft",
    )


def _section(name: str, title: str, *children: Any) -> rx.Component:
    return rx.el.section(
        rx.el.h2(title, class_name="text-lg font-semibold tracking-tight mb-3"), *children, id=name, class_name=_JUMP
    )


def _text(words: str) -> rx.Component:
    return rx.el.p(*_marked(words), class_name="text-muted text-pretty")


def _marked(words: str) -> list[Any]:
    """Return a text whose parts in `…` are code."""
    return [
        rx.el.code(part, class_name=_INLINE + " text-ink") if number % 2 else part
        for number, part in enumerate(_CODE.split(words))
        if part
    ]
