"""What Conversion answers, as far as its documents tell. Unknown keys are kept, so an addition breaks nothing."""

from __future__ import annotations

from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mktg_integration.exceptions import MalformedAnswerError

JSON = Any


class Answered(BaseModel):
    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class Upserted(Answered):
    """v2 "Upsert contact", ``data``."""

    contact_id: str = Field(alias="cnvContactId", min_length=1)
    created: bool = Field(alias="contactCreated")


class UpsertAnswer(Answered):
    data: Upserted


class BatchItem(Answered):
    """One of v2's batch results. What a failed one looks like is not documented: see ``errors.item_error``."""

    success: bool
    contact_id: str | None = Field(default=None, alias="cnvContactId")
    created: bool | None = Field(default=None, alias="contactCreated")


class BatchData(Answered):
    results: list[BatchItem]


class BatchAnswer(Answered):
    data: BatchData


class Tracked(Answered):
    """v2 events, ``data``."""

    event_id: str = Field(alias="cnvEventId")
    contact_id: str = Field(alias="cnvContactId")


class EventAnswer(Answered):
    data: Tracked


class ExportData(Answered):
    contacts: list[dict[str, JSON]]


class Pagination(Answered):
    next_cursor: str | None = Field(default=None, alias="nextCursor")


class ExportAnswer(Answered):
    """v2 exports; only some accounts have them."""

    data: ExportData
    pagination: Pagination


class V1Upserted(Answered):
    """v1 "Batch Upsert Contacts", one of ``data``."""

    email: str
    contact_id: str | None = Field(default=None, alias="contactId")
    operation: str = ""


class V1BatchAnswer(Answered):
    data: list[V1Upserted]


class V1Contact(Answered):
    """v1 "Get Contact by Email", ``data``."""

    id: str = Field(min_length=1)
    email: str
    variables: dict[str, JSON] | None = None
    subscription_status: str | None = Field(alias="subscriptionStatus")
    created_at: datetime | None = Field(default=None, alias="createdAt")


class V1ContactAnswer(Answered):
    data: V1Contact


A = TypeVar("A", bound=Answered)


def parse(model: type[A], payload: JSON, endpoint: str) -> A:
    """``payload`` as ``model``. Raises ``MalformedAnswerError`` naming the endpoint and the keys, never values."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        wrong = sorted({_key(item["loc"]) for item in error.errors(include_input=False, include_url=False)})
        keys = ", ".join(wrong[:5])
        raise MalformedAnswerError(
            f"conversion: {endpoint} answered something else than its document says; look at: {keys}"
        ) from None


def _key(location: tuple[int | str, ...]) -> str:
    return ".".join("[]" if isinstance(part, int) else part for part in location) or "the whole body"
