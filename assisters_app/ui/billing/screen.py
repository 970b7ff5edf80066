"""The billing page, drawn."""

from typing import Any

import reflex as rx

from assisters_app.base.money import dollars, from_cents
from assisters_app.billing import plans
from assisters_app.ui.amounts import amount
from assisters_app.ui.billing.state import BillingState
from assisters_app.ui.parts import (
    badge,
    button,
    card,
    download_button,
    empty,
    field,
    form,
    heading,
    notice,
    number,
    post_form,
    rows,
    stat,
    stats,
    table,
    time,
)
from assisters_app.ui.shell import shell

load = BillingState.load


def page() -> rx.Component:
    """Draw the page."""
    return shell(
        heading("Billing", rx.cond(BillingState.payments, _portal()), lead="Prepaid: you spend what you put in."),
        _now(),
        _top_up(),
        _cap(),
        _months(),
        _bill(),
        _movements(),
        _orders(),
    )


def _portal() -> rx.Component:
    return post_form(
        button(
            "Cards and receipts",
            rx.icon("arrow-up-right", size=15, aria_hidden="true"),
            type="submit",
            kind="secondary",
        ),
        action="/billing/portal",
        class_name="",
    )


def _now() -> rx.Component:
    ready = BillingState.phase == "ready"
    limits = rx.fragment(
        "requests and ",
        number(BillingState.tokens_per_minute, compact=True),
        " tokens a minute, ",
        number(BillingState.concurrency),
        " calls at once",
    )
    return stats(
        stat(
            "Balance",
            amount(BillingState.balance),
            rx.cond(
                BillingState.in_debt, "paid calls are refused", rx.fragment("exactly ", BillingState.balance.exact)
            ),
            ready=ready,
        ),
        stat("Plan", BillingState.plan, BillingState.next_plan, ready=ready),
        stat("Limits", number(BillingState.requests_per_minute), limits, ready=ready),
        stat(
            rx.fragment("Bill of ", BillingState.month_title),
            BillingState.rounded,
            rx.cond(BillingState.growing, "so far", "final"),
            ready=ready,
        ),
    )


def _top_up() -> rx.Component:
    off = notice("Top-ups are switched off here: no payment provider is set up.", tone="warn")
    return card(
        rx.match(
            BillingState.phase,
            ("ready", rx.cond(BillingState.payments, _amounts(), off)),
            rx.el.div(class_name="h-32", aria_busy="true"),
        ),
        title="Add credit",
        lead="Paid at Stripe. We never see your card.",
    )


def _amounts() -> rx.Component:
    return post_form(
        rx.el.fieldset(
            rx.el.legend("Amount", class_name="sr-only"),
            *[_amount(cents, chosen=n == 1) for n, cents in enumerate(plans.TOP_UPS)],
            class_name="grid grid-cols-2 sm:grid-cols-5 gap-3",
        ),
        button("Continue to payment", type="submit"),
        action="/billing/top-up",
    )


def _amount(cents: int, *, chosen: bool) -> rx.Component:
    bonus = plans.bonus_cents(cents)
    return rx.el.label(
        rx.el.input(type="radio", name="amount", value=str(cents), default_checked=chosen, class_name="sr-only"),
        rx.el.span(dollars(from_cents(cents), 0).removesuffix("."), class_name="text-base font-semibold"),
        rx.el.span(
            f"+ {dollars(from_cents(bonus))} bonus" if bonus else "no bonus",
            class_name="text-xs " + ("text-good" if bonus else "text-muted"),
        ),
        class_name="relative flex flex-col gap-0.5 rounded-lg border border-line bg-surface px-3.5 py-3 cursor-pointer "
        "hover:border-strong has-checked:border-accent has-checked:bg-accent-soft "
        "has-focus-visible:outline-2 has-focus-visible:outline-accent",
    )


def _cap() -> rx.Component:
    spent = rx.fragment(amount(BillingState.capped_spent), " spent in this month so far")
    against = rx.fragment(
        amount(BillingState.capped_spent),
        " of ",
        BillingState.cap,
        " spent. It starts anew ",
        time(BillingState.cap_again),
    )
    return card(
        rx.cond(
            BillingState.cap_reached,
            notice(
                "The cap is reached: paid calls are refused until ",
                time(BillingState.cap_again),
                ".",
                tone="bad",
                class_name="mb-4",
            ),
        ),
        rx.match(BillingState.phase, ("ready", _cap_form()), rx.el.div(class_name="h-16", aria_busy="true")),
        rx.el.p(rx.cond(BillingState.cap != "", against, spent), class_name="mt-3 text-[0.8125rem] text-muted"),
        title="Spend cap",
        lead="The most that all keys together may spend in a calendar month (UTC). A call that could go beyond is refused.",
    )


