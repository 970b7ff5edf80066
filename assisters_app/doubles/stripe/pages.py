"""The pages a person sees at the stand-in: pay, manage billing, and an overview. Each says loudly what it is."""

from html import escape

from assisters_app.doubles.stripe.books import Books
from assisters_app.doubles.stripe.wire import Thing

STYLE = """
:root{color-scheme:light dark;--bg:#f4f5f7;--card:#fff;--ink:#1a1d23;--soft:#5b6270;--line:#d9dce3;--go:#0b5cd6;
--go-ink:#fff;--bad:#a8201a;--warn:#fff3cd;--warn-ink:#5c4300;--warn-line:#e0b400}
@media(prefers-color-scheme:dark){:root{--bg:#101216;--card:#1a1d23;--ink:#eceef2;--soft:#a2a9b8;--line:#343944;
--go:#6ea8ff;--go-ink:#06142b;--bad:#ff9a94;--warn:#3a2f00;--warn-ink:#ffe08a;--warn-line:#8a6d00}}
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--ink)}
.banner{background:var(--warn);color:var(--warn-ink);border-bottom:2px solid var(--warn-line);padding:.75rem 1rem;
text-align:center;font-weight:600}main{max-width:30rem;margin:0 auto;padding:2rem 1rem}main.wide{max-width:64rem}
.card{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.5rem;margin-bottom:1rem}
h1{font-size:1.25rem;margin:0 0 1rem}h2{font-size:1rem;margin:0 0 .75rem}.amount{font-size:2.25rem;font-weight:700}
p{margin:.25rem 0 1rem}.soft{color:var(--soft);font-size:.9rem}dl{display:grid;grid-template-columns:1fr auto;gap:.5rem;
margin:1rem 0}dd{margin:0;text-align:right;font-variant-numeric:tabular-nums}label{display:block;font-size:.9rem}
input{width:100%;font:inherit;padding:.6rem .75rem;border:1px solid var(--line);border-radius:8px;margin:.25rem 0 1rem;
background:var(--bg);color:var(--ink)}button,.button{display:block;width:100%;font:inherit;font-weight:600;
padding:.7rem;border-radius:8px;border:1px solid var(--line);background:transparent;color:var(--ink);cursor:pointer;
margin-top:.6rem;text-align:center;text-decoration:none}button.go{background:var(--go);color:var(--go-ink);
border-color:var(--go)}:focus-visible{outline:3px solid var(--go);outline-offset:2px}.bad{color:var(--bad);
font-weight:600}table{border-collapse:collapse;width:100%;font-size:.9rem}td,th{text-align:left;padding:.4rem .5rem;
border-bottom:1px solid var(--line);overflow-wrap:anywhere}td+td,th{white-space:nowrap}.scroll{overflow-x:auto}
"""


def _page(title: str, body: str, *, wide: bool = False) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)} (test stand-in)</title>'
        '<link rel="icon" href="data:,">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<style>{STYLE}</style></head><body><div class="banner" role="note">TEST STAND-IN. This is not Stripe. '
        f"No money moves; never type a real card number.</div><main{' class=wide' if wide else ''}>{body}</main>"
        "</body></html>"
    )


def price(cents: int, currency: str) -> str:
    """Write an amount for a person."""
    return f"${cents / 100:,.2f}" if currency == "usd" else f"{cents / 100:,.2f} {currency.upper()}"


def checkout(books: Books, session: Thing, problem: str = "") -> str:
    """Return the page on which an open session is paid."""
    customer = books.objects.get(session["customer"] or "", {})
    email = customer.get("email") or session["customer_email"] or ""
    lines = "".join(
        f"<dt>{line['quantity']} of {escape(line['description'])}</dt>"
        f"<dd>{price(line['amount_total'], line['currency'])}</dd>"
        for line in session["_line_items"]
    )
    total = price(session["amount_total"], session["currency"])
    back = '<button name="act" value="cancel">Cancel and go back</button>' if session["cancel_url"] else ""
    later = "" if session["mode"] == "subscription" else (
        '<button name="act" value="later">Pay by bank debit (settles later)</button>'
    )  # fmt: skip
    return _page(
        f"Pay {total}",
        f'<form method="post" class="card"><h1>Pretend payment</h1><div class="amount">{total}</div><dl>{lines}</dl>'
        f'<p class="bad" role="alert">{escape(problem)}</p>'
        f'<label>E-mail<input name="email" type="email" value="{escape(email)}" autocomplete="off"></label>'
        f'<p class="soft">The test card 4242 is filled in for you.</p>'
        f'<button class="go" name="act" value="pay">Pay {total}</button>'
        f'<button name="act" value="decline">Decline the card</button>{later}{back}</form>'
        f'<p class="soft">Session {escape(session["id"][:20])}…</p>',
    )


