"""The banner on every page of the dashboard when the policy is about to change, or the business to pass to another."""

from typing import Any

import reflex as rx

from assisters_app.privacy.policies import telling
from assisters_app.ui.moments import day
from assisters_app.ui.parts import button, link, with_zone
from assisters_app.ui.session import AppState, access, signed_in


class PolicyNewsState(AppState):
    """What the person has not said to have read; `notice` is "" when there is nothing."""

    notice: str = ""
    kind: str = ""
    takes_place_on: str = ""
    summary: str = ""

    @rx.event
    @access("member")
    async def look(self, zone: str) -> None:  # noqa: ARG002 (what calls it knows the viewer's zone)
        """See whether there is news; that it was shown, and that the product is used, is written down once."""
        async with signed_in() as (tx, me):
            news = await telling.news(tx, me)
        self.notice, self.kind = (news.id, news.kind) if news else ("", "")
        self.takes_place_on = day(news.takes_place_at) if news else ""
        self.summary = news.summary if news else ""

    @rx.event
    @access("member")
    async def read(self) -> Any:
        """Take the person's word that they have read it."""
        async with signed_in() as (tx, me):
            await telling.agreed(tx, me, self.notice)
        self.notice = ""


def policy_banner() -> rx.Component:
    """Return the banner, nothing while there is no news. It looks for itself on every page that holds it."""
    return rx.fragment(
        with_zone(PolicyNewsState.look),
        rx.cond(
            PolicyNewsState.notice != "",
            rx.el.div(
                rx.el.p(
                    rx.el.strong(
                        rx.cond(
                            PolicyNewsState.kind == "policy", "Our privacy policy changes on ", "Your data may pass on "
                        ),
                        PolicyNewsState.takes_place_on,
                        ". ",
                    ),
                    PolicyNewsState.summary,
                    class_name="min-w-0 flex-1 basis-80",
                ),
                rx.el.div(
                    link(
                        rx.cond(PolicyNewsState.kind == "policy", "See what changes for you", "Export or close"),
                        to=rx.cond(
                            PolicyNewsState.kind == "policy", "/dashboard/privacy/changes", "/dashboard/privacy"
                        ),
                    ),
                    button("I have read it", kind="secondary", size="small", on_click=PolicyNewsState.read),
                    class_name="flex items-center gap-4",
                ),
                role="region",
                aria_label="News about your data",
                class_name="bg-accent-soft px-4 sm:px-6 lg:px-8 py-2.5 flex flex-wrap items-center justify-between gap-x-6 gap-y-2",
            ),
        ),
    )
