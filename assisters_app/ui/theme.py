"""How the product looks, in one place: the stylesheet, what stands in every head, and the colours of charts.

Colours, type and shadows are tokens in `assets/tokens.css`; `rxconfig.py` gives them Tailwind names (`bg-surface`,
`text-muted`, `border-line`, `shadow-card` …).
"""

import reflex as rx

STYLESHEETS = ["/tokens.css"]
FONT = '"Inter Variable", Inter, ui-sans-serif, system-ui, sans-serif'

# Neighbouring colours differ in lightness too, so that they are told apart without colour vision.
CHART_COLOURS = {
    "light": ("#2a4fd0", "#0f9488", "#d97b06", "#b0379b", "#6b7280"),
    "dark": ("#93abff", "#3fcfbf", "#f0b95a", "#ec8fdb", "#9ca3af"),
}
CHART_LINES = {"light": "#e6e5e1", "dark": "#2b2b2e"}
CHART_TEXT = {"light": "#5c5b57", "dark": "#a9a9a6"}
CHART_OVER = {"light": "#ffffff", "dark": "#202022"}


def head() -> list[rx.Component]:
    """Return what stands in the head of every page."""
    return [
        rx.el.link(rel="icon", href="/logo.svg", type="image/svg+xml"),
        rx.el.meta(name="theme-color", content="#fbfbfa", custom_attrs={"media": "(prefers-color-scheme: light)"}),
        rx.el.meta(name="theme-color", content="#0e0e0f", custom_attrs={"media": "(prefers-color-scheme: dark)"}),
        rx.el.meta(name="color-scheme", content="light dark"),
    ]
