"""Every way in which the API refuses: its code, its HTTP status, what it means, whether to try again.

A test holds that each code which the API's modules raise is here, with its status.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One code. `again` says when trying again helps: "later", "no", or "fixed" for once the request is corrected."""

    code: str
    status: int
    meaning: str
    again: str = "fixed"


_ALL = (
    Problem("invalid_json", 400, "The body is not a JSON object."),
    Problem("invalid_form", 400, "The body is not a form (`multipart/form-data`), or is cut off."),
    Problem("invalid_value", 400, "A parameter has a wrong type or value. `param` names it."),
    Problem("number_too_large", 400, "The body holds a whole number that does not fit into 64 bits."),
    Problem("unsupported_parameter", 400, "A parameter would make the call dearer, and has no price here."),
    Problem("missing_model", 400, "The request names no model."),
    Problem("wrong_model", 400, "The model exists, but does not do what this address is for."),
    Problem(
        "invalid_idempotency_key", 400, "The `Idempotency-Key` is longer than 255 characters, or not printable ASCII."
    ),
    Problem("amount_too_small", 400, "The smallest top-up is $10."),
    Problem("amount_too_large", 400, "From $500 on, sales make a better offer."),
    Problem("missing_api_key", 401, "There is no `Authorization: Bearer` header."),
    Problem("invalid_api_key", 401, "The key is mistyped, unknown or revoked."),
    Problem("expired_key", 401, "The key's time is over. Make a new one."),
    Problem("account_suspended", 403, "The account is suspended. Signing in shows why, and how to appeal.", "no"),
    Problem("scope_missing", 403, "The key does not have the scope that this address needs."),
    Problem("ip_not_allowed", 403, "The key has a list of addresses it may be used from, and this is none of them."),
    Problem(
        "domain_not_allowed", 403, "The key has a list of domains whose pages may use it, and this is none of them."
    ),
    Problem("model_not_allowed", 403, "The key may not call this model.", "no"),
    Problem("live_key_required", 403, "A test key moves no money."),
    Problem("model_not_found", 404, "There is no such model. `GET /v1/models` lists those there are."),
    Problem("unknown_url", 404, "There is nothing at this address."),
    Problem("method_not_allowed", 405, "The address exists, but not for this method."),
    Problem("request_timeout", 408, "The body took longer than two minutes to arrive.", "later"),
    Problem(
        "idempotency_in_progress",
        409,
        "A request with this `Idempotency-Key` is still being answered. Its answer comes with the next try.",
        "later",
    ),
    Problem(
        "idempotency_answer_lost",
        409,
        "The request with this `Idempotency-Key` was done, but its answer was not kept. The request log shows it. Use a new key.",
        "no",
    ),
    Problem("idempotency_key_reused", 422, "The `Idempotency-Key` was used for another request. Use a new key."),
    Problem("body_too_large", 413, "The body is larger than this address takes."),
    Problem(
        "rate_limit_exceeded", 429, "Too much in this minute. Wait as many seconds as `Retry-After` says.", "later"
    ),
    Problem("too_many_at_once", 429, "As many calls are in flight as the key or the plan allows.", "later"),
    Problem("request_too_large", 429, "The call could use more tokens than a whole minute's limit allows."),
    Problem(
        "insufficient_quota",
        429,
        "The balance, a budget of the key or the spend cap does not cover the most the call can cost. Top up, ask for "
        "less, or wait for the time that the message names.",
    ),
    Problem("too_many", 429, "This address was asked too often. Wait as many seconds as `Retry-After` says.", "later"),
    Problem("sandbox_error", 500, "The sandbox was asked to fail with `sandbox:error`.", "later"),
    Problem(
        "internal_error", 500, "Something went wrong on our side. Tell us the request's id if it stays so.", "later"
    ),
    Problem("upstream_error", 502, "The model did not answer. Nothing was charged.", "later"),
    Problem("service_unavailable", 503, "Something that the call needs is down. Nothing was charged.", "later"),
    Problem("model_without_price", 503, "The model is listed but cannot be called yet.", "later"),
    Problem("model_without_upstream", 503, "The model is listed, and nobody here answers for it yet.", "later"),
    Problem("upstream_overloaded", 503, "The model has no capacity left right now. Nothing was charged.", "later"),
    Problem("payments_off", 503, "No payment provider is set up here.", "no"),
    Problem("payments_unreachable", 503, "The payment provider does not answer. Nothing was charged.", "later"),
    Problem("upstream_timeout", 504, "The model took too long to answer. Nothing was charged.", "later"),
    Problem("bad_signature", 400, "The signature does not match the message."),
    Problem("incomplete", 400, "The message did not arrive whole.", "later"),
    Problem("not_found", 404, "There is nothing here, or nothing of yours.", "no"),
)
PROBLEMS = {problem.code: problem for problem in _ALL}

KEY = (
    "missing_api_key",
    "invalid_api_key",
    "expired_key",
    "account_suspended",
    "ip_not_allowed",
    "domain_not_allowed",
    "internal_error",
    "service_unavailable",
)
BODY = ("invalid_json", "invalid_value", "number_too_large", "request_timeout", "body_too_large")
ONCE = ("invalid_idempotency_key", "idempotency_in_progress", "idempotency_answer_lost", "idempotency_key_reused")
METERED = (
    *KEY,
    *BODY,
    *ONCE,
    "unsupported_parameter",
    "missing_model",
    "wrong_model",
    "scope_missing",
    "model_not_allowed",
    "model_not_found",
    "rate_limit_exceeded",
    "too_many_at_once",
    "request_too_large",
    "insufficient_quota",
    "sandbox_error",
    "upstream_error",
    "model_without_price",
    "model_without_upstream",
    "upstream_overloaded",
    "upstream_timeout",
)
UPSTREAMS_OWN = (400, 404, 409, 413, 415, 422)  # statuses with which a model's own refusal is handed on, code and all
