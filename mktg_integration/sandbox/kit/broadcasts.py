"""Broadcasts (reference: "Broadcasts"). Nothing is sent: one whose ``send_at`` has passed counts as sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from ..wire import Response
from .core import Kit
from .errors import Refused, invalid
from .objects import Broadcast
from .paging import PageQuery, paginate
from .requests import Keys
from .router import answer, no_content, routes
from .times import iso, parse

FORBIDDEN = "You do not have sufficient permissions to access this resource. Please contact support."
SENDING = "Broadcast is already sending."
ONE_GROUP = "Only a single filter group is supported. Use one of `all`, `any`, or `none`."
NO_TEMPLATE = "Email template not found"


def _moment(text: str) -> str:
    try:
        return iso(parse(text))
    except ValueError:
        raise PydanticCustomError("kit", "is not a valid ISO8601 timestamp") from None


Moment = Annotated[str, AfterValidator(_moment)]
"""A time of the body; without a zone it is UTC."""


class Condition(Keys):
    """``all_subscribers`` is not among the documented types to write, but is what an unfiltered one reads as."""

    type: Literal["segment", "tag", "all_subscribers"]
    ids: list[int | str] | None = None


class FilterGroup(Keys):
    all: list[Condition] | None = None
    any: list[Condition] | None = None
    none: list[Condition] | None = None


class BroadcastBody(Keys):
    """The document requires every key; all may be null, and what is missing counts as null or, in an update,
    stays as it is."""

    email_template_id: int | None = None
    email_address: str | None = None
    content: str | None = None
    description: str | None = None
    public: bool | None = None
    published_at: Moment | None = None
    send_at: Moment | None = None
    thumbnail_alt: str | None = None
    thumbnail_url: str | None = None
    preview_text: str | None = None
    subject: str | None = None
    subscriber_filter: list[FilterGroup] | None = None


def shown(kit: Kit, row: Broadcast) -> dict[str, Any]:
    template = kit.world.email_templates.get(row.email_template_id)
    return {
        "id": row.id,
        "created_at": row.created_at,
        "subject": row.subject,
        "preview_text": row.preview_text,
        "description": row.description,
        "content": row.content,
        "public": row.public,
        "published_at": row.published_at,
        "send_at": row.send_at,
        "thumbnail_alt": row.thumbnail_alt,
        "thumbnail_url": row.thumbnail_url,
        "email_address": row.email_address,
        "email_template": {"id": row.email_template_id, "name": template.name if template else ""},
        "subscriber_filter": row.subscriber_filter,
    }


@routes("GET /v4/broadcasts")
def list_broadcasts(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.broadcasts.listed()
    page = paginate(view.ids, view.get, query)
    return answer(200, {"broadcasts": [shown(kit, row) for row in page.rows], "pagination": page.pagination})


@routes("POST /v4/broadcasts")
def create_broadcast(kit: Kit, body: BroadcastBody) -> Response:
    _check_permission(kit)
    values = _values(kit, body)
    default = next((row.id for row in kit.world.email_templates if row.is_default), 0)
    values.setdefault("email_template_id", default)
    row = Broadcast(id=kit.world.next_id("broadcasts"), created_at=kit.now, **values)
    kit.world.broadcasts.put(row.id, row)
    return answer(201, {"broadcast": shown(kit, row)})


@routes("GET /v4/broadcasts/{id}")
def get_broadcast(kit: Kit, id: int) -> Response:
    return answer(200, {"broadcast": shown(kit, kit.found(kit.world.broadcasts, id))})


@routes("PUT /v4/broadcasts/{id}")
def update_broadcast(kit: Kit, id: int, body: BroadcastBody) -> Response:
    _check_permission(kit)
    row = kit.found(kit.world.broadcasts, id)
    _check_unsent(kit, row)
    changed = replace(row, **_values(kit, body))
    kit.world.broadcasts.put(id, changed)
    return answer(200, {"broadcast": shown(kit, changed)})


@routes("DELETE /v4/broadcasts/{id}")
def delete_broadcast(kit: Kit, id: int) -> Response:
    _check_permission(kit)
    _check_unsent(kit, kit.found(kit.world.broadcasts, id))
    kit.world.broadcasts.remove(id)
    return no_content()


@routes("GET /v4/broadcasts/{id}/stats")
def get_broadcast_stats(kit: Kit, id: int) -> Response:
    row = kit.found(kit.world.broadcasts, id)
    status = _status(kit, row)
    sent = status == "completed"
    recipients = sum(person.state == "active" for person in kit.world.subscribers) if sent else 0
    stats = {
        "recipients": recipients,
        "open_rate": 0.0,
        "click_rate": 0.0,
        "unsubscribes": 0,
        "total_clicks": 0,
        "show_total_clicks": False,
        "status": status,
        "progress": 1.0 if sent else 0.0,
        "open_tracking_disabled": False,
        "click_tracking_disabled": False,
    }
    return answer(200, {"broadcast": {"id": id, "stats": stats}})


def _status(kit: Kit, row: Broadcast) -> str:
    if row.send_at is None:
        return "draft"
    return "completed" if row.send_at <= kit.now else "scheduled"


def _check_permission(kit: Kit) -> None:
    if not kit.world.settings.broadcasts_allowed:
        raise Refused(403, FORBIDDEN)


def _check_unsent(kit: Kit, row: Broadcast) -> None:
    if _status(kit, row) == "completed":
        raise invalid(SENDING)


def _values(kit: Kit, body: BroadcastBody) -> dict[str, Any]:
    """What was given, in the form that is kept; nulls that mean a default are left out.

    Raises ``Refused`` (422) with everything that is wrong.
    """
    values = body.model_dump(exclude_unset=True)
    errors: list[str] = []
    if body.email_template_id is not None and kit.world.email_templates.get(body.email_template_id) is None:
        errors.append(NO_TEMPLATE)
    groups = [group.model_dump(exclude_none=True) for group in body.subscriber_filter or []]
    if len(groups) > 1 or any(len(group) != 1 for group in groups):
        errors.append(ONE_GROUP)
    if errors:
        raise invalid(*errors)
    for key in ("email_template_id", "public", "subscriber_filter"):
        if values.get(key) is None:
            values.pop(key, None)
    if groups:
        values["subscriber_filter"] = groups
    return values
