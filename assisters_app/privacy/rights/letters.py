"""What people are written about their requests: received, doubted, extended, answered."""

from datetime import datetime

from assisters_app.base import contact
from assisters_app.base.mail import Message
from assisters_app.base.settings import settings
from assisters_app.privacy.rights.tables import PrivacyRequest

APPEAL = (
    f"If you think this is wrong, appeal: write to {contact.EMAIL}, or choose “Appeal” under your requests in the "
    "dashboard. Another person than the one who refused decides, within 45 days."
)
COMPLAINT = (
    "You may also complain to a supervisory authority, in particular where you live or work, or go to court (GDPR "
    "Art. 77 and 79); in California to the Privacy Protection Agency or the attorney general, elsewhere to your "
    "attorney general."
)


def received(request: PrivacyRequest, due: datetime) -> Message:
    """Confirm the receipt of a request (CCPA 7021(a)), with what happens next and when."""
    return Message(
        f"We have your privacy request {request.handle}",
        (
            f"It reached us on {request.received_at:%d %B %Y}: {request.kind}. A person of our staff looks at it.",
            f"You get the answer by {due:%d %B %Y} at the latest, free of charge.",
            "Should we doubt that it was you who asked, we ask you to sign in; we never want copies of papers.",
            "If it was not you, tell us by answering this mail.",
        ),
        _see() if request.account_id else None,
    )


def who_are_you(request: PrivacyRequest, what: str) -> Message:
    """Ask who somebody is; `what` is what makes us doubt."""
    how = (
        "Sign in, open your requests and press “It was me”. Nothing else is needed, and no copies of papers."
        if request.account_id
        else "Answer this mail from the address that you used with us. Please send no copies of papers."
    )
    return Message(
        f"Was it you who asked? {request.handle}",
        (
            f"A request in your name reached us on {request.received_at:%d %B %Y}. We have to be sure: {what}",
            how,
        ),
        _see() if request.account_id else None,
    )


def extended(request: PrivacyRequest, due: datetime) -> Message:
    """Tell that the answer takes longer, and why (GDPR Art. 12(3), CCPA 7021(b))."""
    return Message(
        f"We need more time for your request {request.handle}",
        (
            f"It reached us on {request.received_at:%d %B %Y}. The reason: {request.extension_reason}",
            f"You get the answer by {due:%d %B %Y} at the latest (GDPR Art. 12(3), CCPA 7021(b)).",
            COMPLAINT,
        ),
        _see() if request.account_id else None,
    )


def answered(request: PrivacyRequest) -> Message:
    """Tell what was done; or why not, and what can be done about that (GDPR Art. 12(4))."""
    if request.state == "refused":
        return Message(
            f"The answer to your request {request.handle}",
            (f"We do not do what you asked for. The reason: {request.outcome}", APPEAL, COMPLAINT),
            _see() if request.account_id else None,
        )
    said = (f"What you asked for is done: {request.outcome}",)
    return Message(f"The answer to your request {request.handle}", said, _see() if request.account_id else None)


def _see() -> tuple[str, str]:
    return ("See your requests", f"{settings().public_url}/dashboard/privacy/requests")
