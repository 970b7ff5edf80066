"""The parts that need the browser: Python faces of `assets/parts.js`."""

from typing import Any, ClassVar

import reflex as rx
from reflex_components_core.el.elements.base import BaseHTML


class _Part(rx.Component):
    library = "$/public/parts.js"
    _rename_props: ClassVar[dict[str, str]] = {}


class LocalTime(_Part):
    """A moment in the viewer's zone, the exact UTC on hover."""

    tag = "LocalTime"
    at: rx.Var[str]
    kind: rx.Var[str]
    otherwise: rx.Var[str]


class LocalNumber(_Part):
    """A count as the viewer writes numbers."""

    tag = "LocalNumber"
    value: rx.Var[int | float | str]
    compact: rx.Var[bool]
    otherwise: rx.Var[str]


class Copy(_Part):
    """A button that copies `text`."""

    tag = "Copy"
    text: rx.Var[str]
    label: rx.Var[str]
    auto_focus: rx.Var[bool]


class Zone(_Part):
    """Tells every moment on the page in which zone to stand: an IANA name, "" for the browser's own."""

    tag = "Zone"
    name: rx.Var[str]


class Viewer(_Part):
    """Tells a handler the viewer's time zone once the state is loaded."""

    tag = "Viewer"
    ready: rx.Var[bool]
    on_ready: rx.EventHandler[rx.event.passthrough_event_spec(str)]


class Pulse(_Part):
    """Calls a handler every so many milliseconds, as long as what stands beside it can be seen."""

    tag = "Pulse"
    every: rx.Var[int]
    on_beat: rx.EventHandler[rx.event.no_args_event_spec]


class Modal(_Part):
    """A native modal dialog."""

    tag = "Modal"
    open: rx.Var[bool]
    title: rx.Var[str]
    description: rx.Var[str]
    on_close: rx.EventHandler[rx.event.no_args_event_spec]


class Drawer(_Part):
    """The sidebar of a narrow screen."""

    tag = "Drawer"
    label: rx.Var[str]
    button: rx.Var[Any]
    button_class: rx.Var[str]


class NavItem(_Part):
    """A link that says by itself (`aria-current`) whether it leads to the page one is on."""

    tag = "NavItem"
    to: rx.Var[str]
    end: rx.Var[bool]


class Palette(_Part):
    """The command palette (Ctrl-K)."""

    tag = "Palette"
    items: rx.Var[list[dict[str, Any]]]
    rights: rx.Var[list[str]]
    button_class: rx.Var[str]
    on_theme: rx.EventHandler[rx.event.no_args_event_spec]


class Message(_Part):
    """The one live region that speaks to the person."""

    tag = "Message"
    text: rx.Var[str]
    tone: rx.Var[str]
    number: rx.Var[int]


class PostForm(_Part):
    """A form posted to one of our addresses; works without JavaScript."""

    tag = "PostForm"
    action: rx.Var[str]


class QueryField(_Part):
    """A hidden field filled from the page's address."""

    tag = "QueryField"
    name: rx.Var[str]


class PasswordInput(BaseHTML):
    """A password field with a button to show it."""

    library = "$/public/parts.js"
    tag = "PasswordInput"
    name: rx.Var[str]
    auto_complete: rx.Var[str]
    required: rx.Var[bool]
    min_length: rx.Var[int]
    max_length: rx.Var[int]
    placeholder: rx.Var[str]
    meter: rx.Var[str]


class Finder(_Part):
    """A table of contents that is searched as one types; `places` have `id`, `title`, `group` and `words`."""

    tag = "Finder"
    places: rx.Var[list[dict[str, str]]]
    label: rx.Var[str]
    hint: rx.Var[str]
