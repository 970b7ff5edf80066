"""A first call, ready to paste: in Python, Node and curl, with the reader's own key where there is one."""

import reflex as rx

from assisters_app.ui.parts import code
from assisters_app.ui.parts.choices import choices
from assisters_app.ui.words import BASE, MODEL, YOUR_KEY, first_call_python


def first_call(key: str | rx.Var[str] = YOUR_KEY, *, name: str = "language") -> rx.Component:
    """Return the snippet with `key` filled in; `name` tells several of them on one page apart."""
    return choices(
        name,
        ("Python", code(first_call_python(key), label="Copy Python code")),
        ("Node", code(_node(key), label="Copy Node code")),
        ("curl", code(_curl(key), label="Copy curl command")),
        label="Language",
    )


def _node(key: str | rx.Var[str]) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: "{BASE}/v1", apiKey: "{key}" }});
const answer = await client.chat.completions.create({{
  model: "{MODEL}", messages: [{{ role: "user", content: "Say hello." }}],
}});
console.log(answer.choices[0].message.content);"""


def _curl(key: str | rx.Var[str]) -> str:
    return f"""curl {BASE}/v1/chat/completions \\
  -H "Authorization: Bearer {key}" \\
  -H "Content-Type: application/json" \\
  -d '{{"model": "{MODEL}", "messages": [{{"role": "user", "content": "Say hello."}}]}}'"""
