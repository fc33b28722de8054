"""Endpoints that are newer than the document, as far as their shape is known; off unless the world turns them on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from ..wire import Response
from .bulk import BulkBody, Failure, bulk_kind, respond, some
from .core import Kit
from .members import put_on_form
from .objects import Form, Subscriber
from .requests import Keys
from .router import answer, routes
from .tags import BulkTaggings, tagging_subscriber


class FieldValueItem(Keys):
    subscriber_id: int
    subscriber_custom_field_id: int
    value: str


class BulkFieldValues(BulkBody):
    custom_field_values: Annotated[list[FieldValueItem], some("custom field values")] = Field(
        default_factory=list, validate_default=True
    )


class AdditionItem(Keys):
    form_id: int
    subscriber_id: int
    referrer: str | None = None


class BulkAdditions(BulkBody):
    additions: Annotated[list[AdditionItem], some("additions")] = Field(default_factory=list, validate_default=True)


@routes("POST /v4/bulk/custom_fields/subscribers", newer=True)
def bulk_write_fields(kit: Kit, body: BulkFieldValues) -> Response:
    return respond(kit, "custom_field_values", body.custom_field_values, body)


@bulk_kind("custom_field_values", results="custom_field_values", failed="custom_field_value")
def write_one_field_of_many(kit: Kit, item: dict[str, Any]) -> dict[str, Any]:
    row = kit.world.subscribers.get(item["subscriber_id"])
    custom_field = kit.world.custom_fields.get(item["subscriber_custom_field_id"])
    if row is None:
        raise Failure(item, "Subscriber does not exist")
    if custom_field is None:
        raise Failure(item, "Custom field does not exist")
    kit.write_fields(row, {custom_field.key: item["value"]})
    return item


@routes("DELETE /v4/bulk/tags/subscribers", newer=True)
def bulk_untag(kit: Kit, body: BulkTaggings) -> Response:
    return respond(kit, "untaggings", body.taggings, body)


@bulk_kind("untaggings", results=None, failed="tagging")
def untag_one_of_many(kit: Kit, item: dict[str, Any]) -> None:
    kit.untag(item["tag_id"], tagging_subscriber(kit, item))


@routes("POST /v4/bulk/forms/subscribers", newer=True)
def bulk_add_to_forms(kit: Kit, body: BulkAdditions) -> Response:
    return respond(kit, "additions", body.additions, body)


@bulk_kind("additions", results="subscribers", failed="subscription")
def add_one_of_many_to_form(kit: Kit, item: dict[str, Any]) -> dict[str, Any]:
    form: Form | None = kit.world.forms.get(item["form_id"])
    row: Subscriber | None = kit.world.subscribers.get(item["subscriber_id"])
    if form is None or row is None:
        raise Failure(item, f"{'Form' if form is None else 'Subscriber'} does not exist")
    row, added_at, _ = put_on_form(kit, form, row)
    return {
        "id": row.id,
        "first_name": row.first_name,
        "email_address": row.email_address,
        "created_at": row.created_at,
        "added_at": added_at,
    }


@routes("GET /v4/subscribers/{subscriber_id}/stats", newer=True)
def get_subscriber_stats(kit: Kit, subscriber_id: int) -> Response:
    kit.found(kit.world.subscribers, subscriber_id)
    stats = {"sent": 0, "opened": 0, "clicked": 0, "bounced": 0, "open_rate": 0.0}
    return answer(200, {"subscriber": {"id": subscriber_id, "stats": stats}})
