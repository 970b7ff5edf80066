"""E-mail addresses, written one way.

normalized(text) -> str
"""

from email_validator import EmailNotValidError, validate_email

from assisters_app.base.errors import Refused

LONGEST = 254  # RFC 5321, with its brackets taken off


def normalized(text: str) -> str:
    """Return the address as it is stored: lower-case; raise Refused when it is none."""
    try:
        address = validate_email(text.strip(), check_deliverability=False).normalized.lower()
    except EmailNotValidError:
        address = ""
    if not address or len(address) > LONGEST:
        raise Refused("That is not an e-mail address.", code="bad_email", field="email")
    return address
