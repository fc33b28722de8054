"""Kit v4, "Tags"."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing, Written, day, parsed
from mktg_integration.providers.kit.client.subscribers import STATUSES, checked

_ALL = "/v4/tags"
_BULK = "/v4/bulk/tags"
_BULK_TAGGINGS = "/v4/bulk/tags/subscribers"
_MEMBERS = "/v4/tags/{tag_id}/subscribers"
_MEMBER = "/v4/tags/{tag_id}/subscribers/{id}"


class Tags(KitBase):
    def list_tags(self, *, per_page: int | None = None, include_total_count: bool = False) -> Listing[schemas.Tag]:
        """ "List tags", the newest first."""
        return self._list(
            _ALL,
            schemas.TagPage,
            lambda page: page.tags,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def create_tag(self, name: str) -> Written[schemas.Tag]:
        """ "Create a tag". Names are unique whatever their case. For one that exists Kit answers 200 with the tag, or
        422 "Name has already been taken" (a ``ServiceError``), as its document has it.
        """
        answer, status = self._send("POST", _ALL, schemas.TagAnswer, json={"name": name}, expect=(200, 201))
        return Written(answer.tag, status)

    def update_tag_name(self, tag_id: int | str, name: str) -> schemas.Tag:
        """ "Update tag name"."""
        path = {"id": tag_id}
        answer, _ = self._send("PUT", "/v4/tags/{id}", schemas.TagAnswer, path=path, json={"name": name}, expect=(200,))
        return answer.tag

    def bulk_create_tags(self, names: Iterable[str], *, callback_url: str | None = None) -> schemas.BulkTags | None:
        """ "Bulk create tags" (OAuth only). A name that exists is a failure that carries the existing tag.

        More than 100 are processed later: then the answer is None, and comes to ``callback_url`` if one is given.
        """
        body = {"tags": [{"name": name} for name in names], "callback_url": callback_url}
        answer = self._request("POST", _BULK, json=body, expect=(200, 202))
        return None if answer.status == 202 else parsed(schemas.BulkTags, answer, f"POST {_BULK}")

    def bulk_tag_subscribers(
        self, taggings: Iterable[tuple[int | str, int | str]], *, callback_url: str | None = None
    ) -> schemas.BulkTaggings | None:
        """ "Bulk tag subscribers" (OAuth only): pairs of tag id and subscriber id.

        More than 100 are processed later: then the answer is None, and comes to ``callback_url`` if one is given.
        """
        pairs = [{"tag_id": int(tag), "subscriber_id": int(subscriber)} for tag, subscriber in taggings]
        body = {"taggings": pairs, "callback_url": callback_url}
        answer = self._request("POST", _BULK_TAGGINGS, json=body, expect=(200, 202))
        return None if answer.status == 202 else parsed(schemas.BulkTaggings, answer, f"POST {_BULK_TAGGINGS}")

    def tag_subscriber(self, tag_id: int | str, subscriber_id: int | str) -> Written[schemas.TaggedSubscriber]:
        """ "Tag a subscriber"; ``created`` is False where the subscriber had the tag."""
        path = {"tag_id": tag_id, "id": subscriber_id}
        answer, status = self._send(
            "POST", _MEMBER, schemas.TaggedSubscriberAnswer, path=path, json={}, expect=(200, 201)
        )
        return Written(answer.subscriber, status)

    def tag_subscriber_by_email(self, tag_id: int | str, email_address: str) -> Written[schemas.TaggedSubscriber]:
        """ "Tag a subscriber by email address"; ``created`` is False where the subscriber had the tag."""
        body = {"email_address": email_address}
        answer, status = self._send(
            "POST", _MEMBERS, schemas.TaggedSubscriberAnswer, path={"tag_id": tag_id}, json=body, expect=(200, 201)
        )
        return Written(answer.subscriber, status)

    def untag_subscriber(self, tag_id: int | str, subscriber_id: int | str) -> None:
        """ "Remove tag from subscriber"."""
        self._drop(_MEMBER, path={"tag_id": tag_id, "id": subscriber_id})

    def untag_subscriber_by_email(self, tag_id: int | str, email_address: str) -> None:
        """ "Remove tag from subscriber by email address"."""
        self._drop(_MEMBERS, path={"tag_id": tag_id}, json={"email_address": email_address})

    def list_subscribers_of_tag(
        self,
        tag_id: int | str,
        *,
        status: str | None = None,
        created_after: date | str | None = None,
        created_before: date | str | None = None,
        tagged_after: date | str | None = None,
        tagged_before: date | str | None = None,
        per_page: int | None = None,
        include_total_count: bool = False,
    ) -> Listing[schemas.TaggedSubscriber]:
        """ "List subscribers for a tag". Without ``status`` Kit lists the active ones only."""
        return self._list(
            _MEMBERS,
            schemas.TaggedSubscriberPage,
            lambda page: page.subscribers,
            path={"tag_id": tag_id},
            query={
                "status": checked("status", status, STATUSES),
                "created_after": day(created_after),
                "created_before": day(created_before),
                "tagged_after": day(tagged_after),
                "tagged_before": day(tagged_before),
            },
            per_page=per_page,
            include_total_count=include_total_count,
        )
