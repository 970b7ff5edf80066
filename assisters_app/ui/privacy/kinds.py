"""Kinds of personal data in words: the marks name them as fideslang does."""

KINDS = {
    "user.authorization.password": "password, as a hash",
    "user.behavior": "what you did, when, with which result",
    "user.contact": "what you corrected, before and after",
    "user.contact.email": "e-mail address",
    "user.content": "names you gave, words you wrote or sent",
    "user.content.private": "what you and support wrote",
    "user.device": "browser or program (user agent)",
    "user.device.ip_address": "IP address",
    "user.financial": "amounts and payments",
    "user.location": "time zone",
    "user.name": "name",
    "user.privacy_preferences": "consents",
    "user.unique_id": "account and customer numbers",
    "user.workplace": "organization",
}


def kind_in_words(name: str) -> str:
    """Return what a person calls this kind of data."""
    return KINDS.get(name, name)
