"""The copy of a person's data (Art. 15) as a PDF: tagged for screen readers, made in memory, kept nowhere.

    await pdf(copy) -> bytes

It is set by Typst from `copy.typ`; what a person wrote travels as data beside it and is never read as markup.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import typst

from assisters_app.privacy.rights.access import Copy
from assisters_app.ui.privacy.paper_copy import TITLE, context_facts, lead, recipients, section_facts, shortened
from assisters_app.ui.words import COMPANY, CONTACT

TEMPLATE = (Path(__file__).parent / "copy.typ").read_bytes()
MISSING = "Letters that no font of ours has are shown as boxes; the page and the export hold them as they are."

_turn: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}


async def pdf(copy: Copy) -> bytes:
    """Return the copy as a PDF; one at a time in a process, and without keeping anybody else waiting."""
    async with _turn.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
        return await asyncio.to_thread(_set, copy)


def _set(copy: Copy) -> bytes:
    try:
        return _compiled(_told(copy), accessible=True)
    except typst.TypstError:  # the one thing its standard refuses in this template: a letter without a font
        return _compiled(_told(copy, MISSING), accessible=False)


def _compiled(told: dict[str, Any], *, accessible: bool) -> bytes:
    """Set the document; `accessible` holds it to PDF/UA-1 (ISO 14289-1). It is tagged either way."""
    files = {"main.typ": TEMPLATE, "data.json": orjson.dumps(told)}
    made: bytes = typst.compile(files, format="pdf", pdf_standards=["ua-1"] if accessible else [])  # type: ignore[call-overload]
    return made


def _told(copy: Copy, note: str = "") -> dict[str, Any]:
    columns, rows = recipients(copy.context)
    return {
        "title": TITLE,
        "company": COMPANY,
        "lead": " ".join(filter(None, (lead(copy), note))),
        "footer": f"{COMPANY} · {CONTACT}",
        "context": [
            _part("What the law wants you to know (GDPR Art. 15)", context_facts(copy.context), (), ()),
            _part("Who receives it, and what protects it there", (), columns, rows),
        ],
        "sections": [
            _part(section.title, section_facts(section), section.columns, section.rows, shortened(section))
            for section in copy.sections
        ],
    }


def _part(
    title: str,
    facts: Sequence[tuple[str, str | Sequence[str]]],
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    note: str = "",
) -> dict[str, Any]:
    return {"title": title, "lead": note, "facts": facts, "columns": columns, "rows": rows}
