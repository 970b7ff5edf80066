"""What stands around every page: sidebar or drawer, header, command palette, account menu, footer, messages.

Three shells: `shell` for the signed-in product, `public` for everyone's pages, `alone` for signing in.
"""

from typing import Any

import reflex as rx
from reflex_base.components.memo import memo
from reflex_components_core.core.banner import has_too_many_connection_errors
from reflex_components_core.react_router.dom import ReactRouterLink

from assisters_app.ui.pages import PAGES, Page
from assisters_app.ui.parts import anchor, link_button, post_form
from assisters_app.ui.parts.browser import Drawer, Message, NavItem, Palette, Zone
from assisters_app.ui.policy_news import policy_banner
from assisters_app.ui.session import AppState
from assisters_app.ui.undoing import closing_banner
from assisters_app.ui.words import COMPANY, NAME

_ICON_BUTTON = "grid place-items-center size-9 rounded-lg text-muted hover:bg-raised hover:text-ink"
_ITEM = "flex items-center gap-2.5 rounded-lg px-2.5 h-9 text-muted hover:bg-raised hover:text-ink "
_DESK = "/staff/accounts"  # where the desk of staff begins
_MENU = "rounded-xl border border-line bg-surface shadow-over p-1.5 w-64 "


def shell(*children: Any, wide: bool = False) -> rx.Component:
    """Return a page of the signed-in product; `children` start with a `heading`."""
    return rx.el.div(
        _skip(),
        rx.el.aside(
            _sidebar(),
            class_name="hidden lg:block w-60 shrink-0 border-r border-line bg-canvas h-[calc(100dvh-var(--ribbon))] sticky top-0",
        ),
        rx.el.div(
            _header(),
            closing_banner(),
            policy_banner(),
            rx.el.main(
                *children,
                id="main",
                tab_index=-1,
                class_name="flex-1 w-full mx-auto px-4 sm:px-6 lg:px-8 py-6 sm:py-8 space-y-6 "
                + ("" if wide else "max-w-7xl"),
            ),
            footer("max-w-7xl lg:px-8"),
            class_name="flex-1 min-w-0 flex flex-col min-h-[calc(100dvh-var(--ribbon))]",
        ),
        _for_the_person(),
        class_name="flex min-h-[calc(100dvh-var(--ribbon))]",
    )


def public(*children: Any) -> rx.Component:
    """Return a page for everyone, as wide as its sections make themselves."""
    return rx.el.div(
        _skip(),
        rx.el.header(
            rx.el.div(
                logo(),
                rx.el.nav(
                    *[NavItem.create(page.title, to=page.route, end=True, class_name=_TOP) for page in _listed("Top")],
                    aria_label="Main",
                    class_name="hidden sm:flex items-center gap-1 ml-6",
                ),
                rx.el.div(_theme_button(), _doors(), class_name="ml-auto flex items-center gap-1.5"),
                class_name="max-w-6xl mx-auto px-4 sm:px-6 h-16 flex items-center",
            ),
            class_name="sticky top-0 z-20 bg-canvas/90 backdrop-blur border-b border-line",
        ),
        rx.el.main(*children, id="main", tab_index=-1, class_name="flex-1 w-full"),
        footer(),
        _for_the_person(),
        class_name="min-h-[calc(100dvh-var(--ribbon))] flex flex-col",
    )


def alone(title: str, lead: Any, *children: Any, below: Any = None) -> rx.Component:
    """Return a page with one form on it: signing in and what belongs to it."""
    return rx.el.div(
        _skip(),
        rx.el.header(logo(), _theme_button(), class_name="h-16 px-4 sm:px-6 flex items-center justify-between"),
        rx.el.main(
            rx.el.div(
                rx.el.h1(title, class_name="text-2xl font-semibold tracking-tight"),
                rx.el.p(lead, class_name="mt-1.5 text-muted"),
                rx.el.div(
                    *children,
                    class_name="mt-6 rounded-xl border border-line bg-surface shadow-card p-5 sm:p-6",
                ),
                rx.el.div(below, class_name="mt-5 text-muted text-center") if below is not None else rx.fragment(),
                class_name="w-full max-w-sm",
            ),
            id="main",
            tab_index=-1,
            class_name="flex-1 flex justify-center px-4 py-8 sm:py-16",
        ),
        footer(),
        _for_the_person(),
        class_name="min-h-[calc(100dvh-var(--ribbon))] flex flex-col",
    )


def logo() -> rx.Component:
    """Return the mark and the name, as a link home."""
    return ReactRouterLink.create(
        rx.el.img(src="/logo.svg", alt="", width="24", height="24", class_name="size-6"),
        NAME,
        to="/",
        class_name="inline-flex items-center gap-2.5 font-semibold tracking-tight text-[0.9375rem] rounded-md",
    )


