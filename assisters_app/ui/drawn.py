"""What a person's usage page and the two of staff draw alike, from a State that names its vars alike.

Such a State has `phase`, `blank`, `sums` and `again`, and of each chart `…_figure` and `…_rows`.
"""

from typing import Any

import reflex as rx

from assisters_app.ui.amounts import amount
from assisters_app.ui.parts import stat, stats
from assisters_app.ui.parts.charts import chart


def four_sums(state: Any, cost: str = "Cost") -> rx.Component:
    """Return cost (under the title `cost`), requests, tokens and failures, with how each has changed."""
    sums, ready = state.sums, state.phase == "ready"
    return stats(
        stat(cost, amount(sums.cost), sums.cost_change, ready=ready),
        stat("Requests", sums.requests, sums.requests_change, ready=ready),
        stat("Tokens", sums.tokens, sums.tokens_change, ready=ready),
        stat("Failed", sums.errors, sums.errors_change, ready=ready),
    )


def chart_of(
    state: Any, what: str, label: str, columns: Any, nothing: rx.Component, blank: Any = None, **look: Any
) -> rx.Component:
    """Return the chart of `what` and the table behind it, or `nothing` when (`blank`, else `state.blank`) there is none to draw."""
    return chart(
        getattr(state, f"{what}_figure"),
        label=label,
        phase=state.phase,
        blank=state.blank if blank is None else blank,
        empty=nothing,
        retry=state.again,
        columns=columns,
        rows=getattr(state, f"{what}_rows"),
        **look,
    )