def closed(session: Thing, onward: str) -> str:
    """Return the page of a session that can no longer be paid; `onward` is where the merchant waits."""
    return _page(
        "Nothing to pay",
        f'<div class="card"><h1>This session is {escape(session["status"])}</h1><p>There is nothing left to pay here.'
        f'</p><a class="button" href="{escape(onward)}">Return to the merchant</a></div>',
    )


def portal(books: Books, session: Thing) -> str:
    """Return the page on which a customer sees cards, plans and payments."""
    who = session["customer"]
    customer = books.objects[who]
    cards = "".join(
        f"<li>{escape(m['card']['brand'])} •••• {escape(m['card']['last4'])}</li>"
        for m in books.every("payment_method", customer=who)
    )
    plans = "".join(
        f"<li>{escape(s['id'])}: {escape(s['status'])}"
        + (
            f' <button name="cancel" value="{escape(s["id"])}">Cancel this plan</button>'
            if s["status"] == "active"
            else ""
        )
        + "</li>"
        for s in books.every("subscription", customer=who)
    )
    rows = "".join(
        f"<tr><td>{escape(charge['id'])}</td><td>{price(charge['amount'], charge['currency'])}</td>"
        f"<td>{'refunded' if charge['refunded'] else escape(charge['status'])}</td></tr>"
        for charge in books.every("charge", customer=who)
    )
    back = session["return_url"]
    return _page(
        "Billing portal",
        f'<div class="card"><h1>Pretend billing portal</h1><p>{escape(customer.get("email") or who)}</p></div>'
        f'<div class="card"><h2>Cards</h2><ul>{cards or "<li>None saved</li>"}</ul></div>'
        f'<form method="post" class="card"><h2>Plans</h2><ul>{plans or "<li>None</li>"}</ul></form>'
        f'<div class="card"><h2>Payments</h2><div class="scroll"><table><tr><th>Payment</th><th>Amount</th><th>State'
        f"</th></tr>{rows or '<tr><td colspan=3>None yet</td></tr>'}</table></div></div>"
        + (f'<a class="button" href="{escape(back)}">Return to the merchant</a>' if back else ""),
    )


def overview(books: Books, log: list[Thing]) -> str:
    """Return what the stand-in holds, for the person who develops against it."""
    rows = "".join(
        f"<tr><td>{escape(e['type'])}</td><td>{escape(e['data']['object']['id'][:30])}</td>"
        f"<td>{'waiting' if e['pending_webhooks'] else 'delivered'}</td></tr>"
        for e in books.every("event")[:50]
    )
    kinds: dict[str, int] = {}
    for thing in books.objects.values():
        kinds[thing["object"]] = kinds.get(thing["object"], 0) + 1
    counts = "".join(f"<dt>{escape(kind)}</dt><dd>{count}</dd>" for kind, count in sorted(kinds.items()))
    return _page(
        "Payments",
        f'<div class="card"><h1>Payments test stand-in</h1><p class="soft">{len(log)} deliveries attempted since the '
        f"start, {len(books.waiting)} waiting. Faults are made by POST to /_control.</p><dl>{counts}</dl></div>"
        '<div class="card"><h2>Latest events</h2><div class="scroll"><table><tr><th>Event</th><th>Object</th><th>'
        f"Webhook</th></tr>{rows or '<tr><td colspan=3>None yet</td></tr>'}</table></div></div>",
        wide=True,
    )


def missing() -> str:
    """Return the page for a link that leads nowhere."""
    return _page("Not found", '<div class="card"><h1>This link leads nowhere</h1><p>It may have expired.</p></div>')
