"""What Sentry is told of an error: what kind it is and where in our code it arose, and nothing else.

A report is built anew from the few fields that hold no data, rather than cleaned of those that do: what an SDK adds
tomorrow is left out by itself. The message of an exception may quote anything (a prompt, a row), so it stays here, in
the log of this machine. One person's reports cannot be deleted at Sentry; so there must be none.
"""

from typing import Any

import sentry_sdk

from assisters_app.base.settings import settings

OURS = "assisters_app"
SDK: dict[str, Any] = {  # what the SDK may look at in the first place
    "include_local_variables": False,
    "max_request_body_size": "never",
    "max_breadcrumbs": 0,
    # send_default_pii is left out: that is its "no", and the SDK warns of the word itself since 2.75.
    "server_name": "",
    "auto_enabling_integrations": False,  # they would watch requests, queries and calls to models
    "auto_session_tracking": False,
    "send_client_reports": False,
    "trace_propagation_targets": [],  # no header of ours goes to Stripe or to a model for Sentry's sake
}


def configure() -> None:
    """Report this process's errors when a DSN is set."""
    if settings().sentry_dsn:
        sentry_sdk.init(settings().sentry_dsn, **SDK, before_send=report, before_send_transaction=_none)


def report(event: Any, _hint: dict[str, Any]) -> Any:  # noqa: ANN401 (Sentry's own event type is a loose dict)
    """Return the event as it may leave: identifiers of the report, kinds of errors, and frames of code."""
    told = {key: event[key] for key in ("event_id", "timestamp", "platform", "level", "sdk") if key in event}
    told["environment"] = settings().environment
    if str(event.get("logger", "")).startswith(OURS):  # only our own loggers are known to say constant sentences
        told["logger"] = event["logger"]
        told["logentry"] = {"message": (event.get("logentry") or {}).get("message", "")}
    errors = (event.get("exception") or {}).get("values") or []
    told["exception"] = {"values": [_error(one) for one in errors]}
    return told


def _none(_event: Any, _hint: dict[str, Any]) -> None:  # noqa: ANN401 (as above)
    """Send no transaction: they tell of calls, not of errors."""


def _error(one: dict[str, Any]) -> dict[str, Any]:
    frames = (one.get("stacktrace") or {}).get("frames") or []
    return {
        "type": one.get("type"),
        "module": one.get("module"),
        "mechanism": {"type": "generic", "handled": bool((one.get("mechanism") or {}).get("handled", True))},
        "stacktrace": {"frames": [_frame(frame) for frame in frames]},
    }


def _frame(frame: dict[str, Any]) -> dict[str, Any]:
    """Return where a frame is and the lines of source there; not what they worked on, nor where it is installed."""
    code = ("module", "function", "lineno", "pre_context", "context_line", "post_context", "in_app")
    return {key: frame[key] for key in code if frame.get(key) is not None}
