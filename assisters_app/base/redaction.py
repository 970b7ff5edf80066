"""What may not stand in a log: read from the marks, and from the shapes that secrets and addresses have.

    redact(text) -> str            without keys, tokens, addresses, ids, and without the value of any marked column
    redact_traceback(text) -> str  the same; the lines of our own code between stay as they are

A value that is named (`email='ada@…'`, `"user_agent": "…"`, PostgreSQL's `Key (name)=(Ada)`) is taken out when its name
is that of a column that says something about a person or that no copy holds. So a column that is marked is kept out of
the logs from that moment on.

Whoever makes us fail has a say in how long the text is that we look through, while everybody else waits: no pattern
begins anew at each letter of a word, and what is longer than LONGEST is cut before it is looked at.
"""

import functools
import re

from sqlalchemy import JSON, LargeBinary, String, TypeDecorator
from sqlmodel import SQLModel

from assisters_app.base.marks import mark_of

LONGEST = 10_000  # characters of a sentence that are written down
SENSITIVE = re.compile(
    r"""
      ask_[A-Za-z0-9_]+                                   # API keys
    | (?<=earer\s)[A-Za-z0-9._~+/=-]+                     # any bearer token
    | (?:sk|rk|whsec|sb_secret)_[A-Za-z0-9_]+             # Stripe's and Supabase's secrets
    | (?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+ # e-mail addresses
    | (?<=://)[^/\s:@]*:[^/\s@]+(?=@)                     # user and password in an address
    | \b(?:\d{1,3}\.){3}\d{1,3}\b                         # IPv4
    | \b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{0,4}\b      # IPv6
    | \b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b  # ids, of accounts too: logs outlive an erasure
    | (?<=token=)[A-Za-z0-9_-]+                           # tokens in addresses
    """,
    re.VERBOSE,
)
TAKEN_OUT = "[removed]"
# What PostgreSQL quotes of a row when it refuses one. A value may hold anything, line breaks and brackets too.
QUOTED_KEY = re.compile(r"(Key \([^=\n]*\))=\((?:.*?\)(?=\s(?:already|is (?:not|still)|conflicts)|\.?$)|.*)", re.DOTALL)
QUOTED_ROW = re.compile(r"(Failing row contains )\((?:.*\)|.*)", re.DOTALL)
VALUE = r"""(?:"(?:[^"\\]|\\.)*(?:"|\\?\Z)|'(?:[^'\\]|\\.)*(?:'|\\?\Z)|[^\s,;)}\]]+)"""  # one that was cut, too


def redact(text: str) -> str:
    """Return `text` without what identifies a person or opens a door; the beginning of it, when it is very long."""
    if len(text) > LONGEST:
        text = f"{text[:LONGEST].rpartition(' ')[0]} [{len(text) - LONGEST} characters or more cut]"
    text = QUOTED_ROW.sub(rf"\1{TAKEN_OUT}", QUOTED_KEY.sub(rf"\1={TAKEN_OUT}", text))
    return SENSITIVE.sub(TAKEN_OUT, _named(len(SQLModel.metadata.tables)).sub(rf"\1{TAKEN_OUT}", text))


def redact_traceback(text: str) -> str:
    """Return a traceback without what identifies a person; a line of code says `email=email`, and no address."""
    parts: list[str] = []
    told: list[str] = []
    after_place = False
    for line in text.splitlines():
        place = line.lstrip().startswith('File "')
        if place or (after_place and line.startswith("    ")):
            parts += [redact("\n".join(told))] * bool(told) + [SENSITIVE.sub(TAKEN_OUT, line)]
            told = []
        else:
            told.append(line)
        after_place = place
    return "\n".join(parts + [redact("\n".join(told))] * bool(told))


def marked_names() -> frozenset[str]:
    """Return the columns whose values are kept out: text that says something about a person, or that no copy holds."""
    return frozenset(
        column.name
        for table in SQLModel.metadata.tables.values()
        for column in table.c
        if (mark_of(column).category or not mark_of(column).export) and _is_text(column.type)
    )


def _is_text(kind: object) -> bool:
    inner = kind.impl_instance if isinstance(kind, TypeDecorator) else kind
    return isinstance(inner, String | JSON | LargeBinary)


@functools.lru_cache(maxsize=4)
def _named(tables: int) -> re.Pattern[str]:
    """Return what finds a marked column's name with its value; made anew when there are more tables than before."""
    names = "|".join(sorted(map(re.escape, marked_names()), key=len, reverse=True)) if tables else "(?!)"
    return re.compile(rf"""(["']?\b(?:{names})\b["']?\s*[=:]\s*){VALUE}""")
