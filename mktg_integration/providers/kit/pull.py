"""Kit's resources, page by page, as records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from mktg_integration.exceptions import MalformedAnswerError, UnsupportedError
from mktg_integration.providers.base import Page, StreamSpec
from mktg_integration.providers.kit import mirrored
from mktg_integration.providers.kit.client import KitClient, Listing
from mktg_integration.providers.kit.client.base import MAX_PER_PAGE
from mktg_integration.providers.kit.normal import contact_record, field_record, tag_record, tagging_record
from mktg_integration.records import (
    AccountRecord,
    AccountSnapshotRecord,
    BroadcastRecord,
    BroadcastStatsRecord,
    ContactRecord,
    CustomFieldRecord,
    EmailTemplateRecord,
    FormMemberRecord,
    FormRecord,
    PurchaseItemRecord,
    PurchaseRecord,
    Record,
    SegmentRecord,
    SequenceMemberRecord,
    SequenceRecord,
    TaggingRecord,
    TagRecord,
    WebhookRecord,
)

T = TypeVar("T")

_ACCOUNT = StreamSpec(name="account", record=AccountRecord, extra=(AccountSnapshotRecord,), lags=False, requests=5)
_PURCHASES = StreamSpec(name="purchases", record=PurchaseRecord, extra=(PurchaseItemRecord,), newest_first=True)
_STREAMS = (
    _ACCOUNT,
    StreamSpec(name="custom_fields", record=CustomFieldRecord),
    StreamSpec(name="tags", record=TagRecord),
    StreamSpec(name="contacts", record=ContactRecord, by_date=True),
    StreamSpec(name="taggings", record=TaggingRecord, parent="tags", by_date=True),
    StreamSpec(name="forms", record=FormRecord),
    StreamSpec(name="form_members", record=FormMemberRecord, parent="forms", by_date=True),
    StreamSpec(name="sequences", record=SequenceRecord),
    StreamSpec(name="sequence_members", record=SequenceMemberRecord, parent="sequences", by_date=True),
    StreamSpec(name="segments", record=SegmentRecord),
    StreamSpec(name="email_templates", record=EmailTemplateRecord),
    StreamSpec(name="broadcasts", record=BroadcastRecord),
    StreamSpec(name="broadcast_stats", record=BroadcastStatsRecord, parent="broadcasts", lags=False),
    _PURCHASES,
    StreamSpec(name="webhooks", record=WebhookRecord),
)


def streams(*, is_oauth: bool) -> tuple[StreamSpec, ...]:
    """All of the document's resources; purchases only where the connection has a token."""
    return tuple(spec for spec in _STREAMS if is_oauth or spec is not _PURCHASES)


def read(stream: str, cursor: str | None, client: KitClient, since: datetime | None = None) -> Page:
    """One page of a stream, in every state; ``<name>:<parent's id>`` of one that is read for each parent.

    Raises ``UnsupportedError`` for another stream, ``MalformedAnswerError`` for a page that leads nowhere.
    """
    name, _, parent = stream.partition(":")
    # "after this date" leaves out the date itself.
    after = None if since is None else since.astimezone(UTC).date() - timedelta(days=1)
    ask = _Ask(client, cursor, parent, after)
    if name in _LISTS and not parent:
        return _LISTS[name](ask)
    if name in _LISTS_OF_PARENTS and parent.isdigit():
        return _LISTS_OF_PARENTS[name](ask)
    names = ", ".join([*_LISTS, *(f"{one}:<id>" for one in _LISTS_OF_PARENTS)])
    raise UnsupportedError(f"Kit has no stream {stream!r}; it has {names}")


@dataclass(frozen=True)
class _Ask:
    client: KitClient
    cursor: str | None
    parent: str
    after: date | None

    def page(self, listing: Listing[T], record: Callable[[T], Record]) -> Page:
        return self.pages(listing, lambda item: (record(item),))

    def pages(self, listing: Listing[T], records: Callable[[T], Iterable[Record]]) -> Page:
        page = listing.page(after=self.cursor)
        following = page.next_cursor
        if page.pagination.has_next_page and (following is None or following == self.cursor):
            raise MalformedAnswerError("kit: a list has a next page and no new end_cursor")
        made: Sequence[Record] = [record for item in page.items for record in records(item)]
        return Page(records=made, cursor=following)


def _contacts(ask: _Ask) -> Page:
    listing = ask.client.list_subscribers(status="all", updated_after=ask.after, per_page=MAX_PER_PAGE)
    return ask.page(listing, contact_record)


def _taggings(ask: _Ask) -> Page:
    listing = ask.client.list_subscribers_of_tag(
        ask.parent, status="all", tagged_after=ask.after, per_page=MAX_PER_PAGE
    )
    return ask.page(listing, lambda member: tagging_record(ask.parent, member))


def _form_members(ask: _Ask) -> Page:
    listing = ask.client.list_subscribers_of_form(
        ask.parent, status="all", added_after=ask.after, per_page=MAX_PER_PAGE
    )
    return ask.page(listing, lambda member: mirrored.form_member(ask.parent, member))


def _sequence_members(ask: _Ask) -> Page:
    listing = ask.client.list_subscribers_of_sequence(
        ask.parent, status="all", added_after=ask.after, per_page=MAX_PER_PAGE
    )
    return ask.page(listing, lambda member: mirrored.sequence_member(ask.parent, member))


def _broadcast_stats(ask: _Ask) -> Page:
    return Page(records=[mirrored.broadcast_stats(ask.parent, ask.client.get_broadcast_stats(ask.parent))])


def _account(ask: _Ask) -> Page:
    client = ask.client
    account = mirrored.account(client.get_account(), client.list_colors(), client.get_creator_profile())
    snapshot = mirrored.snapshot(account.remote_id, client.get_growth_stats(), client.get_email_stats())
    return Page(records=[account, snapshot])


_Lists = dict[str, Callable[[_Ask], Page]]
_LISTS: _Lists = {
    "account": _account,
    "custom_fields": lambda ask: ask.page(ask.client.list_custom_fields(per_page=MAX_PER_PAGE), field_record),
    "tags": lambda ask: ask.page(ask.client.list_tags(per_page=MAX_PER_PAGE), tag_record),
    "contacts": _contacts,
    "forms": lambda ask: ask.page(ask.client.list_forms(status="all", per_page=MAX_PER_PAGE), mirrored.form),
    "sequences": lambda ask: ask.page(ask.client.list_sequences(per_page=MAX_PER_PAGE), mirrored.sequence),
    "segments": lambda ask: ask.page(ask.client.list_segments(per_page=MAX_PER_PAGE), mirrored.segment),
    "email_templates": lambda ask: ask.page(
        ask.client.list_email_templates(per_page=MAX_PER_PAGE), mirrored.email_template
    ),
    "broadcasts": lambda ask: ask.page(ask.client.list_broadcasts(per_page=MAX_PER_PAGE), mirrored.broadcast),
    "purchases": lambda ask: ask.pages(ask.client.list_purchases(per_page=MAX_PER_PAGE), mirrored.purchase),
    "webhooks": lambda ask: ask.page(ask.client.list_webhooks(per_page=MAX_PER_PAGE), mirrored.webhook),
}
_LISTS_OF_PARENTS: _Lists = {
    "taggings": _taggings,
    "form_members": _form_members,
    "sequence_members": _sequence_members,
    "broadcast_stats": _broadcast_stats,
}
