"""Payment intents, charges, refunds and disputes: where the pretended money moves."""

from stripe import params as p

from assisters_app.doubles.stripe.books import Books, listed, new_id, seen, timestamp, update
from assisters_app.doubles.stripe.calls import Call, found
from assisters_app.doubles.stripe.customers import living, save_method
from assisters_app.doubles.stripe.wire import Thing, WrongError

LEAST = 50  # cents: the smallest card payment in US dollars
REFUSALS = {  # Stripe's own test methods, and what each is refused with
    "pm_card_chargeDeclined": ("card_declined", "generic_decline", "Your card was declined."),
    "pm_card_chargeDeclinedInsufficientFunds": (
        "card_declined", "insufficient_funds", "Your card has insufficient funds.",
    ),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None, "Your card has expired."),
    "pm_card_authenticationRequired": (
        "authentication_required", "authentication_required",
        "Your card was declined. This transaction requires authentication.",
    ),
}  # fmt: skip
DECLINED = REFUSALS["pm_card_chargeDeclined"]


def create(books: Books, params: Thing) -> Thing:
    """Make a payment intent; confirm it at once when asked to."""
    intent = open_intent(books, params["amount"], params["currency"], params.get("customer"))
    update(intent, params, "description", "receipt_email", "setup_future_usage", "payment_method")
    return _confirm(books, intent, params) if params.get("confirm") else intent


def open_intent(books: Books, amount: int, currency: str, customer: str | None) -> Thing:
    """Make a payment intent that waits for a method of payment."""
    if customer:
        living(books, customer)
    if amount < LEAST:
        raise WrongError(
            "Amount must be at least $0.50 usd",
            code="amount_too_small", param="amount",
        )  # fmt: skip
    intent = books.make(
        "payment_intent", "pi", amount=amount, amount_capturable=0, amount_received=0, canceled_at=None,
        capture_method="automatic", confirmation_method="automatic", currency=currency, customer=customer,
        description=None, last_payment_error=None, latest_charge=None, next_action=None, payment_method=None,
        payment_method_types=["card"], receipt_email=None, setup_future_usage=None, status="requires_payment_method",
    )  # fmt: skip
    intent["client_secret"] = f"{intent['id']}_secret_{new_id('', 24)[1:]}"
    books.note("payment_intent.created", intent)
    return intent


def confirm(books: Books, params: Thing, name: str) -> Thing:
    """Confirm a payment intent with a method of payment."""
    return _confirm(books, books.find("payment_intent", name, "intent"), params)


def _confirm(books: Books, intent: Thing, params: Thing) -> Thing:
    method = params.get("payment_method") or intent["payment_method"]
    if method is None:
        raise WrongError("You cannot confirm this PaymentIntent because it's missing a payment method.")
    if intent["status"] in ("succeeded", "canceled"):
        raise WrongError(
            f"You cannot confirm this PaymentIntent because it has already {intent['status']}.",
            code="payment_intent_unexpected_state", payment_intent=seen(intent),
        )  # fmt: skip
    refusal = REFUSALS.get(method)
    if refusal is None and books.faults.declines:
        books.faults.declines -= 1
        refusal = DECLINED
    if refusal is not None:
        raise fail(books, intent, refusal)
    return succeed(books, intent, _method(books, method, intent["customer"]))


def _method(books: Books, name: str, customer: str | None) -> Thing:
    if name.startswith("pm_card_") and name not in books.objects:
        return save_method(books, customer, name.removeprefix("pm_card_"))
    return books.find("payment_method", name, "payment_method")


def succeed(books: Books, intent: Thing, method: Thing) -> Thing:
    """Take the money: a paid charge, a succeeded intent, and their events."""
    charge = _charge(books, intent, method, "succeeded")
    intent |= {
        "status": "succeeded", "amount_received": intent["amount"], "latest_charge": charge["id"],
        "payment_method": method["id"], "last_payment_error": None,
    }  # fmt: skip
    books.note("charge.succeeded", charge)
    books.note("payment_intent.succeeded", intent)
    return intent


def fail(books: Books, intent: Thing, refusal: tuple[str, str | None, str] = DECLINED) -> WrongError:
    """Refuse the card: a failed charge, an intent that waits for another card, and the error to raise."""
    code, decline, message = refusal
    charge = _charge(books, intent, save_method(books, None, "visa"), "failed")
    charge |= {"failure_code": code, "failure_message": message}
    intent |= {
        "status": "requires_payment_method", "latest_charge": charge["id"],
        "last_payment_error": {"type": "card_error", "code": code, "decline_code": decline, "message": message},
    }  # fmt: skip
    books.note("charge.failed", charge)
    books.note("payment_intent.payment_failed", intent)
    return WrongError(
        message, status=402, kind="card_error", code=code, decline_code=decline, charge=charge["id"],
        payment_intent=seen(intent),
    )  # fmt: skip


def _charge(books: Books, intent: Thing, method: Thing, status: str) -> Thing:
    return books.make(
        "charge", "ch", amount=intent["amount"], amount_captured=intent["amount"] if status == "succeeded" else 0,
        amount_refunded=0, balance_transaction=new_id("txn"), billing_details={}, captured=status == "succeeded",
        currency=intent["currency"], customer=intent["customer"], description=intent["description"], disputed=False,
        failure_code=None, failure_message=None, metadata=dict(intent["metadata"]), paid=status == "succeeded",
        payment_intent=intent["id"], payment_method=method["id"],
        payment_method_details={"type": "card", "card": dict(method.get("card", {}))},
        receipt_email=intent["receipt_email"], receipt_url=None, refunded=False, status=status,
    )  # fmt: skip


