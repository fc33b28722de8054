"""Tags and tagging (reference: "Tags")."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field

from ..wire import Response
from .bulk import BulkBody, Failure, bulk_kind, respond, some
from .core import Kit
from .errors import invalid
from .objects import Subscriber, Tag
from .paging import PageQuery, paginate
from .requests import Keys, blank
from .router import answer, no_content, routes
from .subscribers import MemberQuery, answer_members
from .times import Day, within

BLANK = "Name can't be blank"
TAKEN = "Name has already been taken"


class NameBody(Keys):
    name: str | None = None


class EmailBody(Keys):
    email_address: str | None = None


class TaggingItem(Keys):
    tag_id: int
    subscriber_id: int


class BulkTags(BulkBody):
    tags: Annotated[list[NameBody], some("tags")] = Field(default_factory=list, validate_default=True)


class BulkTaggings(BulkBody):
    taggings: Annotated[list[TaggingItem], some("taggings")] = Field(default_factory=list, validate_default=True)


class TaggedQuery(MemberQuery):
    tagged_after: Day | None = None
    tagged_before: Day | None = None


def shown(row: Tag) -> dict[str, Any]:
    return {"id": row.id, "name": row.name, "created_at": row.created_at}


@routes("GET /v4/tags")
def list_tags(kit: Kit, query: PageQuery) -> Response:
    view = kit.world.tags.listed()
    page = paginate(view.ids, view.get, query)
    return answer(200, {"tags": [shown(row) for row in page.rows], "pagination": page.pagination})


@routes("POST /v4/tags")
def create_tag(kit: Kit, body: NameBody) -> Response:
    if body.name is None or blank(body.name):
        raise invalid(BLANK)
    existing = _holder(kit, body.name)
    if existing is not None:
        if kit.world.settings.duplicate_tag == "error":
            raise invalid(TAKEN)
        return answer(200, {"tag": shown(existing)})
    return answer(201, {"tag": shown(_created(kit, body.name))})


@routes("PUT /v4/tags/{id}")
def rename_tag(kit: Kit, id: int, body: NameBody) -> Response:
    row = kit.found(kit.world.tags, id)
    if body.name is None or blank(body.name):
        raise invalid(BLANK)
    holder = _holder(kit, body.name)
    if holder is not None and holder.id != id:
        raise invalid(TAKEN)
    renamed = replace(row, name=body.name.strip())
    kit.world.tags.put(id, renamed)
    return answer(200, {"tag": shown(renamed)})


@routes("POST /v4/bulk/tags")
def bulk_create(kit: Kit, body: BulkTags) -> Response:
    return respond(kit, "tags", body.tags, body)


@bulk_kind("tags", results="tags", failed="tag")
def create_one_of_many(kit: Kit, item: dict[str, Any]) -> dict[str, Any]:
    name = item.get("name")
    if name is None or blank(name):
        raise Failure({"id": None, "name": name, "created_at": None}, BLANK)
    existing = _holder(kit, name)
    if existing is not None:
        raise Failure(shown(existing), TAKEN)
    return shown(_created(kit, name))


@routes("POST /v4/bulk/tags/subscribers")
def bulk_tag(kit: Kit, body: BulkTaggings) -> Response:
    return respond(kit, "taggings", body.taggings, body)


@bulk_kind("taggings", results="subscribers", failed="tagging")
def tag_one_of_many(kit: Kit, item: dict[str, Any]) -> dict[str, Any]:
    row = tagging_subscriber(kit, item)
    tagged_at, _ = kit.tag(item["tag_id"], row)
    return {
        "id": row.id,
        "first_name": row.first_name,
        "email_address": row.email_address,
        "created_at": row.created_at,
        "tagged_at": tagged_at,
    }


def tagging_subscriber(kit: Kit, item: dict[str, Any]) -> Subscriber:
    """The subscriber of one item of a bulk tagging; raises ``Failure`` where an id does not exist."""
    row = kit.world.subscribers.get(item["subscriber_id"])
    if kit.world.tags.get(item["tag_id"]) is None:
        raise Failure(item, "Tag does not exist")
    if row is None:
        raise Failure(item, "Subscriber does not exist")
    return row


@routes("GET /v4/tags/{tag_id}/subscribers")
def list_subscribers_of_tag(kit: Kit, tag_id: int, query: TaggedQuery) -> Response:
    kit.found(kit.world.tags, tag_id)
    return answer_members(
        kit,
        kit.world.taggings.within(tag_id),
        query,
        time_key="tagged_at",
        joined=lambda at: within(at, query.tagged_after, query.tagged_before),
    )


@routes("POST /v4/tags/{tag_id}/subscribers")
def tag_by_email(kit: Kit, tag_id: int, body: EmailBody) -> Response:
    kit.found(kit.world.tags, tag_id)
    if body.email_address is None or blank(body.email_address):
        raise invalid("Either subscriber id or email address is required to tag subscriber")
    return _tagged(kit, tag_id, kit.subscriber_found_by_email(body.email_address))


@routes("POST /v4/tags/{tag_id}/subscribers/{id}")
def tag_by_id(kit: Kit, tag_id: int, id: int) -> Response:
    kit.found(kit.world.tags, tag_id)
    return _tagged(kit, tag_id, kit.found(kit.world.subscribers, id))


@routes("DELETE /v4/tags/{tag_id}/subscribers", form=True)
def untag_by_email(kit: Kit, tag_id: int, body: EmailBody) -> Response:
    kit.found(kit.world.tags, tag_id)
    if body.email_address is None or blank(body.email_address):
        raise invalid("Either subscriber id or email address is required to remove tag from subscriber")
    kit.untag(tag_id, kit.subscriber_found_by_email(body.email_address))
    return no_content()


@routes("DELETE /v4/tags/{tag_id}/subscribers/{id}")
def untag_by_id(kit: Kit, tag_id: int, id: int) -> Response:
    kit.found(kit.world.tags, tag_id)
    kit.untag(tag_id, kit.found(kit.world.subscribers, id))
    return no_content()


def _tagged(kit: Kit, tag_id: int, row: Subscriber) -> Response:
    tagged_at, new = kit.tag(tag_id, row)
    return answer(201 if new else 200, {"subscriber": kit.shown(row, tagged_at=tagged_at)})


def _holder(kit: Kit, name: str) -> Tag | None:
    """The tag of that name, whatever its case."""
    wanted = name.strip().lower()
    return next((row for row in kit.world.tags if row.name.lower() == wanted), None)


def _created(kit: Kit, name: str) -> Tag:
    row = Tag(id=kit.world.next_id("tags"), name=name.strip(), created_at=kit.now)
    kit.world.tags.put(row.id, row)
    return row
