"""The published words for kinds of data and what they are used for (fideslang), as a file beside this one.

    strangers(marked, uses) -> tuple[str, …]      words that the taxonomy does not have
    CATEGORIES, USES, SUBJECTS                    fides key → its published name

The file holds the keys and names of fideslang 3.0.0 (CC BY 4.0); nothing is fetched at run time.
"""

from collections.abc import Iterable
from pathlib import Path

import orjson

_FILE = orjson.loads((Path(__file__).parent / "fideslang.json").read_bytes())
VERSION: str = _FILE["version"]
SOURCE: str = _FILE["from"]
CATEGORIES: dict[str, str] = _FILE["data_categories"]
USES: dict[str, str] = _FILE["data_uses"]
SUBJECTS: dict[str, str] = _FILE["data_subjects"]


def strangers(categories: Iterable[str], uses: Iterable[str]) -> tuple[str, ...]:
    """Return the categories and uses that the published taxonomy does not have, sorted."""
    return (*sorted(set(categories) - CATEGORIES.keys()), *sorted(set(uses) - USES.keys()))
