"""Conversion's part of a world file: the account's settings, field definitions and objects."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ..errors import WorldError
from ..values import is_email, same_address
from ..worldmodel import WorldModel


def _email(text: str) -> str:
    if not is_email(text):
        raise ValueError("not an email address")
    return text


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise ValueError("not a UUID, as Conversion's contact ids are") from error


class RateLimit(WorldModel):
    requests: int = Field(gt=0)
    seconds: float = Field(gt=0, strict=False)


class Settings(WorldModel):
    """Switches for what the documents leave open. The defaults are the documents' plain reading."""

    any_field: bool = False
    """Take every key in ``fields`` and ``companyFields`` that is not read-only, defined or not."""
    v1_refuse_whole_batch: bool = False
    """A bad item refuses the whole v1 batch (400); otherwise it is left out of the answer's ``data``."""
    v2_refuse_whole_batch: bool = False
    """A bad item refuses the whole v2 batch with its own error; otherwise it fails in its place."""
    exports: bool = False
    """Serve ``POST /v2/exports/contacts``, which only some accounts have."""
    unique_base_domain: bool = False
    """Two companies with one ``baseDomain`` are a DUPLICATE_ERROR."""
    rate_limit: RateLimit | None = None
    """429 over so many requests in any such span, per key; None: no limit, as none is documented."""
    business_id: str = "b0000000-0000-4000-8000-000000000001"


class FieldDefinition(WorldModel):
    key: str = Field(min_length=1)
    read_only: bool = False


class Contact(WorldModel):
    id: Annotated[str, AfterValidator(_uuid)] = Field(default_factory=lambda: str(uuid.uuid4()))
    email: Annotated[str, AfterValidator(_email)]
    subscription_status: str = "NO_STATUS"
    """Also BOUNCED and COMPLAINED, which no request can set."""
    fields: dict[str, Any] = {}
    company_fields: dict[str, Any] = {}
    user_id: str | None = None
    external_contact: Any = None
    synced_to_crm: bool = False
    created_at: str = "2026-01-01T00:00:00.000Z"
    updated_at: str = "2026-01-01T00:00:00.000Z"


class Company(WorldModel):
    id: str = Field(default_factory=lambda: str(uuid.uuid4()), min_length=1)
    external_id: str = Field(min_length=1)
    base_domain: str | None = None
    variables: dict[str, Any] = {}
    created_at: str = "2026-01-01T00:00:00.000Z"


class Event(WorldModel):
    """A v2 event."""

    id: str
    event_id: str | None = None
    contact_id: str
    event: str
    data: dict[str, Any] | None = None
    timestamp: str


class Engagement(WorldModel):
    """A v1 custom engagement."""

    id: str
    contact_id: str
    name: str
    description: str
    data: Any = None
    created_at: str


def _definitions(keys: str, read_only: str) -> list[FieldDefinition]:
    return [FieldDefinition(key=key) for key in keys.split()] + [
        FieldDefinition(key=key, read_only=True) for key in read_only.split()
    ]


def _contact_fields() -> list[FieldDefinition]:
    keys = "first_name last_name job_title phone company_name title linkedin_url"
    return _definitions(keys, read_only="email created_at updated_at")


def _company_fields() -> list[FieldDefinition]:
    keys = "company_name industry size annual_revenue location website"
    return _definitions(keys, read_only="created_at updated_at")


class World(WorldModel):
    """Everything. The fields defined by default are those of the documents' examples and lists."""

    settings: Settings = Field(default_factory=Settings)
    contact_fields: list[FieldDefinition] = Field(default_factory=_contact_fields)
    company_fields: list[FieldDefinition] = Field(default_factory=_company_fields)
    contacts: list[Contact] = []
    companies: list[Company] = []
    events: list[Event] = []
    engagements: list[Engagement] = []


def refuse_doubles(world: World) -> None:
    """Raise WorldError for two objects that share what must be one's own."""
    _refuse_doubles("contacts", "id", [c.id for c in world.contacts])
    _refuse_doubles("contacts", "email", [same_address(c.email) for c in world.contacts])
    _refuse_doubles("companies", "external_id", [c.external_id for c in world.companies])


def _refuse_doubles(rows: str, key: str, values: list[str]) -> None:
    seen: dict[str, int] = {}
    for index, value in enumerate(values):
        if value in seen:
            raise WorldError(f"conversion.{rows}[{index}].{key}: the same as that of {rows}[{seen[value]}]")
        seen[value] = index