def _cap_form() -> rx.Component:
    return form(
        field(
            "Dollars a month",
            "cap",
            hint="Empty for no cap. Keys can have budgets of their own: see API keys.",
            error=BillingState.cap_problem,
            default_value=BillingState.cap_typed,
            key=BillingState.cap_typed,
            input_mode="decimal",
            auto_complete="off",
            placeholder="no cap",
        ),
        button("Save cap", type="submit", kind="secondary"),
        on_submit=BillingState.cap_spending,
        class_name="max-w-sm",
    )


def _months() -> rx.Component:
    return rx.el.nav(
        button(
            rx.icon("chevron-left", size=16, aria_hidden="true"),
            kind="secondary",
            size="small",
            aria_label="The month before",
            on_click=BillingState.turn(False),
            disabled=~BillingState.earlier,
        ),
        rx.el.h2(
            BillingState.month_title, class_name="text-base font-semibold min-w-36 text-center", aria_live="polite"
        ),
        button(
            rx.icon("chevron-right", size=16, aria_hidden="true"),
            kind="secondary",
            size="small",
            aria_label="The month after",
            on_click=BillingState.turn(True),
            disabled=~BillingState.newer,
        ),
        aria_label="Month",
        class_name="flex items-center gap-2 pt-2",
    )


def _bill() -> rx.Component:
    return card(
        table(
            BillingState.bill,
            _bill_cells,
            label="Bill",
            columns=("Model", "Requests", "Input tokens", "Output tokens", "How it adds up", "Amount"),
            right=(1, 2, 3, 5),
            phase=BillingState.phase,
            empty=empty("Nothing to pay", "No live call was made in this month.", icon="receipt"),
            retry=BillingState.again,
            key=lambda line: line.key,
            more=_sum(),
        ),
        title=rx.cond(BillingState.growing, "Bill so far", "Bill"),
        lead="One line for each model and price, in UTC months. Signed receipts prove each call.",
        action=rx.cond(
            BillingState.bill.length() > 0,
            download_button("Download receipts", href="/download/receipt-months/" + BillingState.month),
        ),
    )


def _bill_cells(line: Any) -> tuple[Any, ...]:
    return (
        rx.el.div(
            line.model, rx.el.span(line.version, class_name="block text-xs text-muted"), class_name="whitespace-nowrap"
        ),
        number(line.requests),
        rx.cond(line.input_tokens > 0, number(line.input_tokens), "—"),
        rx.cond(line.output_tokens > 0, number(line.output_tokens), "—"),
        rx.el.span(line.derivation, class_name="text-[0.8125rem] text-muted sm:whitespace-normal whitespace-nowrap"),
        rx.el.span(line.amount, rx.cond(line.holds, "", rx.fragment(" ", badge("does not add up", tone="bad")))),
    )


def _sum() -> rx.Component:
    return rx.el.div(
        rows(
            ("Exact sum", rx.el.span(BillingState.total, class_name="tabular-nums")),
            ("Rounded once, to the cent", rx.el.strong(BillingState.rounded, class_name="tabular-nums")),
        ),
        rx.cond(
            BillingState.holds,
            badge(
                rx.icon("check", size=12, aria_hidden="true"), "Each line equals the usage it comes from", tone="good"
            ),
            badge("A line differs from its usage; nothing is charged until that is cleared up", tone="bad"),
        ),
        class_name="border-t border-line pt-3 mt-1 space-y-2",
    )


def _movements() -> rx.Component:
    return card(
        table(
            BillingState.movements,
            lambda row: (
                time(row.at, "date"),
                rx.el.div(row.what, rx.el.span(row.about, class_name="block text-xs text-muted")),
                rx.el.span(
                    row.amount, class_name=rx.cond(row.into, "whitespace-nowrap text-good", "whitespace-nowrap")
                ),
            ),
            label="Movements of your wallet",
            columns=("When", "What", "Amount"),
            right=(2,),
            phase=BillingState.phase,
            empty=empty("Nothing moved", "No money went in or out in this month.", icon="arrow-left-right"),
            retry=BillingState.again,
            key=lambda row: row.key,
            more=rx.cond(BillingState.hidden > 0, _more()),
        ),
        title="Movements",
        lead="Everything that went into or out of your wallet in this month. Usage is one line for each day and model.",
    )


def _more() -> rx.Component:
    label = rx.fragment("Show ", BillingState.hidden, " more")
    return rx.el.div(button(label, kind="secondary", size="small", on_click=BillingState.show_all), class_name="pt-3")


def _orders() -> rx.Component:
    return card(
        table(
            BillingState.top_ups,
            lambda row: (
                time(row.at),
                rx.el.code(row.handle, class_name="font-mono text-[0.8125rem] text-muted"),
                badge(row.state, tone=row.tone),
                rx.cond(row.bonus != "", row.bonus, "—"),
                row.amount,
            ),
            label="Top-ups",
            columns=("When", "Order", "State", "Bonus", "Amount"),
            right=(3, 4),
            phase=BillingState.phase,
            empty=empty("No top-ups yet", "What you add to your wallet is listed here.", icon="wallet"),
            retry=BillingState.again,
            key=lambda row: row.handle,
        ),
        title="Top-ups",
    )
