"""The API as one OpenAPI 3.1 document.

document(base) -> dict      `base` is the address in front of `/v1`
"""

from collections.abc import Iterable
from typing import Any

from assisters_app.openapi.operations import JSON, OPERATIONS, TAGS, Answer, Operation, Parameter
from assisters_app.openapi.problems import PROBLEMS, UPSTREAMS_OWN
from assisters_app.openapi.schemas import SCHEMAS, Schema, ref

VERSION = "1"
ABOUT = (
    "A metered API that speaks OpenAI's language: use their client, change its base address and its key. "
    "Every answer carries `X-Request-ID`; errors have OpenAI's shape. Parameters that we do not know are handed on."
)
NUMBER: Schema = {"type": "integer", "minimum": 0}
HEADERS: dict[str, tuple[str, Schema]] = {
    "X-Request-ID": (
        "The request's id, as the request log shows it.",
        {"type": "string", "pattern": "^req_[0-9a-f]{32}$"},
    ),
    "X-Processing-Time-Ms": ("Milliseconds from the request's arrival to the head of the answer.", NUMBER),
    "X-Overhead-Ms": ("Of these, the milliseconds that were ours and not the model's.", {"type": "number"}),
    "X-Cost-USD": (
        "What the call cost, in US dollars with nine decimals. A stream tells at its end.",
        {"type": "string", "pattern": r"^\d+\.\d{9}$"},
    ),
    "X-Sandbox": (
        "`true` where the sandbox answered: no model was asked, and nothing is charged.",
        {"type": "string", "const": "true"},
    ),
    "X-RateLimit-Limit-RPM": ("Requests per minute that are allowed.", NUMBER),
    "X-RateLimit-Remaining-RPM": ("Requests that may still come in this minute.", NUMBER),
    "X-RateLimit-Reset-RPM": ("Seconds until all of them are back, if no more are sent.", NUMBER),
    "X-RateLimit-Limit-TPM": ("Tokens per minute that are allowed.", NUMBER),
    "X-RateLimit-Remaining-TPM": ("Tokens that may still be asked for in this minute.", NUMBER),
    "X-RateLimit-Reset-TPM": ("Seconds until all of them are back, if no more are asked for.", NUMBER),
    "Retry-After": ("Seconds after which trying again makes sense.", NUMBER),
    "X-Should-Retry": ("`false` where trying again does not help.", {"type": "string"}),
    "Idempotent-Replayed": (
        "`true` where the answer was kept from an earlier request.",
        {"type": "string", "const": "true"},
    ),
    "Original-Request-ID": ("That earlier request's id.", {"type": "string", "pattern": "^req_[0-9a-f]{32}$"}),
    "ETag": ("The version of the document.", {"type": "string"}),
}
ALWAYS = ("X-Request-ID",)
TOLD = ("X-Processing-Time-Ms", "X-Overhead-Ms", "X-Cost-USD")
AGAIN = (409, 429)  # statuses whose answers say whether and when to try again
LIMITS = tuple(name for name in HEADERS if name.startswith("X-RateLimit-"))


def document(base: str) -> dict[str, Any]:
    """Return the whole document for an API that stands at `base`, such as https://api.example.com."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Assisters API", "version": VERSION, "description": ABOUT},
        "servers": [{"url": base}],
        "security": [{"key": []}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "headers": {name: _header(name) for name in HEADERS},
            "securitySchemes": {
                "key": {"type": "http", "scheme": "bearer", "bearerFormat": "ask_…", "description": "Your API key."}
            },
        },
    }


def _operation(operation: Operation) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.title,
        "description": operation.text,
        "responses": _responses(operation),
    }
    if operation.takes_beside_its_body:
        found["parameters"] = [_parameter(one) for one in operation.takes_beside_its_body]
    if operation.takes is not None:
        content = {media: {"schema": schema} for media, schema in operation.takes.items()}
        if operation.tried is not None and JSON in content:
            content[JSON]["example"] = operation.tried
        found["requestBody"] = {"required": True, "content": content}
    if operation.public:
        found["security"] = []
    return found


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.where,
        "required": parameter.where == "path",
        "description": parameter.text,
        "schema": parameter.schema,
    }


def _responses(operation: Operation) -> dict[str, Any]:
    found = {str(answer.status): _answered(operation, answer) for answer in operation.answers}
    for status, meanings in sorted(_refusals(operation).items()):
        if str(status) not in found:
            found[str(status)] = _refused(operation, status, meanings)
    return found


def _answered(operation: Operation, answer: Answer) -> dict[str, Any]:
    names = [*_of_every_answer(operation), *(("X-Sandbox",) if operation.metered else ())]
    if operation.repeatable:
        names += ("Idempotent-Replayed", "Original-Request-ID")
    names += answer.headers
    found: dict[str, Any] = {"description": answer.text, "headers": _headers(names)}
    if answer.content:
        found["content"] = {media: {"schema": schema} for media, schema in answer.content.items()}
    return found


def _refusals(operation: Operation) -> dict[int, list[str]]:
    """Return, by status, what each code of an operation means."""
    found: dict[int, list[str]] = {}
    for code in operation.problems:
        problem = PROBLEMS[code]
        found.setdefault(problem.status, []).append(f"`{code}`: {problem.meaning}")
    for status in UPSTREAMS_OWN if operation.metered else ():
        found.setdefault(status, []).append("Any other code: the model itself refused the request, and says why.")
    return found


def _refused(operation: Operation, status: int, meanings: list[str]) -> dict[str, Any]:
    names = [*_of_every_answer(operation), *(("Retry-After", "X-Should-Retry") if status in AGAIN else ())]
    return {
        "description": "\n".join(meanings),
        "headers": _headers(names),
        "content": {"application/json": {"schema": ref("Error")}},
    }


def _of_every_answer(operation: Operation) -> tuple[str, ...]:
    told = TOLD if operation.path.startswith("/v1/") else ()
    return (*ALWAYS, *told, *(LIMITS if operation.limited else ()))


def _headers(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _header(name: str) -> dict[str, Any]:
    text, schema = HEADERS[name]
    return {
        "description": text,
        "required": name in (*ALWAYS, "X-Processing-Time-Ms", "X-Overhead-Ms"),
        "schema": schema,
    }
