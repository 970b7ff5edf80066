"""One chart for the whole product: Plotly's small build, our two themes, a table behind it.

Import this module only in pages that draw a chart: it brings the chart library with it.
"""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import reflex as rx
from plotly.graph_objs.layout import Template

from assisters_app.ui import theme
from assisters_app.ui.parts.cards import skeleton
from assisters_app.ui.parts.tables import failed

Figure = dict[str, Any]  # {"data": [{"type": "bar", "x": […], "y": […], "name": …}], "layout": {…}}; never a go.Figure

_CONFIG = {"displaylogo": False, "displayModeBar": False, "responsive": True, "scrollZoom": False, "doubleClick": False}


def chart(
    figure: Any,
    *,
    label: str,
    phase: rx.Var[str],
    blank: rx.Var[bool],
    empty: rx.Component,
    retry: Any,
    columns: rx.Var[list[str]] | Sequence[str],
    rows: rx.Var[list[list[str]]],
    height: str = "280px",
    on_click: Any = None,
) -> rx.Component:
    """Return a chart of a dict figure, with the same figures as a table below it.

    `phase` is "loading", "failed" or "ready"; `blank` says that there is nothing to draw (then `empty` is shown).
    `on_click` gets Plotly's points (x, y, curveNumber, pointNumber).
    """
    handler = {} if on_click is None else {"on_click": on_click}
    plot = rx.plotly.basic(
        data=figure.to(go.Figure),
        template=rx.color_mode_cond(_LIGHT, _DARK).to(Template),
        config=_CONFIG,
        use_resize_handler=True,
        width="100%",
        height=height,
        **handler,
    )
    return rx.match(
        phase,
        ("failed", failed(retry)),
        ("ready", rx.cond(blank, empty, _drawn(plot, label, columns, rows, height))),
        rx.el.div(skeleton("w-full h-full"), aria_busy="true", style={"height": height}),
    )


def _drawn(plot: rx.Component, label: str, columns: Any, rows: Any, height: str) -> rx.Component:
    heads = columns if isinstance(columns, rx.Var) else rx.Var.create(list(columns))
    return rx.el.figure(
        rx.el.div(plot, aria_hidden="true", style={"min_height": height}),
        rx.el.details(
            rx.el.summary(
                "Show as a table",
                class_name="inline-flex items-center h-8 px-2 -mx-2 rounded-md text-[0.8125rem] text-muted hover:text-ink hover:bg-raised",
            ),
            rx.el.div(
                rx.el.table(
                    rx.el.caption(label, class_name="sr-only"),
                    rx.el.thead(rx.el.tr(rx.foreach(heads, _head))),
                    rx.el.tbody(rx.foreach(rows, _line)),
                    class_name="w-full text-[0.8125rem]",
                ),
                role="region",
                aria_label=label,
                tab_index=0,
                class_name="mt-2 max-h-80 overflow-auto",
            ),
            class_name="mt-2",
        ),
        role="group",
        aria_label=label,
        class_name="w-full min-w-0",
    )


def _head(name: Any) -> rx.Component:
    return rx.el.th(
        name,
        scope="col",
        class_name="py-1.5 pr-4 text-left font-medium text-muted whitespace-nowrap sticky top-0 bg-surface",
    )


def _line(cells: Any) -> rx.Component:
    return rx.el.tr(
        rx.foreach(cells, lambda cell: rx.el.td(cell, class_name="py-1.5 pr-4 tabular-nums whitespace-nowrap")),
        class_name="border-t border-line",
    )


def _theme(mode: str) -> dict[str, Any]:
    text, grid, font = theme.CHART_TEXT[mode], theme.CHART_LINES[mode], {"family": theme.FONT, "size": 12}
    axis = {"gridcolor": grid, "zerolinecolor": grid, "linecolor": grid, "automargin": True, "fixedrange": True}
    return {
        "layout": {
            "font": {**font, "color": text},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(theme.CHART_COLOURS[mode]),
            "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
            "xaxis": {**axis, "showgrid": False},
            "yaxis": {**axis, "rangemode": "tozero", "nticks": 5},
            "hoverlabel": {"font": {**font, "color": text}, "bgcolor": theme.CHART_OVER[mode], "bordercolor": grid},
            "hovermode": "x unified",
            "bargap": 0.3,
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        }
    }


_LIGHT, _DARK = _theme("light"), _theme("dark")
