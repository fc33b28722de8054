"""How Kit says no."""

from __future__ import annotations

NOT_FOUND = "Not Found"
BAD_TOKEN = "The access token is invalid"


class Refused(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """An error answer in Kit's form, ``{"errors": [...]}`` ("Responses", "Bad data").

    ``undocumented`` names what in the request the document does not have.
    """

    def __init__(self, status: int, *errors: str, undocumented: str | None = None) -> None:
        super().__init__(*errors)
        self.status = status
        self.errors = list(errors)
        self.undocumented = undocumented


def not_found() -> Refused:
    return Refused(404, NOT_FOUND)


def invalid(*errors: str) -> Refused:
    return Refused(422, *errors)
