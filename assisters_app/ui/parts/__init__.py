"""The parts that screens are built of. Charts stand apart (`parts.charts`), because they bring a library with them."""

from assisters_app.ui.parts.buttons import anchor, button, copy_button, download_button, link, link_button, new_button
from assisters_app.ui.parts.cards import badge, card, heading, notice, rows, skeleton, stat, stats
from assisters_app.ui.parts.dialogs import confirm, dialog_actions, modal
from assisters_app.ui.parts.fields import (
    area,
    checkbox,
    field,
    form,
    from_query,
    new_password,
    password,
    post_form,
    select,
)
from assisters_app.ui.parts.snippets import code, copyable
from assisters_app.ui.parts.tables import empty, failed, sheet, show_more, table
from assisters_app.ui.parts.times import number, time, with_zone

__all__ = [
    "anchor",
    "area",
    "badge",
    "button",
    "card",
    "checkbox",
    "code",
    "confirm",
    "copy_button",
    "copyable",
    "dialog_actions",
    "download_button",
    "empty",
    "failed",
    "field",
    "form",
    "from_query",
    "heading",
    "link",
    "link_button",
    "modal",
    "new_button",
    "new_password",
    "notice",
    "number",
    "password",
    "post_form",
    "rows",
    "select",
    "sheet",
    "show_more",
    "skeleton",
    "stat",
    "stats",
    "table",
    "time",
    "with_zone",
]
