"""Subscriptions and their invoices, as far as a plan needs them: begin, change, cancel, and what was paid."""

from datetime import UTC, datetime

from stripe import params as p

from assisters_app.doubles.stripe import payments
from assisters_app.doubles.stripe.books import DAY, Books, listed, new_id, timestamp, update
from assisters_app.doubles.stripe.calls import Call, found
from assisters_app.doubles.stripe.customers import living, save_method
from assisters_app.doubles.stripe.wire import Thing, WrongError

PERIODS = {"day": DAY, "week": 7 * DAY, "year": 365 * DAY}


def create(books: Books, params: Thing) -> Thing:
    """Begin a subscription that is paid at once with the customer's saved card, or a new one."""
    prices = [(books.find("price", item["price"]), item.get("quantity", 1)) for item in params.get("items", [])]
    if not prices:
        raise WrongError("Missing required param: items.", code="parameter_missing", param="items")
    subscription = _subscription(books, living(books, params["customer"])["id"], prices)
    update(subscription, params, "description")
    _bill(books, subscription)
    return subscription


def begin(books: Books, session: Thing) -> None:
    """Begin the subscription that a checkout session sold."""
    prices = [(line["price"], line["quantity"]) for line in session["_line_items"]]
    subscription = _subscription(books, session["customer"], prices)
    update(subscription, session["_subscription"], "description")
    invoice = _bill(books, subscription)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}


def _subscription(books: Books, customer: str, prices: list[tuple[Thing, int]]) -> Thing:
    made = books.make(
        "subscription", "sub", cancel_at=None, cancel_at_period_end=False, canceled_at=None, ended_at=None,
        collection_method="charge_automatically", currency=prices[0][0]["currency"], customer=customer,
        default_payment_method=save_method(books, customer)["id"], description=None, latest_invoice=None,
        start_date=timestamp(), status="active", trial_end=None,
    )  # fmt: skip
    items = [_item(made["id"], price, quantity) for price, quantity in prices]
    made["items"] = {"object": "list", "url": "/v1/subscription_items", "has_more": False, "data": items}
    books.note("customer.subscription.created", made)
    return made


def _item(subscription: str, price: Thing, quantity: int) -> Thing:
    if not price["recurring"]:
        raise WrongError("The price specified is set to `type=one_time` but this field only accepts recurring prices.")
    start = timestamp()
    return {
        "id": new_id("si", 14), "object": "subscription_item", "created": start, "metadata": {},
        "current_period_start": start, "current_period_end": _one_period_after(start, price["recurring"]),
        "price": dict(price), "quantity": quantity, "subscription": subscription,
    }  # fmt: skip


def _one_period_after(start: int, recurring: Thing) -> int:
    count = recurring["interval_count"]
    if recurring["interval"] != "month":
        return int(start + count * PERIODS[recurring["interval"]])
    day = datetime.fromtimestamp(start, UTC)
    years, month = divmod(day.month - 1 + count, 12)
    return int(day.replace(year=day.year + years, month=month + 1, day=min(day.day, 28)).timestamp())


def _bill(books: Books, subscription: Thing) -> Thing:
    lines = [_line(item) for item in subscription["items"]["data"]]
    total = sum(line["amount"] for line in lines)
    invoice = books.make(
        "invoice", "in", amount_due=total, amount_paid=total, amount_remaining=0, currency=subscription["currency"],
        customer=subscription["customer"], billing_reason="subscription_create", status="paid", total=total,
        subtotal=total, number=new_id("", 8)[1:].upper() + "-0001", hosted_invoice_url=None, invoice_pdf=None,
        collection_method="charge_automatically", period_start=timestamp(), period_end=timestamp(),
        parent={"type": "subscription_details", "subscription_details": {"subscription": subscription["id"]}},
        lines={"object": "list", "has_more": False, "url": "/v1/invoices", "data": lines},
    )  # fmt: skip
    if total >= payments.LEAST:
        intent = payments.open_intent(books, total, invoice["currency"], invoice["customer"])
        payments.succeed(books, intent, books.objects[subscription["default_payment_method"]])
    subscription["latest_invoice"] = invoice["id"]
    for what in ("invoice.created", "invoice.finalized", "invoice.paid"):
        books.note(what, invoice)
    return invoice


def _line(item: Thing) -> Thing:
    return {
        "id": new_id("il"), "object": "line_item", "amount": item["price"]["unit_amount"] * item["quantity"],
        "currency": item["price"]["currency"], "quantity": item["quantity"], "description": None,
        "period": {"start": item["current_period_start"], "end": item["current_period_end"]},
        "pricing": {"type": "price_details", "price_details": {"price": item["price"]["id"]}},
    }  # fmt: skip


def change(books: Books, params: Thing, name: str) -> Thing:
    """Change a subscription: end it with its period (or not after all), or move it to other prices."""
    subscription = books.find("subscription", name)
    before = update(subscription, params, "cancel_at_period_end", "description")
    for item in params.get("items", []):
        for held in subscription["items"]["data"]:
            if held["id"] == item.get("id"):
                before["items"] = dict(subscription["items"])
                held |= {"price": dict(books.find("price", item["price"])), "quantity": item.get("quantity", 1)}
    books.note("customer.subscription.updated", subscription, before)
    return subscription


def cancel(books: Books, _params: Thing, name: str) -> Thing:
    """End a subscription now."""
    subscription = books.find("subscription", name)
    if subscription["status"] == "canceled":
        raise WrongError(f"No such subscription: '{name}'", status=404, code="resource_missing", param="id")
    subscription |= {"status": "canceled", "canceled_at": timestamp(), "ended_at": timestamp()}
    books.note("customer.subscription.deleted", subscription)
    return subscription


def list_all(books: Books, params: Thing) -> Thing:
    """Return subscriptions, newest first; cancelled ones only when asked for."""
    found = books.every("subscription", customer=params.get("customer"))
    status = params.get("status")
    if status != "all":
        found = [s for s in found if s["status"] == status or (status is None and s["status"] != "canceled")]
    return listed(found, params, "/v1/subscriptions")


def list_invoices(books: Books, params: Thing) -> Thing:
    """Return invoices, newest first."""
    return listed(books.every("invoice", customer=params.get("customer")), params, "/v1/invoices")


CALLS = (
    Call("POST", "/v1/subscriptions", create, p.SubscriptionCreateParams),
    Call("GET", "/v1/subscriptions", list_all, p.SubscriptionListParams),
    Call("GET", "/v1/subscriptions/{name}", found("subscription"), p.SubscriptionRetrieveParams),
    Call("POST", "/v1/subscriptions/{name}", change, p.SubscriptionUpdateParams),
    Call("DELETE", "/v1/subscriptions/{name}", cancel, p.SubscriptionCancelParams),
    Call("GET", "/v1/invoices", list_invoices, p.InvoiceListParams),
    Call("GET", "/v1/invoices/{name}", found("invoice", "invoice"), p.InvoiceRetrieveParams),
)
