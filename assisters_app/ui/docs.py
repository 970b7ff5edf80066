"""Quickstart: from nothing to a first answer, a stream, and what to do when something goes wrong."""

import reflex as rx

from assisters_app.base.errors import Refused
from assisters_app.keys import keys
from assisters_app.openapi.operations import OPERATIONS
from assisters_app.openapi.problems import PROBLEMS
from assisters_app.ui.first_call import first_call
from assisters_app.ui.parts import card, code, copyable, heading, link, link_button
from assisters_app.ui.parts.choices import choices
from assisters_app.ui.session import AppState, access, signed_in
from assisters_app.ui.shell import public
from assisters_app.ui.words import BASE, MODEL, YOUR_KEY

COMMON = (  # the errors that a first program meets
    "invalid_api_key",
    "model_not_found",
    "rate_limit_exceeded",
    "insufficient_quota",
    "upstream_error",
    "service_unavailable",
)
STREAM_PYTHON = f"""stream = client.chat.completions.create(
    model="{MODEL}",
    messages=[{{"role": "user", "content": "Count to ten."}}],
    stream=True,
)
for part in stream:
    print(part.choices[0].delta.content or "", end="")"""
STREAM_NODE = f"""const stream = await client.chat.completions.create({{
  model: "{MODEL}",
  messages: [{{ role: "user", content: "Count to ten." }}],
  stream: true,
}});
for await (const part of stream) process.stdout.write(part.choices[0].delta.content ?? "");"""
RETRY_PYTHON = f"""import uuid

answer = client.with_options(max_retries=5, timeout=60).chat.completions.create(
    model="{MODEL}",
    messages=[{{"role": "user", "content": "Say hello."}}],
    extra_headers={{"Idempotency-Key": str(uuid.uuid4())}},
)"""
RETRY_NODE = f"""const again = await client.chat.completions.create(
  {{ model: "{MODEL}", messages: [{{ role: "user", content: "Say hello." }}] }},
  {{ maxRetries: 5, timeout: 60_000, headers: {{ "Idempotency-Key": crypto.randomUUID() }} }},
);"""


class DocsState(AppState):
    """What stands for the reader's key: how one of theirs begins, when they are signed in and have one."""

    key: str = YOUR_KEY

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Look whether the reader has a key."""
        self.key = YOUR_KEY
        try:
            async with signed_in() as (tx, me):
                theirs = await keys.live(tx, me)
        except Refused:
            return
        if theirs:
            self.key = f"{theirs[0].prefix}…"


load = DocsState.load


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Quickstart",
                link_button("API reference", to="/docs/reference"),
                lead="The API speaks OpenAI's language: use their client, change two lines.",
            ),
            _step("1", "Make a key", _make_a_key()),
            _step("2", "Install the client", _install()),
            _step("3", "Call a model", _call()),
            _step("4", "Stream the answer", _stream()),
            _step("5", "Be ready for the network", _retries()),
            card(
                _lines([(one.method, one.path, one.title) for one in ENDPOINTS]),
                title="Endpoints",
                lead="Each with its parameters, its answers and code to paste in the API reference.",
                action=link("API reference", to="/docs/reference"),
            ),
            card(
                _lines([_error(code) for code in COMMON]),
                title="Errors you may meet first",
                lead="Bodies have OpenAI's shape: error.message for people, error.code for programs. Every answer carries X-Request-ID.",
            ),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-10 sm:py-14 space-y-8",
        )
    )


ENDPOINTS = [one for one in OPERATIONS if one.path.startswith("/v1/") and not one.public]


def _error(name: str) -> tuple[str, str, str]:
    problem = PROBLEMS[name]
    return str(problem.status), problem.code, problem.meaning.replace("`", "")


def _make_a_key() -> rx.Component:
    return rx.el.div(
        rx.cond(
            AppState.email == "",
            rx.fragment(
                rx.el.p(
                    link("Create an account", to="/sign-up"), ", confirm your address, and make a key under API keys."
                ),
                link_button("Create an account", to="/sign-up", kind="primary"),
            ),
            rx.fragment(
                rx.el.p("A key is shown once, when it is made, with these calls ready to paste."),
                link_button("Make a key", to="/dashboard/api-keys", kind="primary"),
            ),
        ),
        class_name="flex flex-col items-start gap-3",
    )


def _install() -> rx.Component:
    return choices(
        "docs-install",
        ("Python", copyable("pip install openai", "Copy command")),
        ("Node", copyable("npm install openai", "Copy command")),
        label="Language of the client",
    )


def _call() -> rx.Component:
    return rx.el.div(
        rx.el.div(
            rx.el.p("The base address is", class_name="shrink-0"),
            copyable(f"{BASE}/v1", "Copy base address", class_name="min-w-0"),
            class_name="flex flex-wrap items-center gap-x-3 gap-y-2 mb-4",
        ),
        first_call(DocsState.key, name="docs-language"),
        rx.cond(
            DocsState.key == YOUR_KEY,
            rx.fragment(),
            rx.el.p(
                rx.el.code(DocsState.key, class_name="font-mono text-[0.8125rem] text-ink"),
                " is how one of your keys begins. Put the whole key there, which was shown when you made it.",
                class_name="mt-3 text-[0.8125rem] text-muted",
            ),
        ),
    )


def _stream() -> rx.Component:
    return choices(
        "docs-stream",
        ("Python", code(STREAM_PYTHON, label="Copy streaming code in Python")),
        ("Node", code(STREAM_NODE, label="Copy streaming code in Node")),
        label="Language of the stream",
    )


def _retries() -> rx.Component:
    return rx.el.div(
        rx.el.p(
            "The clients try again by themselves where that helps, and wait as long as they are told. With an "
            "Idempotency-Key a call that is sent again is done and charged once, even when the connection broke on its way back.",
            class_name="mb-3 text-pretty",
        ),
        choices(
            "docs-retries",
            ("Python", code(RETRY_PYTHON, label="Copy retrying code in Python")),
            ("Node", code(RETRY_NODE, label="Copy retrying code in Node")),
            label="Language of trying again",
        ),
    )


def _step(number: str, title: str, body: rx.Component) -> rx.Component:
    return rx.el.section(
        rx.el.h2(
            rx.el.span(
                number,
                class_name="grid place-items-center size-6 rounded-full bg-accent-soft text-accent text-xs font-semibold tabular-nums",
                aria_hidden="true",
            ),
            title,
            class_name="flex items-center gap-2.5 text-base font-semibold tracking-tight",
        ),
        rx.el.div(body, class_name="mt-3 sm:pl-8.5"),
    )


def _lines(lines: list[tuple[str, str, str]]) -> rx.Component:
    return rx.el.ul(*[_line(*line) for line in lines])


def _line(first: str, name: str, meaning: str) -> rx.Component:
    return rx.el.li(
        rx.el.span(first, class_name="text-muted tabular-nums"),
        rx.el.code(name, class_name="font-mono text-[0.8125rem] break-all"),
        rx.el.span(meaning, class_name="col-span-2 sm:col-span-1"),
        class_name="grid grid-cols-[3rem_1fr] sm:grid-cols-[3rem_14rem_1fr] gap-x-3 gap-y-0.5 py-2.5 border-t border-line first:border-0",
    )
