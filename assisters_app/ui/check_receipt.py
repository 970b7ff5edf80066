"""Check a receipt of an erasure: for whoever was given one, and wants to know whether it is ours and unaltered."""

from typing import Any

import reflex as rx

from assisters_app.privacy.erasing import receipts
from assisters_app.ui.parts import area, button, card, form, heading, link, notice, time
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public

LONGEST = 200_000  # characters; a receipt has about five thousand


class CheckState(AppState):
    """What is thought of the file that was pasted: `verdict` as `receipts.Judged` has it, "" before one was."""

    verdict: str = ""
    handle: str = ""
    carried_out: str = ""

    @rx.event
    @access("public")
    async def check(self, sent: dict[str, Any]) -> None:
        """Judge what was pasted; nothing of it is kept."""
        async with for_anyone(self) as tx:
            judged = await receipts.judge(tx, str(sent.get("file", ""))[:LONGEST])
        self.verdict, self.handle, self.carried_out = judged.verdict, judged.handle, judged.carried_out_at

    @rx.event
    @access("public")
    def start(self) -> None:
        """Begin with nothing judged."""
        self.verdict, self.handle, self.carried_out = "", "", ""


load = CheckState.start


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Check a receipt",
                lead="Whoever erases an account here gets a signed receipt. Paste one, and see whether we signed exactly this.",
            ),
            card(
                form(
                    area(
                        "The receipt's file",
                        "file",
                        hint="The whole text of the file that “Download receipt” gave you. We do not keep it.",
                        required=True,
                        rows="8",
                        max_length=LONGEST,
                        spell_check=False,
                        auto_complete="off",
                        placeholder='{"body": …, "signature": …, "public_key": …}',
                    ),
                    rx.el.div(button("Check it", type="submit")),
                    on_submit=CheckState.check,
                    reset_on_submit=False,
                )
            ),
            rx.el.div(_verdict(), role="status", aria_live="polite"),
            _without_us(),
            class_name="max-w-3xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _verdict() -> rx.Component:
    return rx.match(
        CheckState.verdict,
        (
            "genuine",
            notice(
                "Genuine: we signed exactly this, and it stands in our chain. Carried out ",
                time(CheckState.carried_out),
                ". ",
                link("See it", to="/receipts/" + CheckState.handle),
                tone="good",
            ),
        ),
        ("altered", notice("Altered: the signature does not fit this text. Do not trust it.", tone="bad")),
        ("foreign", notice("Not ours: it was signed with a key that we never published.", tone="bad")),
        (
            "unknown",
            notice("Signed with our key, but it does not stand in our chain. Write to us about it.", tone="warn"),
        ),
        ("unreadable", notice("This is not the text of a receipt. Copy the whole file.", tone="warn")),
        rx.fragment(),
    )


def _without_us() -> rx.Component:
    return card(
        rx.el.p(
            "You need not believe this page. ",
            rx.el.code("python -m assisters_app verify-receipt FILE", class_name="text-xs"),
            " checks the same on your own machine, without a network. The keys that we sign with are published at ",
            rx.el.code("/.well-known/receipt-keys.json", class_name="text-xs"),
            ". Whose receipt it is cannot be seen from it: that shows only to who has the salt from the farewell mail.",
            class_name="text-muted max-w-prose",
        ),
        title="Without us",
    )
