"""What the stand-in can be told to do wrong, or to let happen: POST a JSON object to /_control.

    {"hold": true}              keep deliveries back             {"release": true}   deliver what waits, now
    {"copies": 2}               deliver each event twice         {"reorder": true}   deliver newest first
    {"lose_answers": 1}         commit, then answer 500          {"decline": 1}      refuse the next card
    {"url": "http://…"}         deliver to another place
    {"settle": "cs_…", "paid": true}       let a bank debit arrive (or bounce)
    {"dispute": "pi_…"}                    let the cardholder's bank dispute a payment
    {"decide": "du_…", "won": false}       let the bank decide
    {"resend": "evt_…"}                    deliver an event once more
    {"reset": true}                        forget everything

The answer is what the stand-in holds, with the last deliveries. Nothing here sleeps: after `release` the deliveries
have been attempted.
"""

from typing import Any

from assisters_app.doubles.stripe import checkout, payments
from assisters_app.doubles.stripe.books import Books, Faults
from assisters_app.doubles.stripe.courier import Courier
from assisters_app.doubles.stripe.wire import Thing, WrongError


async def obey(books: Books, courier: Courier, orders: Thing) -> Thing:
    """Carry out `orders`, in the order they are written; return the state of things."""
    made: Thing = {}
    for order, value in orders.items():
        if not _spoiled(books, courier, order, value):
            made |= _happened(books, order, orders)
    if orders.get("release"):
        courier.held = False
        await courier.deliver()
    return {**books.summary(), "held": courier.held, "made": made, "deliveries": courier.log[-50:]}


def _spoiled(books: Books, courier: Courier, order: str, value: Any) -> bool:  # noqa: ANN401 (JSON)
    match order:
        case "url":
            courier.url = value
        case "hold":
            courier.held = bool(value)
        case "copies":
            courier.copies = value
        case "reorder":
            courier.reversed = bool(value)
        case "lose_answers":
            books.faults.lost_answers = value
        case "decline":
            books.faults.declines = value
        case "reset":
            books.objects, books.answers, books.waiting, books.faults = {}, {}, [], Faults()
            courier.held, courier.copies, courier.reversed, courier.log = False, 1, False, []
        case _:
            return False
    return True


def _happened(books: Books, order: str, orders: Thing) -> Thing:
    match order:
        case "settle":
            return {order: checkout.settle(books, orders["settle"], paid=orders.get("paid", True))["id"]}
        case "dispute":
            return {order: payments.dispute(books, orders["dispute"], orders.get("amount"))["id"]}
        case "decide":
            return {order: payments.decide(books, orders["decide"], won=orders.get("won", False))["id"]}
        case "resend":
            event = books.find("event", orders["resend"])
            books.waiting.append({"event": event["id"], "attempts": 0})
            return {order: event["id"]}
        case "paid" | "won" | "amount" | "release":
            return {}
    raise WrongError(f"The stand-in does not know the order {order!r}.")
