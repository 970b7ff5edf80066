"""Errors in the shape that OpenAI's clients read: a sentence, a type, the parameter at fault, a code."""

import orjson

from assisters_app.base.errors import Refused

TYPES = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
WILL_NOT_HELP = frozenset(
    {"idempotency_answer_lost", "insufficient_quota", "request_too_large"}
)  # codes that trying again does not change
Header = tuple[bytes, bytes]


class WrongMethod(Refused):
    """The address exists, but not for this method; `allowed` names those that it answers."""

    def __init__(self, path: str, method: str, allowed: str) -> None:
        super().__init__(f"Use {allowed} for {path[:200]}, not {method}.", code="method_not_allowed", status=405)
        self.allowed = allowed


def body_of(refused: Refused) -> bytes:
    """Return the JSON body for something that was refused."""
    return body(str(refused), kind_of(refused), refused.code, refused.field)


def body(sentence: str, kind: str, code: str | None, param: str | None = None) -> bytes:
    """Return an error body."""
    return orjson.dumps({"error": {"message": sentence, "type": kind, "param": param, "code": code}})


def kind_of(refused: Refused) -> str:
    """Return OpenAI's word for the kind of an error."""
    if refused.code == "insufficient_quota":
        return "insufficient_quota"
    if refused.status >= 500:  # noqa: PLR2004 (ours, or the upstream's)
        return "server_error"
    return TYPES.get(refused.status, "invalid_request_error")


def headers_of(refused: Refused) -> list[Header]:
    """Return when to try again, or that it is of no use; and what to use instead of a wrong method."""
    if isinstance(refused, WrongMethod):
        return [(b"allow", refused.allowed.encode())]
    if refused.code in WILL_NOT_HELP:
        return [(b"x-should-retry", b"false")]
    if refused.retry_after is not None:
        return [(b"retry-after", str(refused.retry_after).encode())]
    return []
