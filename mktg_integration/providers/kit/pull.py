"""Kit's lists, page by page, as records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from mktg_integration.exceptions import MalformedAnswerError, UnsupportedError
from mktg_integration.providers.base import Page
from mktg_integration.providers.kit.client import KitClient, Listing
from mktg_integration.providers.kit.client.base import MAX_PER_PAGE
from mktg_integration.providers.kit.normal import contact_record, field_record, tag_record, tagging_record
from mktg_integration.records import Record

T = TypeVar("T")

_TAGGINGS = "taggings:"


def read(stream: str, cursor: str | None, client: KitClient) -> Page:
    """One page of ``contacts``, ``tags``, ``custom_fields`` or ``taggings:<tag id>``, in every state.

    Raises ``UnsupportedError`` for another stream, ``MalformedAnswerError`` for a page that leads nowhere.
    """
    if stream == "contacts":
        contacts = client.list_subscribers(status="all", per_page=MAX_PER_PAGE)
        return _page(contacts, cursor, contact_record)
    if stream == "tags":
        return _page(client.list_tags(per_page=MAX_PER_PAGE), cursor, tag_record)
    if stream == "custom_fields":
        return _page(client.list_custom_fields(per_page=MAX_PER_PAGE), cursor, field_record)
    tag_id = stream.removeprefix(_TAGGINGS)
    if not stream.startswith(_TAGGINGS) or not tag_id.isdigit():
        raise UnsupportedError(f"Kit has no stream {stream!r}; it has contacts, tags, custom_fields, taggings:<tag id>")
    members = client.list_subscribers_of_tag(tag_id, status="all", per_page=MAX_PER_PAGE)
    return _page(members, cursor, lambda member: tagging_record(tag_id, member))


def _page(listing: Listing[T], cursor: str | None, record: Callable[[T], Record]) -> Page:
    page = listing.page(after=cursor)
    following = page.next_cursor
    if page.pagination.has_next_page and (following is None or following == cursor):
        raise MalformedAnswerError("kit: a list has a next page and no new end_cursor")
    records: Sequence[Record] = [record(item) for item in page.items]
    return Page(records=records, cursor=following)
