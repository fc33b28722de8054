"""Conversion v2: contacts upserted alone and in batches, events, exports.

Implements "External API" (overview) and "POST /v2/contacts" of the reference, and of the field notes
``POST /v2/contacts/batch``, ``/v2/events`` and ``/v2/exports/contacts``. Where those are silent:

- A body that is no JSON object, lacks its Content-Type, or has an unknown key or a wrong type, is answered 400
  with the code ``invalid_request``; a missing or wrong key 401 ``unauthorized``; 429 ``rate_limit_exceeded``.
- A ``cnvContactId`` that is unknown is ``contact_not_found`` with ``updateOnly`` or without an ``email``;
  otherwise the contact is found or made by ``email``. An address that is another contact's: ``upsert_failed``.
- ``preserveExistingFields`` holds for ``fields`` and ``companyFields``, not for the subscription status.
- A failed item of a batch is ``{"success": false, "error": {"code", "message"}}`` in its place.
- An event's ``userId`` is the ``userId`` that a world gives to a contact.
"""

from __future__ import annotations

import uuid
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from ..values import is_email, is_iso_time, json_object, undocumented_shapes
from ..wire import Request, Response
from .store import EmailTakenError, Store, write_fields
from .world import Contact, FieldDefinition

MAX_BATCH = 1000


class Refused(Exception):  # noqa: N818 (an answer, not a failure of ours)
    def __init__(self, code: str, message: str, *, status: int = 400, undocumented: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.undocumented = undocumented

    def body(self) -> dict[str, str]:
        return {"code": self.code, "message": self.message}


def _uuid(text: str) -> str:
    return str(uuid.UUID(text))


def _email(text: str) -> str:
    if not is_email(text):
        raise ValueError("The email address is malformed.")
    return text


def _iso_time(text: str) -> str:
    if not is_iso_time(text):
        raise ValueError("Must be an ISO 8601 date-time.")
    return text


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ContactBody(Body):
    """What an item of a batch and a single upsert share. An empty default means: not given."""

    email: Annotated[str, AfterValidator(_email)] = ""
    cnvContactId: Annotated[str, AfterValidator(_uuid)] = ""  # noqa: N815 (the document's name)
    subscriptionStatus: Literal["SUBSCRIBED", "UNSUBSCRIBED", "NO_STATUS", ""] = ""  # noqa: N815
    fields: dict[str, Any] = {}
    companyFields: dict[str, Any] = {}  # noqa: N815


class Options(Body):
    updateOnly: bool = False  # noqa: N815
    syncToCRM: bool = False  # noqa: N815
    preserveExistingFields: bool = False  # noqa: N815


class UpsertBody(ContactBody, Options):
    pass


class BatchBody(Options):
    contacts: list[Any]


class EventBody(Body):
    event: str = Field(min_length=1)
    userId: str = ""  # noqa: N815
    email: Annotated[str, AfterValidator(_email)] = ""
    eventId: str | None = None  # noqa: N815
    data: dict[str, Any] | None = None
    timestamp: Annotated[str, AfterValidator(_iso_time)] = ""


class ExportBody(Body):
    limit: int = Field(default=MAX_BATCH, ge=1, le=MAX_BATCH)
    cursor: str | None = None


# The documented code for what is wrong with a key of the body; all else is invalid_request.
_CODE_OF = {
    "email": "invalid_email",
    "subscriptionStatus": "invalid_subscription_status",
    "fields": "invalid_field",
    "companyFields": "invalid_field",
}
_STATUS_MESSAGE = "subscriptionStatus must be one of SUBSCRIBED, UNSUBSCRIBED, NO_STATUS."


def parse[B: Body](model: type[B], value: Any) -> B: ...
