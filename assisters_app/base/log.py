"""Logs: JSON lines, with all that identifies a person or opens a door taken out."""

import json
import logging
import sys
from typing import Any

from assisters_app.base import cards, error_reports
from assisters_app.base.clock import now
from assisters_app.base.redaction import redact, redact_traceback

FIELDS = ("ref", "route", "status", "handle", "job", "duration_ms")  # what a record may carry beside its sentence


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": now().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "says": cards.taken_out(redact(record.getMessage())),
        }
        line.update({field: _field(getattr(record, field)) for field in FIELDS if hasattr(record, field)})
        if record.exc_info:
            line["traceback"] = cards.taken_out(redact_traceback(self.formatException(record.exc_info)))
        return json.dumps(line, ensure_ascii=False, default=lambda value: redact(str(value)))


def configure() -> None:
    """Send this process's logs to standard error, and its errors to Sentry when a DSN is set."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    handler.addFilter(_worth_a_line)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "stripe", "hpack", "aiosmtplib", "procrastinate"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logging.getLogger("procrastinate.worker").setLevel(logging.INFO)  # where a job that failed and comes again is told
    error_reports.configure()


def _field(value: Any) -> Any:  # noqa: ANN401 (whatever a record carries)
    return value if isinstance(value, int | float | None) else cards.taken_out(redact(str(value)))


def _worth_a_line(record: logging.LogRecord) -> bool:
    """Drop the queue's small talk; say of a job that failed its name, which attempt it was and the kind of the error.

    Its arguments are nobody's. What is tried again is a warning without a traceback, for it may come eight times.
    """
    if not record.name.startswith("procrastinate"):
        return True
    action, job = getattr(record, "action", ""), getattr(record, "job", None)
    if not (action.startswith("job_error") and isinstance(job, dict)):
        return record.levelno >= logging.WARNING
    again = action == "job_error_retry"
    kind = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else "no error"
    end = "it is tried again" if again else "it is given up"
    record.msg = f"A job failed: {job['task_name']}, attempt {job['attempts'] + 1}, {kind}; {end}."
    record.args, record.job = (), job["task_name"]
    if again:
        record.levelno, record.levelname, record.exc_info = logging.WARNING, "WARNING", None
    return True
