"""What the pages of staff share: one dialog at a time, and what was refused in it."""

from collections.abc import Awaitable, Callable
from typing import Any

import reflex as rx

from assisters_app.accounts.sessions import Person
from assisters_app.base.db import Tx
from assisters_app.base.errors import Refused
from assisters_app.ui.parts import button, dialog_actions, form, modal
from assisters_app.ui.session import AppState, signed_in

Act = Callable[[Tx, Person], Awaitable[Any]]


class Desk(AppState, mixin=True):
    """The dialog that is open ("" for none), what it is about, and what was refused in it.

    Each page opens its own by a handler of its own, which names its right and its dialogs.
    """

    dialog: str = ""
    handle: str = ""
    problem: str = ""

    def _open(self, dialog: str, handle: str = "") -> None:
        self.dialog, self.handle, self.problem = dialog, handle[:254], ""

    async def _carry_out(self, act: Act, done: str | Callable[[Any], str], then: Any) -> Any:
        """Do it, close the dialog and say so, then return `then`. What is refused is said in the dialog, if one is open.

        Whoever has not proven lately who they are is led there first, and back.
        """
        try:
            async with signed_in() as (tx, me):
                came = await act(tx, me)
        except Refused as refused:
            if refused.code == "reauthenticate":
                return rx.redirect(f"/confirm?next={str(self.router.url.path).rstrip('/')}")
            self.problem = str(refused)
            if not self.dialog:
                raise
            return None
        self.dialog = ""
        self._tell(done if isinstance(done, str) else done(came))
        return then


def dialog(
    state: type[Desk],
    name: str,
    title: str | rx.Var[str],
    *inside: Any,
    act: str,
    on_submit: Any,
    on_close: Any,
    kind: str = "primary",
    description: str = "",
) -> rx.Component:
    """Return the dialog `name` of a page: a form, what was refused in it, and the button `act`."""
    return modal(
        form(
            *inside,
            rx.el.p(state.problem, role="alert", class_name="text-[0.8125rem] text-bad empty:hidden"),
            dialog_actions(button(act, kind=kind, type="submit"), on_close=on_close),
            on_submit=on_submit,
        ),
        open=state.dialog == name,
        on_close=on_close,
        title=title,
        description=description,
    )
