"""Every page of the product, in one table: the app, the gate, the navigation and the palette all read it.

A screen is a module of `assisters_app.ui` that has `page()` and, where it loads something, `load` (a State handler).
No screen is imported here, so that the shell can read the table that lists the screens that use the shell.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from assisters_app.accounts.rights import Right

Access = Literal["public", "member", "staff"]
CARE, DUTY, PROOF = "Customers", "Duties", "Proof"  # the headings of the desk of staff


@dataclass(frozen=True, slots=True)
class Page:
    """One page: where it is, what it is called, who may see it, which module draws it.

    `section` is the heading it has in the sidebar ("" for a page that is not there), `icon` a Lucide name, `words` what
    else one may type in the palette to find it. `alone` pages are for those who are not signed in (sign-in, sign-up).
    A page for staff says in `right` what one's role must allow.
    """

    route: str
    title: str
    module: str
    access: Access = "member"
    section: str = ""
    icon: str = ""
    words: str = ""
    alone: bool = False
    right: Right | None = None

    def draw(self) -> Callable[[], Any]:
        """Return the function that draws the page. Its module names the file that the page's visitor downloads."""
        return self._module().page

    def load(self) -> list[Any]:
        """Return the handlers that run when the page is opened: the module's `load`, one or a list."""
        load = getattr(self._module(), "load", [])
        return load if isinstance(load, list) else [load]

    def _module(self) -> Any:
        return importlib.import_module(f"assisters_app.ui.{self.module}")


