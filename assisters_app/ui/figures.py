"""Usage as plain-dict figures for charts, and the same figures as rows of text for the table behind each."""

from collections.abc import Callable, Sequence
from typing import Any

from assisters_app.base.money import NANO, dollars
from assisters_app.usage.periods import Step
from assisters_app.usage.reports import Point, Series, Sums

Figure = dict[str, Any]
Rows = list[list[str]]

BAD = "#d2493d"  # failed requests, in both themes
LABELS = {"quarter": "%a %d %b %H:%M %Z", "hour": "%a %d %b %H:%M %Z", "day": "%a %d %b %Y", "month": "%B %Y"}


def requests(series: Series, before: Series | None, step: Step) -> tuple[Figure, Rows]:
    """Draw answered and failed requests, one on the other; each row has both, and all of the period before."""
    answered = [point.sums.requests - point.sums.errors for point in series.points]
    failed = [point.sums.errors for point in series.points]
    bars = [
        _bars("Answered", series, answered, step),
        {**_bars("Failed", series, failed, step), "marker": {"color": BAD}},
    ]
    figure = _figure([*bars, *_earlier(series, before, lambda sums: sums.requests, step)])
    return figure, _rows(series, before, step, _requests_cells, lambda sums: f"{sums.requests:,}")


def tokens(series: Series, before: Series | None, step: Step) -> tuple[Figure, Rows]:
    """Draw input and output tokens, one on the other."""
    into = _bars("Input", series, [point.sums.input_tokens for point in series.points], step)
    out = _bars("Output", series, [point.sums.output_tokens for point in series.points], step)
    figure = _figure([into, out, *_earlier(series, before, lambda sums: sums.tokens, step)])
    return figure, _rows(series, before, step, _tokens_cells, lambda sums: f"{sums.tokens:,}")


def cost(by_model: Sequence[Series], whole: Series, before: Series | None, step: Step) -> tuple[Figure, Rows]:
    """Draw what was spent in dollars, by model; each row has the sum and its exact amount."""
    bars = [_bars(one.label, one, [_usd(point.sums) for point in one.points], step) for one in by_model]
    figure = _figure([*bars, *_earlier(whole, before, _usd, step)], tickprefix="$")
    return figure, _rows(
        whole, before, step, lambda sums: [dollars(sums.cost_nano)], lambda sums: dollars(sums.cost_nano)
    )


def label(point: Point, step: Step) -> str:
    """Return what the table calls a bucket, in the viewer's zone."""
    return point.at.strftime(LABELS[step])


def _usd(sums: Sums) -> float:
    return sums.cost_nano / NANO  # for drawing only: what is read is exact, in the table


def _bars(name: str, series: Series, heights: Sequence[float], step: Step) -> dict[str, Any]:
    return {"type": "bar", "name": name, "x": [_x(point, step) for point in series.points], "y": list(heights)}


def _earlier(
    series: Series, before: Series | None, height: Callable[[Sums], float], step: Step
) -> list[dict[str, Any]]:
    """Draw the period before as a dotted line over the present one, bucket by bucket."""
    if before is None:
        return []
    pairs = list(zip(series.points, before.points, strict=False))  # months differ in length: the longer end is cut
    line = {
        "type": "scatter",
        "mode": "lines",
        "name": "Period before",
        "x": [_x(now, step) for now, _ in pairs],
        "y": [height(then.sums) for _, then in pairs],
        "line": {"dash": "dot", "width": 2, "color": "#8b8a84"},
    }
    return [line]


def _x(point: Point, step: Step) -> str:
    return point.at.strftime("%Y-%m-%d" if step in ("day", "month") else "%Y-%m-%d %H:%M")


def _figure(data: list[dict[str, Any]], **y: Any) -> Figure:
    return {"data": data, "layout": {"barmode": "stack", "yaxis": y, "showlegend": len(data) > 1}}


def _requests_cells(sums: Sums) -> list[str]:
    return [f"{sums.requests:,}", f"{sums.errors:,}"]


def _tokens_cells(sums: Sums) -> list[str]:
    return [f"{sums.input_tokens:,}", f"{sums.cached_tokens:,}", f"{sums.output_tokens:,}"]


def _rows(
    series: Series, before: Series | None, step: Step, cells: Callable[[Sums], list[str]], then: Callable[[Sums], str]
) -> Rows:
    earlier = [then(point.sums) for point in before.points] if before else []
    padded = [*earlier, *[""] * len(series.points)]
    return [
        [label(point, step), *cells(point.sums), *([padded[n]] if before else [])]
        for n, point in enumerate(series.points)
    ]
