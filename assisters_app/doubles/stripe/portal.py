"""Billing portal sessions, and the events that the API lists."""

from stripe import params as p
from stripe.params import billing_portal as b

from assisters_app.doubles.stripe.books import Books, listed, new_id
from assisters_app.doubles.stripe.calls import Call, found
from assisters_app.doubles.stripe.customers import living
from assisters_app.doubles.stripe.wire import Thing, WrongError


def create(books: Books, params: Thing) -> Thing:
    """Make a link to the portal for one customer."""
    if "customer" not in params:
        raise WrongError("Missing required param: customer.", code="parameter_missing", param="customer")
    session = books.make(
        "billing_portal.session", "bps", customer=living(books, params["customer"])["id"],
        configuration=params.get("configuration") or new_id("bpc"), flow=None, locale=params.get("locale"),
        on_behalf_of=None, return_url=params.get("return_url"),
    )  # fmt: skip
    del session["metadata"]
    session["url"] = f"{books.origin}/p/session/{session['id']}"
    return session


def list_events(books: Books, params: Thing) -> Thing:
    """Return events, newest first; `type` may end in `*`."""
    wanted = params.get("types") or [params.get("type", "*")]
    found = [e for e in books.every("event") if any(_matches(e["type"], pattern) for pattern in wanted)]
    return listed(found, params, "/v1/events")


def _matches(kind: str, pattern: str) -> bool:
    return kind.startswith(pattern[:-1]) if pattern.endswith("*") else kind == pattern


CALLS = (
    Call("POST", "/v1/billing_portal/sessions", create, b.SessionCreateParams),
    Call("GET", "/v1/events", list_events, p.EventListParams),
    Call("GET", "/v1/events/{name}", found("event"), p.EventRetrieveParams),
)
