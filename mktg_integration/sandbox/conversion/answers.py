"""What an endpoint of either dialect gives back, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from ..values import is_email, json_object
from ..wire import Request

MAX_BATCH = 1000


@dataclass(frozen=True)
class Answer:
    """The whole JSON envelope of a success, and what in the request no document has."""

    payload: dict[str, Any]
    undocumented: str | None = None


class Refused(Exception):  # noqa: N818 (an answer of the service, not a failure of the sandbox)
    """The request, or one item of it, gets an error of the service's own kind."""

    def __init__(self, code: str, message: str, *, status: int = 400, undocumented: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.undocumented = undocumented

    def body(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}


class Body(BaseModel):
    """A request's body or an item of it: the documents close the set of keys and name the types."""

    model_config = ConfigDict(extra="forbid", strict=True)


def email_address(text: str) -> str:
    """For pydantic: the text, when it is a well-formed address."""
    if not is_email(text):
        raise ValueError("The email address is malformed.")
    return text


def read_json(request: Request, code: str) -> dict[str, Any]:
    """The request's JSON object; refused with ``code`` without one or without its Content-Type."""
    content_type = request.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "application/json":
        message = "The Content-Type header must be application/json."
        raise Refused(code, message, undocumented=message)
    try:
        return json_object(request.body)
    except ValueError as error:
        raise Refused(code, str(error), undocumented=str(error)) from error


def check_batch_size(items: list[Any], code: str) -> None:
    if not 1 <= len(items) <= MAX_BATCH:
        raise Refused(code, f"A batch holds 1 to {MAX_BATCH} items; this one has {len(items)}.")


def join_notes(notes: Iterable[str | None]) -> str | None:
    """Several notes of what is undocumented as one, each once; batches repeat the same one many times."""
    return "; ".join(dict.fromkeys(note for note in notes if note)) or None
