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
        line.update({field: getattr(record, field) for field in FIELDS if hasattr(record, field)})
        if record.exc_info:
            line["traceback"] = cards.taken_out(redact_traceback(self.formatException(record.exc_info)))
        return json.dumps(line, ensure_ascii=False, default=lambda value: redact(str(value)))


def configure() -> None:
    """Send this process's logs to standard error, and its errors to Sentry when a DSN is set."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "stripe", "hpack", "aiosmtplib", "procrastinate"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    error_reports.configure()