def footer(width: str = "max-w-6xl") -> rx.Component:
    """Return the foot of every page: who we are and the pages on privacy."""
    return rx.el.footer(
        rx.el.div(
            rx.el.p(COMPANY, class_name="sm:max-w-64 shrink-0 text-pretty"),
            rx.el.nav(
                *[
                    ReactRouterLink.create(
                        page.title,
                        to=page.route,
                        class_name="inline-flex items-center min-h-6 hover:text-ink underline-offset-2 hover:underline",
                    )
                    for page in (*_listed("Top"), *_listed("Legal"))
                ],
                aria_label="More",
                class_name="flex flex-wrap gap-x-5 gap-y-1",
            ),
            class_name=width
            + " mx-auto px-4 sm:px-6 py-6 flex flex-col sm:flex-row justify-between gap-4 text-xs text-faint",
        ),
        class_name="border-t border-line",
    )


def connection_lost(stateful: bool) -> rx.Component | None:
    """Return what is shown while the socket cannot be opened (never its address)."""
    if not stateful:
        return None

    @memo
    def reconnecting() -> rx.Component:
        return rx.el.div(
            rx.cond(
                has_too_many_connection_errors,
                rx.el.p(
                    "The connection was lost. Trying again …",
                    class_name="fixed z-50 bottom-10 left-1/2 -translate-x-1/2 rounded-lg bg-ink text-inverse px-4 py-2 shadow-over",
                ),
            ),
            role="status",
        )

    return rx.fragment(reconnecting())


_TOP = "px-3 h-9 inline-flex items-center rounded-lg text-muted hover:text-ink hover:bg-raised aria-[current=page]:text-ink"


def _skip() -> rx.Component:
    return anchor(
        "Skip to content",
        href="#main",
        class_name="sr-only focus:not-sr-only focus:fixed focus:z-50 focus:left-3 focus:top-3 focus:bg-surface focus:px-3 focus:py-2 focus:rounded-lg focus:shadow-over",
    )


def _for_the_person() -> rx.Component:
    """Return what every page has for whoever reads it: the message in the corner, and the zone of its times."""
    return rx.fragment(
        Message.create(text=AppState.message, tone=AppState.message_tone, number=AppState.message_number),
        Zone.create(name=AppState.times_in),
    )


def _header() -> rx.Component:
    return rx.el.header(
        Drawer.create(
            _sidebar(),
            label="Menu",
            button=rx.icon("menu", size=18, aria_hidden="true"),
            button_class=_ICON_BUTTON + " lg:hidden -ml-2",
            class_name="w-72 max-w-[85vw] bg-canvas border-r border-line",
        ),
        _switcher(),
        rx.el.div(
            Palette.create(
                items=_commands(),
                rights=AppState.rights,
                on_theme=rx.toggle_color_mode,
                button_class="inline-flex items-center gap-2 rounded-lg sm:border border-line sm:bg-surface px-2.5 h-9 text-muted hover:text-ink hover:bg-raised",
            ),
            _theme_button(),
            _account(),
            class_name="ml-auto flex items-center gap-1.5",
        ),
        class_name="sticky top-0 z-20 h-14 px-4 sm:px-6 lg:px-8 flex items-center gap-2 bg-canvas/90 backdrop-blur border-b border-line",
    )


def _sidebar() -> rx.Component:
    sections: dict[str, list[Page]] = {}
    for page in PAGES:
        if page.section and page.section not in ("Top", "Legal"):
            sections.setdefault(page.section, []).append(page)
    return rx.el.div(
        rx.el.div(logo(), class_name="h-14 px-5 flex items-center"),
        rx.el.nav(
            rx.el.div(
                *[_section(name, pages) for name, pages in sections.items() if pages[0].access != "staff"],
                rx.cond(AppState.rights.length() > 0, _door("Staff desk", "briefcase", _DESK)),
                class_name="space-y-5 [nav:has([aria-current=page][href^='/staff/'])>&]:hidden",
            ),
            rx.cond(
                AppState.rights.length() > 0,
                rx.el.div(
                    _door("Back to the product", "arrow-left", "/dashboard"),
                    *[_section(name, pages) for name, pages in sections.items() if pages[0].access == "staff"],
                    class_name="space-y-5 hidden [nav:has([aria-current=page][href^='/staff/'])>&]:block",
                ),
            ),
            aria_label="Main",
            class_name="flex-1 overflow-y-auto px-3 py-3",
        ),
        class_name="flex flex-col h-full",
    )


def _section(name: str, pages: list[Page]) -> rx.Component:
    """Return one heading of the sidebar with its pages; staff's are there for whose role has their right."""
    items = [_for_its_holders(page, rx.el.li(_nav_item(page))) for page in pages]
    return rx.el.div(
        rx.el.p(name, class_name="px-2.5 mb-1 text-xs font-medium text-faint"),
        rx.el.ul(*items, class_name="space-y-0.5"),
    )


