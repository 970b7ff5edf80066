"""Customers, and the methods of payment they left."""

from stripe import params as p

from assisters_app.doubles.stripe.books import Books, listed, new_id, seen, update
from assisters_app.doubles.stripe.calls import Call, found
from assisters_app.doubles.stripe.wire import Thing, WrongError

FIELDS = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "invoice_settings")
CARDS = {"visa": ("visa", "4242"), "mastercard": ("mastercard", "4444"), "amex": ("amex", "8431")}


def create(books: Books, params: Thing) -> Thing:
    """Make a customer."""
    customer = books.make(
        "customer", "cus", 14, balance=0, currency=None, default_source=None, delinquent=False, discount=None,
        invoice_prefix=new_id("", 8)[1:].upper(), **dict.fromkeys(FIELDS),
    )  # fmt: skip
    update(customer, params, *FIELDS)
    books.note("customer.created", customer)
    return customer


def change(books: Books, params: Thing, name: str) -> Thing:
    """Change a customer."""
    customer = living(books, name)
    books.note("customer.updated", customer, update(customer, params, *FIELDS))
    return customer


def delete(books: Books, _params: Thing, name: str) -> Thing:
    """Delete a customer and their methods of payment; only the id stays."""
    customer = living(books, name)
    books.note("customer.deleted", customer)
    for method in books.every("payment_method", customer=name):
        del books.objects[method["id"]]
    stub = {"id": name, "object": "customer", "deleted": True}
    books.objects[name] = {**stub, "created": customer["created"]}
    return stub


def list_all(books: Books, params: Thing) -> Thing:
    """Return customers, newest first."""
    kept = [c for c in books.every("customer", email=params.get("email")) if not c.get("deleted")]
    return listed(kept, params, "/v1/customers")


def living(books: Books, name: str, param: str = "customer") -> Thing:
    """Return a customer who was not deleted; raise WrongError otherwise."""
    customer = books.find("customer", name, param)
    if customer.get("deleted"):
        raise WrongError(f"No such customer: '{name}'", status=404, code="resource_missing", param=param)
    return customer


def save_method(books: Books, customer: str | None, card: str = "visa") -> Thing:
    """Make a card that `customer` may be charged with again."""
    brand, last4 = CARDS.get(card, CARDS["visa"])
    details = {"brand": brand, "last4": last4, "exp_month": 12, "exp_year": 2034, "country": "US", "funding": "credit"}
    return books.make("payment_method", "pm", type="card", card=details, customer=customer, billing_details={})


def methods(books: Books, params: Thing, name: str | None = None) -> Thing:
    """Return a customer's methods of payment."""
    owner = name or params.get("customer")
    return listed(books.every("payment_method", customer=owner), params, "/v1/payment_methods")


def detach(books: Books, _params: Thing, name: str) -> Thing:
    """Take a method of payment from its customer."""
    found = books.find("payment_method", name, "payment_method")
    found["customer"] = None
    books.note("payment_method.detached", found)
    return seen(found)


CALLS = (
    Call("POST", "/v1/customers", create, p.CustomerCreateParams),
    Call("GET", "/v1/customers", list_all, p.CustomerListParams),
    Call("GET", "/v1/customers/{name}", found("customer"), p.CustomerRetrieveParams),
    Call("POST", "/v1/customers/{name}", change, p.CustomerUpdateParams),
    Call("DELETE", "/v1/customers/{name}", delete, p.CustomerDeleteParams),
    Call("GET", "/v1/customers/{name}/payment_methods", methods, p.CustomerPaymentMethodListParams),
    Call("GET", "/v1/payment_methods", methods, p.PaymentMethodListParams),
    Call("GET", "/v1/payment_methods/{name}", found("payment_method", "payment_method"), p.PaymentMethodRetrieveParams),
    Call("POST", "/v1/payment_methods/{name}/detach", detach, p.PaymentMethodDetachParams),
)
