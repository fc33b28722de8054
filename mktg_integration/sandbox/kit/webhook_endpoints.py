"""Webhooks of the newer, signed kind, which the document does not have; off unless the world turns them on.

Known of them: the endpoint's keys, the body and the headers of a delivery, two signatures while a secret is rotated,
retries from 30 seconds to 24 hours, and that 410 ends them. The steps between the retries and how long a rotated
secret still signs are not published.
"""

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
from .bulk import WebAddress
from .core import Event, Kit
from .deliveries import Delivery
from .errors import invalid
from .objects import WebhookEndpoint
from .paging import PageQuery, paginate
from .requests import Keys
from .router import answer, no_content, routes
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


class EndpointBody(Keys):
    url: WebAddress
    events: Annotated[list[str], Field(min_length=1)]
    name: str | None = None
    description: str | None = None


class EndpointsQuery(PageQuery):
    status: Literal["active", "disabled"] | None = None


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
