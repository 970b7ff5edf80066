"""Docs: from nothing to a first answer, and what the API answers with."""

import reflex as rx

from assisters_app.ui.first_call import first_call
from assisters_app.ui.parts import card, code, heading, link, link_button
from assisters_app.ui.session import AppState
from assisters_app.ui.shell import public
from assisters_app.ui.words import BASE, MODEL

ENDPOINTS = (
    ("POST", "/v1/chat/completions", "Answer a conversation, at once or as a stream."),
    ("POST", "/v1/responses", "The same in OpenAI's newer shape."),
    ("POST", "/v1/embeddings", "Turn texts into vectors."),
    ("POST", "/v1/moderations", "Find out whether texts or pictures are harmful."),
    ("POST", "/v1/moderate", "The same under its Assisters name."),
    ("POST", "/v1/rerank", "Put documents in the order in which they answer a query."),
    ("POST", "/v1/audio/transcriptions", "Turn a recording into text."),
    ("POST", "/v1/audio/speech", "Turn text into sound, as it is made."),
    ("POST", "/v1/images/generations", "Make pictures."),
    ("GET", "/v1/models", "List the models a key may use."),
    ("GET", "/v1/rate-limit", "What is left of this minute. Not billed."),
    ("GET", "/v1/usage", "What was used, by day. Not billed."),
    ("GET", "/v1/wallet/balance", "What is in the wallet. Not billed."),
    ("GET", "/v1/wallet/transactions", "What went in and out of it, page by page. Not billed."),
    ("POST", "/v1/wallet/top-up", "Where to pay for more credit."),
    ("GET", "/v1/openapi.json", "All of this for programs, as an OpenAPI document. No key needed."),
)
ERRORS = (
    ("401", "invalid_api_key", "The key is mistyped or revoked. One past its end answers expired_key."),
    ("404", "model_not_found", "There is no such model. GET /v1/models lists those there are."),
    ("429", "rate_limit_exceeded", "Too much in this minute. Wait as many seconds as Retry-After says."),
    (
        "429",
        "insufficient_quota",
        "The balance does not cover the most the call can cost. Top it up; waiting does not help.",
    ),
    ("502", "upstream_error", "The model did not answer. Nothing was charged; try again."),
    ("503", "service_unavailable", "We cannot serve calls right now. Try again shortly."),
)
STREAM = f"""for part in client.chat.completions.create(
    model="{MODEL}",
    messages=[{{"role": "user", "content": "Count."}}],
    stream=True,
):
    print(part.choices[0].delta.content or "", end="")"""


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading("Docs", lead="The API speaks OpenAI's language: use their client, change two lines."),
            _step("1", "Make a key", _make_a_key()),
            _step("2", "Call a model", first_call(name="docs-language")),
            _step("3", "Stream the answer", code(STREAM, label="Copy streaming code")),
            card(
                _table(("Method", "Path", "What it does"), ENDPOINTS),
                title="Endpoints",
                lead=f"All under {BASE}, with the header Authorization: Bearer and your key.",
            ),
            card(
                _table(("Status", "Code", "What it means"), ERRORS),
                title="Errors",
                lead="Bodies have OpenAI's shape: error.message for people, error.code for programs. Every answer carries X-Request-ID.",
            ),
            class_name="max-w-4xl mx-auto px-4 sm:px-6 py-10 sm:py-14 space-y-8",
        )
    )


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


def _table(heads: tuple[str, ...], lines: tuple[tuple[str, str, str], ...]) -> rx.Component:
    return rx.el.div(
        rx.el.table(
            rx.el.thead(
                rx.el.tr(
                    *[
                        rx.el.th(head, scope="col", class_name="pb-2 pr-4 text-left text-xs font-medium text-muted")
                        for head in heads
                    ]
                )
            ),
            rx.el.tbody(*[_line(*line) for line in lines]),
            class_name="w-full",
        ),
        class_name="overflow-x-auto",
        role="region",
        aria_label=" and ".join(heads),
        tab_index=0,
    )


def _line(first: str, name: str, meaning: str) -> rx.Component:
    return rx.el.tr(
        rx.el.td(first, class_name="py-2.5 pr-4 text-muted tabular-nums whitespace-nowrap align-top"),
        rx.el.td(
            rx.el.code(name, class_name="font-mono text-[0.8125rem] whitespace-nowrap"),
            class_name="py-2.5 pr-4 align-top",
        ),
        rx.el.td(meaning, class_name="py-2.5 min-w-56"),
        class_name="border-t border-line",
    )
