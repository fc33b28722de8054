"""Custom fields (reference: "Custom Fields")."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from ..wire import Response
from .bulk import BulkBody, Failure, bulk_kind, respond, some
from .core import Kit
from .errors import invalid
from .objects import CustomField, field_key
from .paging import PageQuery, paginate
from .requests import Keys, blank
from .router import answer, no_content, routes

BLANK = "Label can't be blank"
TAKEN = "Label has already been taken"
KEY_TAKEN = "Key has already been taken"
UNDELETABLE = "Unable to destroy the custom field."
NO_KEY = "Label must hold letters or digits that a key can be made of"


class LabelBody(Keys):
    label: str | None = None


class BulkFields(BulkBody):
    custom_fields: Annotated[list[LabelBody], some("custom fields")] = Field(
        default_factory=list, validate_default=True
    )


def shown(row: CustomField) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "key": row.key, "label": row.label}


def shown_in_bulk(row: CustomField) -> dict[str, Any]:
    """Bulk answers have other keys than single ones."""
    return {"id": row.id, "label": row.label, "key": row.key, "name": row.name, "created_at": row.created_at}


@routes("GET /v4/custom_fields")
def list_custom_fields(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.custom_fields.listed()
    page = paginate(view.ids, view.get, query)
    return answer(200, {"custom_fields": [shown(row) for row in page.rows], "pagination": page.pagination})


@routes("POST /v4/custom_fields")
def create_custom_field(kit: Kit, body: LabelBody) -> Response:
    label, key = _checked(kit, body.label, but=None)
    return answer(201, {"custom_field": shown(_created(kit, label, key))})


@routes("PUT /v4/custom_fields/{id}")
def update_custom_field(kit: Kit, id: int, body: LabelBody) -> Response:
    row = kit.found(kit.world.custom_fields, id)
    label, key = _checked(kit, body.label, but=id)
    renamed = replace(row, label=label, key=key)
    kit.world.custom_fields.put(id, renamed)
    if key != row.key:
        for subscriber in list(kit.world.subscribers):
            if row.key in subscriber.fields:
                fields = {key if name == row.key else name: value for name, value in subscriber.fields.items()}
                kit.world.subscribers.put(subscriber.id, replace(subscriber, fields=fields))
    return answer(200, {"custom_field": shown(renamed)})


@routes("DELETE /v4/custom_fields/{id}")
def delete_custom_field(kit: Kit, id: int) -> Response:
    row = kit.found(kit.world.custom_fields, id)
    if not row.deletable:
        raise invalid(UNDELETABLE)
    kit.world.custom_fields.remove(id)
    for subscriber in list(kit.world.subscribers):
        if row.key in subscriber.fields:
            fields = {name: value for name, value in subscriber.fields.items() if name != row.key}
            kit.world.subscribers.put(subscriber.id, replace(subscriber, fields=fields))
    return no_content()


@routes("POST /v4/bulk/custom_fields")
def bulk_create(kit: Kit, body: BulkFields) -> Response:
    return respond(kit, "custom_fields", body.custom_fields, body)


@bulk_kind("custom_fields", results="custom_fields", failed="custom_field")
def create_one_of_many(kit: Kit, item: dict[str, Any]) -> dict[str, Any]:
    label = (item.get("label") or "").strip()
    taken = _holder(kit, label, but=None)
    if taken is not None:
        raise Failure(shown_in_bulk(taken), TAKEN)
    key = field_key(label)
    if not key:
        unsaved = {"id": None, "label": label or None, "key": None, "name": None, "created_at": None}
        raise Failure(unsaved, NO_KEY if label else BLANK)
    return shown_in_bulk(_created(kit, label, key))


def _holder(kit: Kit, label: str, *, but: int | None) -> CustomField | None:
    """Another field that has this label or its key."""
    for row in kit.world.custom_fields:
        if row.id != but and (row.label.lower() == label.lower() or row.key == field_key(label)):
            return row
    return None


def _checked(kit: Kit, label: str | None, *, but: int | None) -> tuple[str, str]:
    """The label without white space around it and its key, or 422."""
    if label is None or blank(label):
        raise invalid(BLANK)
    label = label.strip()
    key = field_key(label)
    if not key:
        raise invalid(NO_KEY)
    holder = _holder(kit, label, but=but)
    if holder is not None:
        raise invalid(TAKEN if holder.label.lower() == label.lower() else KEY_TAKEN)
    return label, key


def _created(kit: Kit, label: str, key: str) -> CustomField:
    new_id = kit.world.next_id("custom_fields")
    row = CustomField(id=new_id, label=label, key=key, name=f"ck_field_{new_id}_{key}", created_at=kit.now)
    kit.world.custom_fields.put(new_id, row)
    return row
