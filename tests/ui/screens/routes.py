"""HTTP to the routes of the web face as a browser of ours sends it: no server between."""

import httpx
from starlette.applications import Starlette

from assisters_app.ui import http_routes

OURS = {"sec-fetch-site": "same-origin"}
SCRIPT = {**OURS, "accept": "application/json"}


def client(cookie="", **headers):
    """Return a client with somebody's session cookie, or with none."""
    app = Starlette(routes=http_routes.ROUTES)
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=("192.0.2.7", 4711)),
        base_url="http://localhost:3000",
        headers=headers,
        cookies={"session": cookie} if cookie else None,
    )
