"""Logs: JSON lines, with all that identifies a person or opens a door taken out."""

import json
import logging
import re
import sys
from typing import Any

from assisters_app.base import error_reports
from assisters_app.base.clock import now

SENSITIVE = re.compile(
    r"""
      ask_[A-Za-z0-9_]+                                   # API keys
    | (?<=earer\s)[A-Za-z0-9._~+/=-]+                     # any bearer token
    | (?:sk|rk|whsec|sb_secret)_[A-Za-z0-9_]+             # Stripe's and Supabase's secrets
    | [A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+ # e-mail addresses
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                     # user and password in an address
    | \b(?:\d{1,3}\.){3}\d{1,3}\b                         # IPv4
    | \b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{0,4}\b      # IPv6
    | (?<=token=)[A-Za-z0-9_-]+                           # tokens in addresses
    """,
    re.VERBOSE,
)
TAKEN_OUT = "[removed]"
FIELDS = ("ref", "route", "status", "handle", "job", "duration_ms")  # what a record may carry beside its sentence


def redact(text: str) -> str:
    """Return `text` without keys, tokens, addresses of people or machines."""
    return SENSITIVE.sub(TAKEN_OUT, text)


class _Lines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": now().isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "from": record.name,
            "says": redact(record.getMessage()),
        }
        line.update({field: getattr(record, field) for field in FIELDS if hasattr(record, field)})
        if record.exc_info:
            line["traceback"] = redact(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=False, default=lambda value: redact(str(value)))


def configure() -> None:
    """Send this process's logs to standard error, and its errors to Sentry when a DSN is set."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for chatty in ("httpx", "httpx2", "httpcore", "stripe", "hpack", "aiosmtplib", "procrastinate"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    error_reports.configure()
