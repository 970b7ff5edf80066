"""A secret that cannot slip: it formats, prints and pickles as nothing."""

import hmac
import secrets as _secrets
from typing import NoReturn


class Secret:
    """Holds a string that is shown only where `reveal()` is written."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the string itself. Every call of this is a place to look at in review."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> NoReturn:
        raise TypeError("A Secret is not pickled.")


def random_token() -> Secret:
    """Return 256 random bits in URL-safe text."""
    return Secret(_secrets.token_urlsafe(32))
