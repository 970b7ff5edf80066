"""Lists, drawn with care in their four states: loading, failed, empty, full."""

from collections.abc import Callable, Sequence
from typing import Any

import reflex as rx

from assisters_app.ui.parts.buttons import button
from assisters_app.ui.parts.cards import skeleton

_STACKS = 4  # from so many columns on, rows turn into blocks on a phone: see `table.stacks` in tokens.css
_HEAD = "py-2.5 pr-4 text-left text-xs font-medium text-muted whitespace-nowrap"
_CELL = "py-3 pr-4 align-middle "


def table(
    rows: Any,
    cells: Callable[[Any], Sequence[Any]],
    *,
    label: str,
    columns: Sequence[str],
    phase: rx.Var[str],
    empty: rx.Component,
    retry: Any,
    key: Callable[[Any], Any] | None = None,
    right: Sequence[int] = (),
    more: rx.Component | None = None,
) -> rx.Component:
    """Return a list.

    `rows` is a State var, `cells(row)` gives one component or text per column, `key(row)` what tells rows apart,
    `right` names the columns of figures (they stand right). `phase` is "loading", "failed" or "ready" (see
    `session.loading`); `retry` is the handler behind "Try again"; `more` goes below (pages, "Show more"). On a phone the
    rows of a table of four columns or more become blocks: the first cell heads one, the others follow with their names.
    """
    return rx.match(
        phase,
        ("failed", failed(retry)),
        ("ready", rx.cond(rows.length() > 0, _full(rows, cells, label, columns, key, right, more), empty)),
        _waiting(label, columns),
    )


def sheet(lines: Sequence[Sequence[Any]], *, label: str, columns: Sequence[str]) -> rx.Component:
    """Return a list that is known when the page is drawn: a line for each of `lines`, of one cell per column."""
    return _drawn(rx.fragment(*[_line(cells, columns, ()) for cells in lines]), label, columns, ())


def empty(title: str, text: str, action: rx.Component | None = None, icon: str = "inbox") -> rx.Component:
    """Return what an empty list says: what belongs here, and the button that makes the first one."""
    return rx.el.div(
        rx.el.span(
            rx.icon(icon, size=20, aria_hidden="true"),
            class_name="grid place-items-center size-10 rounded-full bg-raised text-muted",
        ),
        rx.el.p(title, class_name="mt-3 font-medium"),
        rx.el.p(text, class_name="mt-1 text-muted max-w-sm"),
        rx.el.div(action, class_name="mt-4") if action is not None else rx.fragment(),
        class_name="flex flex-col items-center justify-center text-center px-4 py-8",
    )


def show_more(there_is: Any, read_on: Any) -> rx.Component:
    """Return the button below a list that has a next page."""
    return rx.cond(
        there_is,
        rx.el.div(
            button("Show more", kind="secondary", size="small", on_click=read_on),
            class_name="flex justify-center pt-4 border-t border-line",
        ),
    )


def failed(retry: Any) -> rx.Component:
    """Return what a list says that could not be loaded."""
    return rx.el.div(
        rx.el.p("This could not be loaded.", class_name="font-medium"),
        rx.el.p("Nothing was changed. It may work in a moment.", class_name="mt-1 text-muted"),
        button("Try again", kind="secondary", size="small", on_click=retry, class_name="mt-4"),
        role="alert",
        class_name="flex flex-col items-center justify-center text-center px-4 py-12",
    )


def _full(
    rows: Any, cells: Any, label: str, columns: Sequence[str], key: Any, right: Sequence[int], more: Any
) -> rx.Component:
    def line(row: Any) -> rx.Component:
        return _line(cells(row), columns, right, **({"key": key(row)} if key else {}))

    return rx.el.div(_drawn(rx.foreach(rows, line), label, columns, right), more or rx.fragment())


def _line(cells: Sequence[Any], columns: Sequence[str], right: Sequence[int], **props: Any) -> rx.Component:
    tds = [
        rx.el.td(
            cell,
            role="cell",
            custom_attrs={"data-label": columns[n]} if n and columns[n] else {},
            class_name=_CELL + ("text-right tabular-nums last:pr-0" if n in right else "last:pr-0"),
        )
        for n, cell in enumerate(cells)
    ]
    return rx.el.tr(*tds, role="row", class_name="border-t border-line", **props)


def _drawn(lines: rx.Component, label: str, columns: Sequence[str], right: Sequence[int]) -> rx.Component:
    return _scroll(
        label,
        rx.el.table(
            _head(label, columns, right),
            rx.el.tbody(lines, role="rowgroup"),
            role="table",
            class_name="w-full" + (" stacks" if len(columns) >= _STACKS else ""),
        ),
    )


def _waiting(label: str, columns: Sequence[str]) -> rx.Component:
    line = rx.el.tr(
        *[rx.el.td(skeleton("h-4 w-24 max-w-full"), class_name=_CELL) for _ in columns],
        class_name="border-t border-line",
    )
    return rx.el.div(
        rx.el.table(_head(label, columns, ()), rx.el.tbody(line, line, line), class_name="w-full"),
        rx.el.span("Loading", class_name="sr-only"),
        aria_busy="true",
        class_name="overflow-hidden",
    )


def _head(label: str, columns: Sequence[str], right: Sequence[int]) -> rx.Component:
    heads = [
        rx.el.th(
            name or rx.el.span("Actions", class_name="sr-only"),
            scope="col",
            role="columnheader",
            class_name=_HEAD + (" text-right" if n in right else "") + " last:pr-0",
        )
        for n, name in enumerate(columns)
    ]
    return rx.fragment(
        rx.el.caption(label, class_name="sr-only"), rx.el.thead(rx.el.tr(*heads, role="row"), role="rowgroup")
    )


def _scroll(label: str, inner: rx.Component) -> rx.Component:
    # A region that scrolls sideways must be reachable by keyboard.
    return rx.el.div(inner, class_name="relative overflow-x-auto", role="region", aria_label=label, tab_index=0)
