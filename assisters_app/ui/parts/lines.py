"""A line of a few figures beside a name: too small for axes, drawn without a chart library."""

from collections.abc import Sequence

WIDTH, HEIGHT, EDGE = 96, 24, 2


def line(figures: Sequence[int]) -> str:
    """Return the points of an SVG polyline (96 by 24) through `figures`, "" when there are fewer than two."""
    if len(figures) < 2:  # noqa: PLR2004 (a line has two ends)
        return ""
    top, step = max(*figures, 1), WIDTH / (len(figures) - 1)
    heights = (HEIGHT - EDGE - figure / top * (HEIGHT - 2 * EDGE) for figure in figures)
    return " ".join(f"{n * step:.1f},{height:.1f}" for n, height in enumerate(heights))