def change(books: Books, params: Thing, name: str) -> Thing:
    """Change a payment intent's description and metadata."""
    intent = books.find("payment_intent", name, "intent")
    update(intent, params, "description", "receipt_email")
    return intent


def cancel(books: Books, _params: Thing, name: str) -> Thing:
    """Give up an intent that was not paid."""
    intent = books.find("payment_intent", name, "intent")
    if intent["status"] in ("succeeded", "canceled"):
        raise WrongError(
            f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
        )
    intent |= {"status": "canceled", "canceled_at": timestamp()}
    books.note("payment_intent.canceled", intent)
    return intent


def list_intents(books: Books, params: Thing) -> Thing:
    """Return payment intents, newest first."""
    return listed(books.every("payment_intent", customer=params.get("customer")), params, "/v1/payment_intents")


def list_charges(books: Books, params: Thing) -> Thing:
    """Return charges, newest first."""
    found = books.every("charge", customer=params.get("customer"), payment_intent=params.get("payment_intent"))
    return listed(found, params, "/v1/charges")


def refund(books: Books, params: Thing) -> Thing:
    """Give money back, all that is left of a charge unless an amount is named."""
    charge = _refundable(books, params)
    left = charge["amount"] - charge["amount_refunded"]
    amount = params.get("amount", left)
    if left == 0:
        raise WrongError(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if not 0 < amount <= left:
        raise WrongError(
            f"Refund amount (${amount / 100:.2f}) is greater than unrefunded amount on charge (${left / 100:.2f})",
            param="amount",
        )
    made = books.make(
        "refund", "re", amount=amount, charge=charge["id"], currency=charge["currency"],
        payment_intent=charge["payment_intent"], reason=params.get("reason"), status="succeeded",
    )  # fmt: skip
    update(made, params)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    books.note("refund.created", made)
    books.note("charge.refunded", charge)
    return made


def _refundable(books: Books, params: Thing) -> Thing:
    name = params.get("charge")
    if "payment_intent" in params:
        name = books.find("payment_intent", params["payment_intent"], "payment_intent")["latest_charge"]
    if not name:
        raise WrongError("One of the following params should be provided for this request: payment_intent or charge.")
    charge = books.find("charge", name, "charge")
    if not charge["paid"]:
        raise WrongError(f"Charge {name} is not paid, so there is nothing to refund.")
    return charge


def list_refunds(books: Books, params: Thing) -> Thing:
    """Return refunds, newest first."""
    found = books.every("refund", charge=params.get("charge"), payment_intent=params.get("payment_intent"))
    return listed(found, params, "/v1/refunds")


def dispute(books: Books, intent_name: str, amount: int | None = None) -> Thing:
    """Let the cardholder's bank dispute a payment (asked for at the control endpoint); the money is withdrawn."""
    intent = books.find("payment_intent", intent_name)
    charge = books.find("charge", intent["latest_charge"])
    charge["disputed"] = True
    made = books.make(
        "dispute", "du", amount=amount or charge["amount"], charge=charge["id"], currency=charge["currency"],
        payment_intent=intent_name, reason="fraudulent", status="needs_response", is_charge_refundable=False,
        evidence={}, balance_transactions=[],
    )  # fmt: skip
    books.note("charge.dispute.created", made)
    books.note("charge.dispute.funds_withdrawn", made)
    return made


def decide(books: Books, name: str, *, won: bool) -> Thing:
    """Let the bank decide a dispute, for us (won) or for the cardholder."""
    found = books.find("dispute", name)
    found["status"] = "won" if won else "lost"
    if won:
        books.note("charge.dispute.funds_reinstated", found)
    books.note("charge.dispute.closed", found)
    return found


def list_disputes(books: Books, params: Thing) -> Thing:
    """Return disputes, newest first."""
    found = books.every("dispute", charge=params.get("charge"), payment_intent=params.get("payment_intent"))
    return listed(found, params, "/v1/disputes")


CALLS = (
    Call("POST", "/v1/payment_intents", create, p.PaymentIntentCreateParams),
    Call("GET", "/v1/payment_intents", list_intents, p.PaymentIntentListParams),
    Call("GET", "/v1/payment_intents/{name}", found("payment_intent", "intent"), p.PaymentIntentRetrieveParams),
    Call("POST", "/v1/payment_intents/{name}", change, p.PaymentIntentUpdateParams),
    Call("POST", "/v1/payment_intents/{name}/confirm", confirm, p.PaymentIntentConfirmParams),
    Call("POST", "/v1/payment_intents/{name}/cancel", cancel, p.PaymentIntentCancelParams),
    Call("GET", "/v1/charges", list_charges, p.ChargeListParams),
    Call("GET", "/v1/charges/{name}", found("charge", "charge"), p.ChargeRetrieveParams),
    Call("POST", "/v1/refunds", refund, p.RefundCreateParams),
    Call("GET", "/v1/refunds", list_refunds, p.RefundListParams),
    Call("GET", "/v1/refunds/{name}", found("refund"), p.RefundRetrieveParams),
    Call("GET", "/v1/disputes", list_disputes, p.DisputeListParams),
    Call("GET", "/v1/disputes/{name}", found("dispute"), p.DisputeRetrieveParams),
)
