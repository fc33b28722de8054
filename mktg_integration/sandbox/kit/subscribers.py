"""Subscribers (reference: "Subscribers")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field

from ..values import same_address
from ..wire import Response
from .bulk import BulkBody, Failure, bulk_kind, respond, some
from .core import ASYNC_FIELDS, Kit
from .errors import Refused, invalid
from .objects import OPTED_OUT, Subscriber, SubscriberState
from .paging import Page, PageQuery, paginate
from .requests import Keys
from .router import answer, no_content, routes
from .tables import Table
from .times import Day, within

EMAIL_TAKEN = "Email address has already been taken"
Fields = dict[str, str | None]


class MemberQuery(PageQuery):
    """What lists of subscribers take."""

    status: Literal[SubscriberState, "all"] = "active"
    created_after: Day | None = None
    created_before: Day | None = None


class SubscribersQuery(MemberQuery):
    email_address: str | None = None
    sort_field: Literal["id", "updated_at", "cancelled_at"] = "id"
    sort_order: Literal["asc", "desc"] = "desc"
    updated_after: Day | None = None
    updated_before: Day | None = None


class CreateBody(Keys):
    email_address: str | None = None
    first_name: str | None = None
    state: SubscriberState | None = None
    fields: Fields | None = None


class UpdateBody(Keys):
    email_address: str | None = None
    first_name: str | None = None
    fields: Fields | None = None


class BulkItem(Keys):
    first_name: str | None = None
    email_address: str | None = None


class BulkSubscribers(BulkBody):
    subscribers: Annotated[list[BulkItem], some("subscribers")] = Field(default_factory=list, validate_default=True)


@routes("GET /v4/subscribers")
def list_subscribers(kit: Kit, query: SubscribersQuery) -> Response:
    if query.sort_field == "cancelled_at" and query.status != "cancelled":
        raise invalid("The status param must be `cancelled` if sort_field is `cancelled_at`")
    view = kit.world.subscribers.listed()

    def shown(row: Subscriber | None) -> bool:
        return (
            row is not None
            and is_shown(row, query)
            and within(row.updated_at, query.updated_after, query.updated_before)
            and (query.email_address is None or same_address(row.email_address) == same_address(query.email_address))
        )

    def fetch(key: int | tuple[str, int]) -> Subscriber | None:
        row = view.get(key[1] if isinstance(key, tuple) else key)
        return row if shown(row) else None

    keys: Any
    if query.email_address is not None and query.sort_field == "id":
        # One address is one subscriber, who need not be looked for among all.
        row = kit.subscriber_by_email(query.email_address)
        keys = sorted({*view.outdated, *([row.id] if row else [])})
    elif query.sort_field == "id":
        keys = view.ids
    else:
        keys = sorted((getattr(row, query.sort_field) or "", row.id) for row in view if shown(row))
    return answer_page(kit, paginate(keys, fetch, query, descending=query.sort_order == "desc"))


def answer_page(kit: Kit, page: Page[Subscriber]) -> Response:
    return answer(200, {"subscribers": [kit.shown(row) for row in page.rows], "pagination": page.pagination})


def is_shown(row: Subscriber, query: MemberQuery) -> bool:
    """Whether a list's status and creation filters let a subscriber through."""
    return (query.status in ("all", row.state)) and within(row.created_at, query.created_after, query.created_before)


def answer_members(
    kit: Kit,
    members: Table[str],
    query: MemberQuery,
    *,
    time_key: str,
    joined: Callable[[str], bool],
) -> Response:
    """The list of a tag's, form's or sequence's subscribers; ``joined`` filters by the time of joining."""
    since = members.listed()
    subscribers = kit.world.subscribers.listed()

    def fetch(key: int) -> tuple[Subscriber, str] | None:
        at, row = since.get(key), subscribers.get(key)
        if at is None or row is None or not is_shown(row, query) or not joined(at):
            return None
        return row, at

    page = paginate(since.ids, fetch, query)
    rows = [kit.shown(row, **{time_key: at}) for row, at in page.rows]
    return answer(200, {"subscribers": rows, "pagination": page.pagination})


