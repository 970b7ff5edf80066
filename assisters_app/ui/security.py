"""Security: how data is protected, which audits there were, and which are due. For everyone."""

from dataclasses import dataclass
from typing import Self

import reflex as rx

from assisters_app.base import contact
from assisters_app.privacy.registers import audits
from assisters_app.ui.moments import iso
from assisters_app.ui.parts import anchor, badge, card, empty, heading, link, rows, table, time
from assisters_app.ui.parts.roles import role_table
from assisters_app.ui.security_routes import MADE_OF, WHOM_TO_TELL
from assisters_app.ui.session import AppState, access, for_anyone
from assisters_app.ui.shell import public


@dataclass(frozen=True, slots=True)
class AuditView:
    """One kind of audit. Days are ISO 8601, "" for never; `state` is "passed", "failed", "overdue" or "due"."""

    title: str
    by: str
    last: str
    due: str
    state: str
    says: str

    @classmethod
    def of(cls, line: audits.Line) -> Self:
        """Return what everyone sees of it."""
        last = iso(line.last)
        return cls(line.kind.title, line.kind.by, last, line.due.isoformat(), line.state, line.says)


class SecurityState(AppState):
    """The register of audits."""

    phase: str = "loading"
    audits: list[AuditView] = []

    @rx.event
    @access("public")
    async def load(self) -> None:
        """Read how each kind of audit stands."""
        try:
            async with for_anyone(self) as tx:
                self.audits = [AuditView.of(line) for line in await audits.standing(tx)]
        except Exception:
            self.phase = "failed"
            raise
        self.phase = "ready"


load = SecurityState.load


def page() -> rx.Component:
    """Draw the page."""
    return public(
        rx.el.div(
            heading(
                "Security",
                lead="How your data is protected, and who last looked whether it is. No system is perfectly secure; "
                "this says what is done, and when it is due again.",
            ),
            card(
                rows(
                    ("On the way to us", "TLS 1.3 and nothing older"),
                    ("Passwords, API keys, links in mail", "Kept as hashes: nobody can read them back, we included"),
                    ("E-mail addresses, mail on its way", "Sealed before they reach the database (AES-256)"),
                    (
                        "Everything else that is stored",
                        "On disks; that they are encrypted is attested below, with a date",
                    ),
                    ("Error reports", "Which error, in which line of code; no message and no data"),
                ),
                title="How it is protected",
                lead=rx.fragment(
                    "The software checks these by itself, and says so beside ",
                    link("each sentence of the policy", to="/privacy-policy#section-5"),
                    ".",
                ),
            ),
            card(
                table(
                    SecurityState.audits,
                    lambda audit: (
                        rx.el.div(
                            audit.title,
                            rx.el.span(audit.says, class_name="block text-xs text-muted"),
                            class_name="min-w-56 max-w-lg",
                        ),
                        rx.el.span(audit.by, class_name="text-muted"),
                        time(audit.last, "date", "not yet"),
                        time(audit.due, "date", ""),
                        _standing(audit.state),
                    ),
                    label="Audits and attestations",
                    columns=("What", "Who", "Last", "Due by", "Result"),
                    phase=SecurityState.phase,
                    retry=SecurityState.load,
                    key=lambda audit: audit.title,
                    empty=empty("Nothing is registered", "The register is written when the house opens."),
                ),
                title="Audits and attestations",
                lead="What the software cannot see for itself, such as a disk, people attest once a year.",
            ),
            card(
                role_table(),
                title="Who of us may do what",
                lead="Each page and each function behind it asks this table. Whose account one of us opens can read it.",
            ),
            card(
                rx.el.p(
                    "Write to ",
                    anchor(contact.EMAIL, href=f"mailto:{contact.EMAIL}", class_name="text-accent underline"),
                    ". Say what you did and what you saw, and leave other people's data alone. ",
                    anchor("security.txt", href=WHOM_TO_TELL, class_name="text-accent underline"),
                    " says the same to programs. Every package that we are made of, with its exact version, is in our ",
                    anchor("bill of materials", href=MADE_OF, class_name="text-accent underline"),
                    " (CycloneDX).",
                    class_name="text-muted max-w-prose",
                ),
                title="If you found a hole",
            ),
            class_name="max-w-5xl mx-auto px-4 sm:px-6 py-8 sm:py-12 space-y-6",
        )
    )


def _standing(state: rx.Var) -> rx.Component:
    return rx.match(
        state,
        ("passed", badge("passed", tone="good")),
        ("failed", badge("failed", tone="bad")),
        ("overdue", badge("overdue", tone="bad")),
        badge("not yet due"),
    )
