"""One call of the API: its address, what carries it out, and the official client's type for its parameters."""

from collections.abc import Callable
from dataclasses import dataclass

from assisters_app.doubles.stripe.books import Books
from assisters_app.doubles.stripe.wire import Thing


@dataclass(frozen=True, slots=True)
class Call:
    """`act(books, params, **path)` returns the object to answer with, or raises WrongError."""

    method: str
    path: str
    act: Callable[..., Thing]
    params: type


def found(kind: str, param: str = "id") -> Callable[[Books, Thing, str], Thing]:
    """Return what carries out the retrieval of one object of `kind`."""
    return lambda books, _params, name: books.find(kind, name, param)