@routes("POST /v4/subscribers")
def create_subscriber(kit: Kit, body: CreateBody) -> Response:
    email = kit.checked_email(body.email_address)
    values, warnings = kit.split_fields(body.fields or {})
    row, created = kit.upsert_subscriber(email, body.model_dump(include={"first_name", "state"}, exclude_unset=True))
    return _written(kit, row, body.fields, values, warnings, 201 if created else 200)


@routes("GET /v4/subscribers/{id}")
def get_subscriber(kit: Kit, id: int) -> Response:
    return answer(200, {"subscriber": kit.shown(kit.found(kit.world.subscribers, id))})


@routes("PUT /v4/subscribers/{id}")
def update_subscriber(kit: Kit, id: int, body: UpdateBody) -> Response:
    row = kit.found(kit.world.subscribers, id)
    changes: dict[str, Any] = body.model_dump(include={"first_name"}, exclude_unset=True)
    if body.email_address is not None:
        changes["email_address"] = kit.checked_email(body.email_address)
        holder = kit.subscriber_by_email(body.email_address)
        if holder is not None and holder.id != id:
            raise invalid(EMAIL_TAKEN)
    values, warnings = kit.split_fields(body.fields or {})
    kit.stats.updated[kit.operation] += 1
    return _written(kit, kit.change(row, **changes), body.fields, values, warnings, 200)


def _written(
    kit: Kit, row: Subscriber, given: Fields | None, values: Fields, warnings: list[str], status: int
) -> Response:
    """Write the custom fields, at once or, where there are more than 10, later, and answer."""
    if len(given or {}) > ASYNC_FIELDS:
        kit.later("fields", [{"subscriber_id": row.id, "values": values}])
        status = 202
    else:
        row = kit.write_fields(row, values)
    payload: dict[str, Any] = {"subscriber": kit.shown(row)}
    if warnings:
        payload["warnings"] = warnings
    return answer(status, payload)


@bulk_kind("fields", results=None, failed="subscriber")
def write_fields_later(kit: Kit, item: dict[str, Any]) -> None:
    row = kit.world.subscribers.get(item["subscriber_id"])
    if row is not None:
        kit.write_fields(row, item["values"])


@routes("POST /v4/subscribers/{id}/unsubscribe")
def unsubscribe(kit: Kit, id: int) -> Response:
    kit.change_state(kit.found(kit.world.subscribers, id), "cancelled")
    return no_content()


@routes("GET /v4/subscribers/{subscriber_id}/tags")
def list_tags_of_subscriber(kit: Kit, subscriber_id: int, query: PageQuery) -> Response:
    kit.found(kit.world.subscribers, subscriber_id)
    tags = kit.world.tags.listed()
    since = {
        tag_id: at
        for tag_id, members in kit.world.taggings.containers()
        if (at := members.listed().get(subscriber_id)) is not None
    }
    page = paginate(list(since), tags.get, query)
    rows = [{"id": tag.id, "name": tag.name, "tagged_at": since[tag.id]} for tag in page.rows]
    return answer(200, {"tags": rows, "pagination": page.pagination})


@routes("POST /v4/bulk/subscribers")
def bulk_create(kit: Kit, body: BulkSubscribers) -> Response:
    limit = kit.world.settings.subscriber_limit
    if limit is not None:
        present = sum(row.state not in OPTED_OUT for row in kit.world.subscribers)
        new = {same_address(item.email_address or "") for item in body.subscribers} - kit.world.ids_by_email.keys()
        if present + len(new) > limit:
            raise Refused(403, "This request would exceed your subscriber limit")
    return respond(kit, "subscribers", body.subscribers, body)


@bulk_kind("subscribers", results="subscribers", failed="subscriber")
def create_one_of_many(kit: Kit, item: dict[str, Any]) -> dict[str, Any]:
    try:
        email = kit.checked_email(item.get("email_address"))
    except Refused as refused:
        # The refused address is not repeated, as the document's example shows.
        shown = {"first_name": item.get("first_name"), "email_address": None, "state": "active", "created_at": None}
        raise Failure(shown, refused.errors[0]) from None
    row, _ = kit.upsert_subscriber(email, {key: item[key] for key in ("first_name",) if key in item})
    return {
        "id": row.id,
        "first_name": row.first_name,
        "email_address": row.email_address,
        "state": row.state,
        "created_at": row.created_at,
    }
