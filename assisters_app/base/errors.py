"""The one error that people read: a sentence, and a code for machines."""


class Refused(Exception):  # noqa: N818 (it reads as what happened: refused)
    """Something asked for was not done; `str(refused)` is a sentence for a person, `code` names it for a program.

    `status` is the HTTP status a program gets. `field` names the form field at fault, where one is.
    `retry_after` is the number of seconds after which asking again makes sense, where there is one.
    """

    def __init__(
        self,
        sentence: str,
        *,
        code: str,
        status: int = 400,
        field: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(sentence)
        self.code = code
        self.status = status
        self.field = field
        self.retry_after = retry_after


class NotFound(Refused):
    """The thing does not exist for this person; somebody else's is told apart by nobody."""

    def __init__(self, thing: str) -> None:
        super().__init__(f"That {thing} does not exist.", code="not_found", status=404)