def _for_its_holders(page: Page, item: rx.Component) -> rx.Component:
    return item if page.right is None else rx.cond(AppState.rights.contains(page.right), item)


def _door(title: str, icon: str, to: str) -> rx.Component:
    """Return the way between the product and the desk of staff: the sidebar lists one of the two at a time."""
    return ReactRouterLink.create(
        rx.icon(icon, size=16, aria_hidden="true", class_name="shrink-0"), title, to=to, class_name=_ITEM
    )


def _nav_item(page: Page) -> rx.Component:
    exact = any(other.route.startswith(page.route + "/") for other in PAGES if other.section)
    return NavItem.create(
        rx.icon(page.icon or "circle", size=16, aria_hidden="true", class_name="shrink-0"),
        page.title,
        to=page.route,
        end=exact,
        class_name=_ITEM + "aria-[current=page]:bg-raised aria-[current=page]:text-ink aria-[current=page]:font-medium",
    )


def _switcher() -> rx.Component:
    """Return the organization one acts for. An account owns one from the start; the list grows with invitations."""
    return rx.el.div(
        rx.el.button(
            rx.icon("building-2", size=15, aria_hidden="true", class_name="shrink-0 text-muted"),
            rx.el.span(AppState.organization, class_name="truncate max-w-36 sm:max-w-56 min-w-8 font-medium"),
            rx.icon("chevrons-up-down", size=14, aria_hidden="true", class_name="shrink-0 text-faint"),
            type="button",
            aria_label="Organization",
            custom_attrs={"popoverTarget": "organizations"},
            class_name="flex items-center gap-2 rounded-lg px-2.5 h-9 hover:bg-raised min-w-0",
        ),
        rx.el.div(
            rx.el.p("You act for", class_name="px-2.5 py-1.5 text-xs text-faint"),
            rx.el.p(
                rx.el.span(AppState.organization, class_name="truncate"),
                rx.icon("check", size=15, aria_hidden="true", class_name="ml-auto shrink-0"),
                class_name="flex items-center gap-2 px-2.5 h-9 font-medium",
            ),
            id="organizations",
            custom_attrs={"popover": "auto"},
            class_name=_MENU + "fixed top-13 left-4 lg:left-66",
        ),
        class_name="min-w-0",
    )


def _theme_button() -> rx.Component:
    return rx.el.button(
        rx.icon("moon", size=16, aria_hidden="true", class_name="dark:hidden"),
        rx.icon("sun", size=16, aria_hidden="true", class_name="hidden dark:block"),
        type="button",
        aria_label="Switch between light and dark",
        on_click=rx.toggle_color_mode,
        class_name=_ICON_BUTTON,
    )


def _account() -> rx.Component:
    return rx.el.div(
        rx.el.button(
            rx.icon("circle-user-round", size=18, aria_hidden="true"),
            type="button",
            aria_label="Account menu",
            custom_attrs={"popoverTarget": "account"},
            class_name=_ICON_BUTTON,
        ),
        rx.el.div(
            rx.el.p(AppState.email, class_name="px-2.5 py-2 truncate text-muted border-b border-line mb-1.5"),
            *[ReactRouterLink.create(page.title, to=page.route, class_name=_ITEM) for page in _listed("Account")],
            rx.cond(
                AppState.mailbox != "", anchor("Caught mail (development)", href=AppState.mailbox, class_name=_ITEM)
            ),
            post_form(
                rx.el.button("Sign out", type="submit", class_name=_ITEM + "w-full"),
                action="/auth/sign-out",
                class_name="contents",
            ),
            id="account",
            custom_attrs={"popover": "auto"},
            class_name=_MENU + "fixed top-13 right-4 sm:right-6 lg:right-8",
        ),
    )


def _doors() -> rx.Component:
    return rx.cond(
        AppState.email == "",
        rx.fragment(
            link_button("Sign in", to="/sign-in", kind="ghost"),
            link_button("Get started", to="/sign-up", kind="primary"),
        ),
        link_button("Dashboard", to="/dashboard", kind="primary"),
    )


def _commands() -> list[dict[str, Any]]:
    pages = [
        {
            "label": page.title,
            "href": page.route,
            "group": _group(page),
            "words": page.words,
            "right": page.right or "",
        }
        for page in PAGES
        if not page.alone and page.section and "[" not in page.route
    ]
    return [
        *pages,
        {
            "label": "Switch between light and dark",
            "group": "Command",
            "act": "theme",
            "words": "theme mode colour color",
        },
    ]


def _group(page: Page) -> str:
    if page.access == "staff":
        return "Staff"
    return "Go to" if page.section in ("", "Top") else page.section


def _listed(section: str) -> list[Page]:
    return [page for page in PAGES if page.section == section]
