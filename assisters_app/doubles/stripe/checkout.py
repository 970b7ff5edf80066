"""Checkout sessions: made by the API, paid (or not) by a person on the hosted page."""

from stripe.params import checkout as c

from assisters_app.doubles.stripe import catalog, payments, plans
from assisters_app.doubles.stripe.books import DAY, Books, listed, new_id, timestamp, update
from assisters_app.doubles.stripe.calls import Call
from assisters_app.doubles.stripe.customers import create as create_customer
from assisters_app.doubles.stripe.customers import living, save_method
from assisters_app.doubles.stripe.wire import Thing, WrongError

HOLDER = "{CHECKOUT_SESSION_ID}"


def create(books: Books, params: Thing) -> Thing:
    """Make an open session with a page to pay on."""
    mode = params.get("mode")
    if mode not in ("payment", "subscription"):
        raise WrongError("This test stand-in knows the modes payment and subscription.", param="mode")
    for name in ("line_items", "success_url"):
        if not params.get(name):
            raise WrongError(f"Missing required param: {name}.", code="parameter_missing", param=name)
    if params.get("customer"):
        living(books, params["customer"])
    lines = [_line(books, item) for item in params["line_items"]]
    session = _session(books, params, lines)
    session["url"] = f"{books.origin}/c/pay/{session['id']}"
    update(session, params)
    return session


def _session(books: Books, params: Thing, lines: list[Thing]) -> Thing:
    total = sum(line["amount_total"] for line in lines)
    if total < payments.LEAST:
        raise WrongError(
            "The Checkout Session's total amount due must add up to at least $0.50 usd", code="amount_too_small"
        )
    return books.make(
        "checkout.session", "cs_test", 58, amount_subtotal=total, amount_total=total,
        cancel_url=params.get("cancel_url"), client_reference_id=params.get("client_reference_id"),
        currency=lines[0]["currency"], customer=params.get("customer"), customer_details=None,
        customer_email=params.get("customer_email"), expires_at=params.get("expires_at", timestamp() + DAY),
        invoice=None, mode=params["mode"], payment_intent=None, payment_method_types=["card"],
        payment_status="unpaid", status="open", subscription=None, success_url=params["success_url"],
        ui_mode="hosted_page", _line_items=lines, _intent=params.get("payment_intent_data", {}),
        _subscription=params.get("subscription_data", {}),
    )  # fmt: skip


def _line(books: Books, item: Thing) -> Thing:
    price = books.find("price", item["price"]) if "price" in item else catalog.create_price(books, item["price_data"])
    quantity = item.get("quantity", 1)
    amount = price["unit_amount"] * quantity
    return {
        "id": new_id("li"), "object": "item", "created": timestamp(), "amount_subtotal": amount, "amount_tax": 0,
        "amount_discount": 0, "amount_total": amount, "currency": price["currency"], "quantity": quantity,
        "description": books.find("product", price["product"])["name"], "price": dict(price),
    }  # fmt: skip


def retrieve(books: Books, _params: Thing, name: str) -> Thing:
    """Return a session; one past its time is expired."""
    session = books.find("checkout.session", name, "session")
    if session["status"] == "open" and session["expires_at"] <= timestamp():
        _expire(books, session)
    return session


def list_all(books: Books, params: Thing) -> Thing:
    """Return sessions, newest first."""
    found = books.every(
        "checkout.session", customer=params.get("customer"), payment_intent=params.get("payment_intent"),
        status=params.get("status"), subscription=params.get("subscription"),
    )  # fmt: skip
    return listed(found, params, "/v1/checkout/sessions")


def lines(books: Books, params: Thing, name: str) -> Thing:
    """Return what a session sells."""
    session = books.find("checkout.session", name, "session")
    return listed(session["_line_items"], params, f"/v1/checkout/sessions/{name}/line_items")


def expire(books: Books, _params: Thing, name: str) -> Thing:
    """Close an open session so that it can no longer be paid."""
    session = retrieve(books, {}, name)
    if session["status"] != "open":
        raise WrongError(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of '
            f"{session['status']}."
        )
    return _expire(books, session)


def _expire(books: Books, session: Thing) -> Thing:
    session |= {"status": "expired", "url": None}
    books.note("checkout.session.expired", session)
    return session


def pay(books: Books, session: Thing, email: str = "") -> None:
    """Pay by card, as the button does; raise WrongError when the card is refused."""
    _meet(books, session, email)
    if session["mode"] == "subscription":
        plans.begin(books, session)
    else:
        intent = _intent(books, session)
        if books.faults.declines:
            books.faults.declines -= 1
            raise payments.fail(books, intent)
        keep = intent["customer"] if intent["setup_future_usage"] else None
        payments.succeed(books, intent, save_method(books, keep))
        session["payment_intent"] = intent["id"]
    session |= {"status": "complete", "payment_status": "paid", "url": None}
    books.note("checkout.session.completed", session)


def decline(books: Books, session: Thing, email: str = "") -> WrongError:
    """Refuse the card, as the button asks; the session stays open. Return what the page says."""
    _meet(books, session, email)
    return payments.fail(books, _intent(books, session))


def pay_later(books: Books, session: Thing, email: str = "") -> None:
    """Pay by bank debit: the session is complete but unpaid until it settles."""
    _meet(books, session, email)
    intent = _intent(books, session)
    intent["status"] = "processing"
    session |= {"status": "complete", "payment_intent": intent["id"], "url": None}
    books.note("payment_intent.processing", intent)
    books.note("checkout.session.completed", session)


def settle(books: Books, name: str, *, paid: bool) -> Thing:
    """Let a bank debit arrive, or bounce."""
    session = books.find("checkout.session", name)
    intent = books.find("payment_intent", session["payment_intent"])
    if intent["status"] != "processing":
        raise WrongError(f"Nothing of {name} waits to be settled.")
    if paid:
        payments.succeed(books, intent, save_method(books, None))
        session["payment_status"] = "paid"
        books.note("checkout.session.async_payment_succeeded", session)
    else:
        payments.fail(books, intent)
        books.note("checkout.session.async_payment_failed", session)
    return session


def _meet(books: Books, session: Thing, email: str) -> None:
    email = email or session["customer_email"] or ""
    if session["customer"] is None and session["mode"] == "subscription":
        session["customer"] = create_customer(books, {"email": email})["id"]
    known = books.objects.get(session["customer"] or "", {})
    session["customer_details"] = {"email": known.get("email") or email, "name": known.get("name"), "phone": None}


def _intent(books: Books, session: Thing) -> Thing:
    data = session["_intent"]
    intent = payments.open_intent(books, session["amount_total"], session["currency"], session["customer"])
    update(intent, data, "description", "receipt_email", "setup_future_usage")
    return intent


def after(session: Thing, *, paid: bool) -> str:
    """Return where the page sends the person now, with the session's id filled in."""
    place = session["success_url"] if paid else session["cancel_url"]
    return str(place or session["success_url"]).replace(HOLDER, session["id"])


CALLS = (
    Call("POST", "/v1/checkout/sessions", create, c.SessionCreateParams),
    Call("GET", "/v1/checkout/sessions", list_all, c.SessionListParams),
    Call("GET", "/v1/checkout/sessions/{name}", retrieve, c.SessionRetrieveParams),
    Call("GET", "/v1/checkout/sessions/{name}/line_items", lines, c.SessionLineItemListParams),
    Call("POST", "/v1/checkout/sessions/{name}/expire", expire, c.SessionExpireParams),
)
