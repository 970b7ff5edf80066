"""Moments and counts as the viewer writes them."""

from typing import Any

import reflex as rx

from assisters_app.ui.parts.browser import LocalNumber, LocalTime, Viewer


def time(at: str | rx.Var[str], kind: str = "datetime", otherwise: str = "—") -> rx.Component:
    """Return a moment (ISO 8601 text, UTC) in the zone of one's settings, else of the browser; exact UTC on hover.

    `kind` is "datetime", "precise" (with seconds), "date", "time" or "ago" ("3 hours ago"); `otherwise` stands for none.
    As a "date", what is a midnight in UTC is a day that was picked or counted: the same day for everybody.
    """
    return LocalTime.create(at=at, kind=kind, otherwise=otherwise, class_name="whitespace-nowrap")


def number(value: Any, *, compact: bool = False) -> rx.Component:
    """Return a count grouped as the viewer groups digits; `compact` writes 12.4K and shows the count on hover."""
    return LocalNumber.create(value=value, compact=compact, class_name="tabular-nums")


def with_zone(load: Any) -> rx.Component:
    """Return an invisible part that calls `load(zone)` with the viewer's IANA time zone whenever the state is (re)loaded.

    For pages that bucket by day: use it in place of the page's `load`.
    """
    return Viewer.create(ready=rx.State.is_hydrated, on_ready=load)