PAGES: tuple[Page, ...] = (
    # Everyone
    Page("/", "Home", "landing", "public"),
    Page("/pricing", "Pricing", "pricing", "public", section="Top", words="plans cost price"),
    Page("/docs", "Docs", "docs", "public", section="Top", words="quickstart api reference openai python node curl"),
    Page(
        "/docs/reference",
        "API reference",
        "reference",
        "public",
        section="Top",
        words="openapi endpoints routes errors curl python node",
    ),
    # Signing in
    Page("/sign-in", "Sign in", "sign_in", "public", alone=True),
    Page("/sign-up", "Create an account", "sign_up", "public", alone=True),
    Page("/forgot", "Reset your password", "forgot", "public", alone=True),
    Page("/check-mail", "Check your mail", "check_mail", "public", alone=True),
    Page("/reset", "Choose a new password", "reset", "public"),
    Page("/verify", "Confirm your address", "verify", "public"),
    Page("/confirm-email", "Confirm the change of your address", "confirm_email", "public"),
    Page("/new-mailbox", "Is this mailbox yours?", "new_mailbox", "public"),
    Page("/keep-mailbox", "Keep your e-mail address", "keep_mailbox", "public"),
    Page("/mailbox-noted", "Noted", "mailbox_noted", "public"),
    Page("/one-more-mailbox", "One more mailbox", "one_more_mailbox", "public"),
    Page("/confirm", "Confirm that it is you", "reauthenticate", "member"),
    # Build
    Page("/dashboard", "Overview", "overview", section="Build", icon="layout-dashboard", words="home start first call"),
    Page(
        "/dashboard/api-keys",
        "API keys",
        "keys.screen",
        section="Build",
        icon="key-round",
        words="token secret credential",
    ),
    Page(
        "/dashboard/usage", "Usage", "usage", section="Build", icon="chart-column", words="charts requests tokens csv"
    ),
    Page("/dashboard/requests", "Request log", "requests_log", section="Build", icon="list", words="calls errors"),
    Page("/dashboard/requests/[request_number]", "Request", "request_detail"),
    Page(
        "/dashboard/playground",
        "Playground",
        "playground",
        section="Build",
        icon="message-square-text",
        words="chat try model prompt",
    ),
    Page(
        "/dashboard/billing",
        "Billing",
        "billing.screen",
        section="Build",
        icon="wallet",
        words="balance top-up invoice plan",
    ),
    # Your data
    Page(
        "/dashboard/privacy",
        "Privacy",
        "privacy.rights",
        section="Your data",
        icon="shield-check",
        words="access export download delete erase account correct opt out gdpr ccpa rights",
    ),
    Page("/dashboard/privacy/consents", "Consents", "privacy.consents"),
    Page("/dashboard/privacy/content", "What is said in your calls", "privacy.content"),
    Page("/dashboard/privacy/requests", "Your requests", "privacy.requests"),
    Page("/dashboard/privacy/trail", "What was done with your account", "privacy.trail"),
    Page("/dashboard/privacy/changes", "What changes for you", "privacy.changes"),
    Page("/dashboard/privacy/delete", "Close or erase your account", "closing"),
    # Account
    Page("/dashboard/settings", "Settings", "settings", section="Account", icon="settings", words="profile password"),
    Page(
        "/dashboard/support",
        "Support",
        "support",
        section="Account",
        icon="life-buoy",
        words="help question contact ask",
    ),
    # Staff: those we serve; what the law wants done in time; what shows that it was
    *(
        Page(f"/staff/{place}", title, f"staff.{module}", "staff", section, icon, words, right=right)
        for place, title, module, right, section, icon, words in (
            ("accounts", "Accounts", "accounts", "accounts", CARE, "users", "search people suspend"),
            ("accounts/[account_number]", "Account", "account", "accounts", "", "", ""),
            ("support", "Support desk", "support", "support", CARE, "life-buoy", "questions answer help"),
            (
                "mailboxes",
                "Lost mailboxes",
                "mailboxes",
                "recovery",
                CARE,
                "mailbox",
                "recovery address identity proof",
            ),
            ("news", "News", "news", "news", CARE, "megaphone", "marketing newsletter mail unsubscribe"),
            ("usage", "Usage review", "usage", "usage", CARE, "chart-line", "all accounts movers charts"),
            ("models", "Models and prices", "models", "models", CARE, "boxes", "price upstream catalog offer retire"),
            ("requests", "Privacy requests", "requests", "requests", DUTY, "inbox", "queue gdpr ccpa deadlines"),
            ("requests/[request_number]", "Privacy request", "request", "requests", "", "", ""),
            ("holds", "Legal holds", "holds", "holds", DUTY, "scale", "court order keep preserve litigation"),
            (
                "disclosures",
                "Demands of authorities",
                "disclosures",
                "disclosures",
                DUTY,
                "landmark",
                "subpoena warrant disclosure police court",
            ),
            (
                "incidents",
                "Security incidents",
                "incidents",
                "incidents",
                DUTY,
                "siren",
                "breach 72 hours notification authority",
            ),
            ("retention", "Retention", "retention", "retention", PROOF, "hourglass", "sweeps oldest overdue alarms"),
            ("policy", "Policy", "policy", "policy", PROOF, "scroll-text", "versions publish transfer merger"),
            ("audits", "Audits", "audits", "audits", PROOF, "clipboard-check", "attestation security report yearly"),
            ("trail", "Audit trail", "trail", "trail", PROOF, "footprints", "log who looked"),
            (
                "roles",
                "Staff and roles",
                "roles",
                "desk",
                PROOF,
                "id-card-lanyard",
                "team admin support rights who may",
            ),
        )
    ),
    # What everyone may read about privacy
    Page("/privacy-policy", "Privacy policy", "policy", "public", "Legal", words="retention promises"),
    Page("/privacy/history", "Versions of the policy", "policy_history", "public"),
    Page(
        "/privacy/inventory",
        "What we store",
        "stored",
        "public",
        "Legal",
        words="inventory tables columns data categories",
    ),
    Page(
        "/privacy/record", "Record of processing", "processing", "public", "Legal", words="article 30 gdpr activities"
    ),
    Page(
        "/privacy/procedure",
        "How requests are handled",
        "procedure",
        "public",
        "Legal",
        words="deadlines clocks states erasure refusal appeal",
    ),
    Page("/cookies", "Cookies", "cookies", "public", "Legal", words="storage gpc signal"),
    Page("/processors", "Processors", "processors", "public", "Legal", words="sub-processors companies"),
    Page(
        "/disclosures",
        "Disclosures",
        "disclosures",
        "public",
        "Legal",
        words="transparency subpoena warrant",
    ),
    Page("/receipts", "Check a receipt", "check_receipt", "public", "Legal", words="verify erasure signature proof"),
    Page("/security", "Security", "security", "public", "Legal", words="audits encryption tls attestation"),
    Page("/receipts/[receipt_number]", "Receipt of an erasure", "receipt", "public"),
    Page("/closed", "Your account is closed", "closed", "public"),
)


def by_route(path: str) -> Page | None:
    """Return the page that answers `path` (no trailing slash), also for routes with a `[part]`; None when none does."""
    return next((page for page in PAGES if _matches(page.route, path)), None)


def _matches(route: str, path: str) -> bool:
    pattern, parts = route.split("/"), path.split("/")
    return len(pattern) == len(parts) and all(
        part == asked or (part.startswith("[") and part.endswith("]") and bool(asked))
        for part, asked in zip(pattern, parts, strict=True)
    )
