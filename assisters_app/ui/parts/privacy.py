"""Parts of the privacy screens that need the browser: Python faces of `assets/privacy.js`."""

from typing import ClassVar

import reflex as rx


class _Part(rx.Component):
    library = "$/public/privacy.js"
    _rename_props: ClassVar[dict[str, str]] = {}


class PrivacySignal(_Part):
    """Whether this browser sends Global Privacy Control, as the server reads it."""

    tag = "PrivacySignal"


class OnDevice(_Part):
    """Whether one thing of the inventory is on this device; what may go can be cleared."""

    tag = "OnDevice"
    identifier: rx.Var[str]
    kind: rx.Var[str]
    button_class: rx.Var[str]


class Until(_Part):
    """How long until `at` (ISO 8601, UTC)."""

    tag = "Until"
    at: rx.Var[str]


class FreshLink(_Part):
    """A download for who has proven who they are before `until` (ISO 8601); after it, a link to `otherwise`."""

    tag = "FreshLink"
    href: rx.Var[str]
    until: rx.Var[str]
    otherwise: rx.Var[str]
    label: rx.Var[str]
