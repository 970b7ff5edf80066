"""The web face, put together: the one module that builds the Reflex app."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import reflex as rx
from starlette.applications import Starlette

from assisters_app.ui import hearsay, missing, theme
from assisters_app.ui.binder import TokenBinder, follow_sessions
from assisters_app.ui.http_routes import ROUTES
from assisters_app.ui.limits import SocketLimits
from assisters_app.ui.pages import PAGES, Page
from assisters_app.ui.serving import Serving
from assisters_app.ui.session import AppState, Guard, on_error
from assisters_app.ui.shell import connection_lost
from assisters_app.ui.words import IN_ONE_SENTENCE, NAME


@contextlib.asynccontextmanager
async def _hear_of_ended_sessions() -> AsyncIterator[None]:
    listening = asyncio.create_task(follow_sessions())
    try:
        yield
    finally:
        listening.cancel()


def _add(app: rx.App, page: Page) -> None:
    first = AppState.greet if page.access == "public" else AppState.enter
    app.add_page(
        page.draw(),
        route=page.route,
        title=NAME if page.route == "/" else f"{page.title} · {NAME}",
        description=IN_ONE_SENTENCE,
        image="/logo.svg",
        on_load=[first, *page.load()],
    )


app = rx.App(
    stylesheets=theme.STYLESHEETS,
    head_components=theme.head(),
    html_lang="en",
    toaster=None,
    extra_app_wraps={(5, "Overlay"): connection_lost},
    backend_exception_handler=on_error,
    # The last is outermost.
    api_transformer=[SocketLimits, TokenBinder, Starlette(routes=ROUTES), Serving],
)
hearsay.mind()  # the app has made its loggers by now
app.add_middleware(Guard())
app.register_lifespan_task(_hear_of_ended_sessions)
for page in PAGES:
    _add(app, page)
app.add_page(
    missing.page(), route="404", title=f"Not found · {NAME}", description=IN_ONE_SENTENCE, on_load=AppState.greet
)
