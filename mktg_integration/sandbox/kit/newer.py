"""Endpoints that are newer than the document, as far as their shape is known; off unless the world turns them on."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import uuid
from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import Field

from ..wire import Response
from .bulk import BulkBody, Failure, WebAddress, bulk_kind, respond, some
from .core import Event, Kit
from .deliveries import Delivery
from .errors import invalid
from .members import put_on_form
from .objects import Form, Subscriber, WebhookEndpoint
from .paging import PageQuery, paginate
from .requests import Keys
from .router import answer, no_content, routes
from .tags import BulkTaggings, tagging_subscriber
from .times import iso

EVENT_TYPES = {
    "subscriber_created": "subscriber.created",
    "subscriber_activate": "subscriber.activated",
    "subscriber_unsubscribe": "subscriber.unsubscribed",
    "subscriber_bounce": "subscriber.bounced",
    "subscriber_complain": "subscriber.complained",
    "form_subscribe": "subscriber.subscribed_to_form",
    "course_subscribe": "subscriber.added_to_sequence",
    "course_complete": "subscriber.sequence_completed",
    "tag_add": "subscriber.tag_added",
    "tag_remove": "subscriber.tag_removed",
    "product_purchase": "subscriber.product_purchased",
    "link_click": "subscriber.link_clicked",
}
"""Events of the newer kind by their name in the older one."""

MOST_EVENTS = 100
ROTATION_SECONDS = 86_400
"""For how long a rotated secret still signs."""


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


class EndpointBody(Keys):
    url: WebAddress
    events: Annotated[list[str], Field(min_length=1)]
    name: str | None = None
    description: str | None = None


class EndpointsQuery(PageQuery):
    status: Literal["active", "disabled"] | None = None


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


def shown(row: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "url": row.url,
        "events": row.events,
        "status": row.status,
        "source": "app",
        "description": row.description,
        "created_by_app": None,
        "created_at": row.created_at,
        "previous_secret_expires_at": row.previous_secret_expires_at,
    }


@routes("GET /v4/webhook_endpoints", newer=True)
def list_endpoints(kit: Kit, query: EndpointsQuery) -> Response:
    view = kit.world.webhook_endpoints.listed()

    def fetch(key: int) -> WebhookEndpoint | None:
        row = view.get(key)
        return row if row is not None and query.status in (None, row.status) else None

    page = paginate(view.ids, fetch, query)
    return answer(200, {"webhook_endpoints": [shown(row) for row in page.rows], "pagination": page.pagination})


@routes("POST /v4/webhook_endpoints", newer=True)
def create_endpoint(kit: Kit, body: EndpointBody) -> Response:
    unknown = sorted(set(body.events) - set(EVENT_TYPES.values()))
    if unknown:
        raise invalid(*(f"Events {name} is not a valid event type" for name in unknown))
    row = WebhookEndpoint(
        id=kit.world.next_id("webhook_endpoints"),
        url=body.url,
        events=body.events,
        secret=_new_secret(),
        created_at=kit.now,
        name=body.name,
        description=body.description,
    )
    kit.world.webhook_endpoints.put(row.id, row)
    return answer(201, {"webhook_endpoint": {**shown(row), "secret": row.secret}})


@routes("GET /v4/webhook_endpoints/{id}", newer=True)
def get_endpoint(kit: Kit, id: int) -> Response:
    return answer(200, {"webhook_endpoint": shown(kit.found(kit.world.webhook_endpoints, id))})


@routes("DELETE /v4/webhook_endpoints/{id}", newer=True)
def delete_endpoint(kit: Kit, id: int) -> Response:
    kit.found(kit.world.webhook_endpoints, id)
    kit.world.webhook_endpoints.remove(id)
    return no_content()


@routes("POST /v4/webhook_endpoints/{id}/rotate_secret", newer=True)
def rotate_secret(kit: Kit, id: int) -> Response:
    row = kit.found(kit.world.webhook_endpoints, id)
    rotated = replace(
        row,
        secret=_new_secret(),
        previous_secret=row.secret,
        previous_secret_expires_at=iso(kit.clock() + ROTATION_SECONDS),
    )
    kit.world.webhook_endpoints.put(id, rotated)
    return answer(200, {"webhook_endpoint": {**shown(rotated), "secret": rotated.secret}})


def deliveries(kit: Kit, events: list[Event]) -> list[Delivery]:
    """What the endpoints are to be told: up to 100 events of one type in a delivery, unsigned as yet."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for event in events:
        kind = EVENT_TYPES.get(event.name)
        if kind:
            told = {"id": str(uuid.uuid4()), "type": kind, "created": kit.now, "data": event.data}
            by_type.setdefault(kind, []).append(told)
    return [
        _delivery(row, told[start : start + MOST_EVENTS])
        for row in kit.world.webhook_endpoints
        for kind, told in by_type.items()
        if row.status == "active" and kind in row.events
        for start in range(0, len(told), MOST_EVENTS)
    ]


def _delivery(row: WebhookEndpoint, events: list[dict[str, Any]]) -> Delivery:
    delivery_id = str(uuid.uuid4())
    body = json.dumps({"delivery_id": delivery_id, "events": events}).encode()
    return Delivery("webhook_endpoint", row.url, body, {"X-Kit-Delivery": delivery_id}, endpoint_id=row.id)


def signed(kit: Kit, delivery: Delivery) -> Delivery | None:
    """The delivery with a signature of this moment; None where the endpoint is gone or disabled."""
    row = kit.world.webhook_endpoints.get(delivery.endpoint_id or 0)
    if row is None or row.status != "active":
        return None
    at = int(kit.clock())
    keys = [row.secret]
    if row.previous_secret and (row.previous_secret_expires_at or "") > kit.now:
        keys.append(row.previous_secret)
    marks = [hmac.new(key.encode(), f"{at}.".encode() + delivery.body, hashlib.sha256).hexdigest() for key in keys]
    signature = ",".join([f"t={at}", *(f"v1={mark}" for mark in marks)])
    return replace(delivery, headers={**delivery.headers, "X-Kit-Signature": signature})


def disable(kit: Kit, endpoint_id: int) -> None:
    """The receiver answered 410: no more for it."""
    row = kit.world.webhook_endpoints.get(endpoint_id)
    if row is not None:
        kit.world.webhook_endpoints.put(endpoint_id, replace(row, status="disabled"))


def _new_secret() -> str:
    return f"whsec_{secrets.token_hex(24)}"
