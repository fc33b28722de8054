"""Webhooks of the older, unsigned kind (reference: "Webhooks").

Bodies, as far as they are known: ``{"subscriber": {...}}``, without the event's name. That of
``purchase.purchase_create`` is not published; here ``{"purchase": {...}}`` as the endpoint shows it.
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from ..wire import Response
from .bulk import web_address
from .core import Event, Kit
from .deliveries import Delivery
from .errors import invalid
from .objects import Webhook
from .paging import PageQuery, paginate
from .requests import Keys
from .router import answer, no_content, routes

PARAMETERS: dict[str, str | None] = {
    "subscriber.subscriber_activate": None,
    "subscriber.subscriber_unsubscribe": None,
    "subscriber.subscriber_bounce": None,
    "subscriber.subscriber_complain": None,
    "subscriber.form_subscribe": "form_id",
    "subscriber.course_subscribe": "course_id",
    "subscriber.course_complete": "course_id",
    "subscriber.link_click": "initiator_value",
    "subscriber.product_purchase": "product_id",
    "subscriber.tag_add": "tag_id",
    "subscriber.tag_remove": "tag_id",
    "purchase.purchase_create": None,
}
"""The available event types, and the parameter that each requires."""

_SHOWN_AS = {"course_id": "sequence_id"}
_PARAMETER_OF = {name.partition(".")[2]: parameter for name, parameter in PARAMETERS.items()}


def _number(value: int | str) -> int:
    if isinstance(value, str) and not (value.isascii() and value.isdigit()):
        raise PydanticCustomError("kit", "is not an integer")
    return int(value)


Id = Annotated[int | str, AfterValidator(_number)]
"""An integer; the document leaves its type in JSON open, and Kit's own PHP client sends it as a string."""


class EventBody(Keys):
    name: str
    form_id: Id | None = None
    tag_id: Id | None = None
    course_id: Id | None = None
    product_id: Id | None = None
    initiator_value: str | None = None


class WebhookBody(Keys):
    target_url: Annotated[str, AfterValidator(web_address)]
    event: EventBody


def shown(kit: Kit, row: Webhook) -> dict[str, Any]:
    parameter = _PARAMETER_OF[row.event]
    event: dict[str, Any] = {"name": row.event}
    if parameter is None:
        event["initiator_value"] = None
    else:
        event[_SHOWN_AS.get(parameter, parameter)] = row.parameter
    return {"id": row.id, "account_id": kit.world.account.id, "event": event, "target_url": row.target_url}


@routes("GET /v4/webhooks")
def list_webhooks(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.webhooks.listed()
    page = paginate(view.ids, view.get, query)
    return answer(200, {"webhooks": [shown(kit, row) for row in page.rows], "pagination": page.pagination})


@routes("POST /v4/webhooks")
def create_webhook(kit: Kit, body: WebhookBody) -> Response:
    event = body.event
    if event.name not in PARAMETERS:
        raise invalid("Event name is invalid")
    wanted = PARAMETERS[event.name]
    given = event.model_dump(exclude={"name"}, exclude_none=True)
    errors = [f"Event {name} does not belong to {event.name}" for name in given if name != wanted]
    if wanted is not None and given.get(wanted) in (None, ""):
        errors.append(f"Event {wanted} can't be blank")
    if errors:
        raise invalid(*errors)
    row = Webhook(
        id=kit.world.next_id("webhooks"),
        event=event.name.partition(".")[2],
        target_url=body.target_url,
        parameter=given.get(wanted) if wanted else None,
    )
    kit.world.webhooks.put(row.id, row)
    return answer(201, {"webhook": shown(kit, row)})


@routes("DELETE /v4/webhooks/{id}")
def delete_webhook(kit: Kit, id: int) -> Response:
    kit.found(kit.world.webhooks, id)
    kit.world.webhooks.remove(id)
    return no_content()


def deliveries(kit: Kit, events: list[Event]) -> list[Delivery]:
    """What the older kind's webhooks are to be told of these events."""
    return [
        Delivery("webhook", row.target_url, json.dumps(event.data).encode())
        for event in events
        for row in kit.world.webhooks
        if row.event == event.name and row.parameter in (None, event.parameter)
    ]
