"""Every HTTP route of the web face that is not a page: forms posted natively, and downloads.

A route for GET is under `/auth/`, `/download/`, `/unsubscribe/`, `/rights` or `/.well-known/`; whatever else is asked for by GET is
a page or does not exist.
"""

from starlette.routing import BaseRoute

from assisters_app.ui import (
    auth_routes,
    content_routes,
    dashboard_routes,
    playground_routes,
    privacy_routes,
    public_routes,
    receipt_routes,
    rights_routes,
    security_routes,
)

ROUTES: list[BaseRoute] = [
    *auth_routes.routes,
    *content_routes.ROUTES,
    *dashboard_routes.ROUTES,
    *playground_routes.ROUTES,
    *privacy_routes.ROUTES,
    *public_routes.ROUTES,
    *receipt_routes.ROUTES,
    *rights_routes.ROUTES,
    *security_routes.ROUTES,
]
