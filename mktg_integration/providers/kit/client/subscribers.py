"""Kit v4, "Subscribers"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from mktg_integration.http import redact_message
from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing, Written, day, parsed

STATES = ("active", "inactive", "bounced", "complained", "cancelled")
STATUSES = (*STATES, "all")
SORT_FIELDS = ("id", "updated_at", "cancelled_at")
MAX_FIELDS = 140
"""The most custom fields that one request may carry."""

_BULK = "/v4/bulk/subscribers"
_ALL = "/v4/subscribers"
_ONE = "/v4/subscribers/{id}"


def checked(name: str, value: str | None, allowed: tuple[str, ...]) -> str | None:
    """``value`` where the document allows it. Raises ``ValueError`` naming the parameter."""
    if value is not None and value not in allowed:
        raise ValueError(f"{name} must be one of: {', '.join(allowed)}")
    return value


class Subscribers(KitBase):
    def list_subscribers(
        self,
        *,
        status: str | None = None,
        email_address: str | None = None,
        created_after: date | str | None = None,
        created_before: date | str | None = None,
        updated_after: date | str | None = None,
        updated_before: date | str | None = None,
        sort_field: str | None = None,
        sort_order: str | None = None,
        per_page: int | None = None,
        include_total_count: bool = False,
    ) -> Listing[schemas.Subscriber]:
        """ "List subscribers". Without ``status`` Kit lists the active ones only; ``"all"`` lists every state.

        Sorting by ``cancelled_at`` needs the status ``cancelled``. Lists lag behind writes by up to minutes.
        """
        return self._list(
            _ALL,
            schemas.SubscriberPage,
            lambda page: page.subscribers,
            query={
                "status": checked("status", status, STATUSES),
                "email_address": email_address,
                "created_after": day(created_after),
                "created_before": day(created_before),
                "updated_after": day(updated_after),
                "updated_before": day(updated_before),
                "sort_field": checked("sort_field", sort_field, SORT_FIELDS),
                "sort_order": checked("sort_order", sort_order, ("asc", "desc")),
            },
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def create_subscriber(
        self,
        email_address: str,
        *,
        first_name: str | None = None,
        state: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Written[schemas.Subscriber]:
        """ "Create a subscriber": an upsert by address, which never changes the state of an existing subscriber.

        ``fields`` are by key or label. Fields that the account does not have are not stored, and told in ``warnings``.
        Raises ``ValueError`` for more than 140 fields.
        """
        body: dict[str, Any] = {"email_address": email_address}
        if first_name is not None:
            body["first_name"] = first_name
        if state is not None:
            body["state"] = checked("state", state, STATES)
        return self._upsert("POST", _ALL, {}, body, fields)

    def get_subscriber(self, subscriber_id: int | str) -> schemas.Subscriber:
        """ "Get a subscriber"."""
        return self._get(_ONE, schemas.SubscriberAnswer, path={"id": subscriber_id}).subscriber

    def update_subscriber(
        self,
        subscriber_id: int | str,
        email_address: str,
        *,
        first_name: str | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Written[schemas.Subscriber]:
        """ "Update a subscriber". The address is required and may be a new one; None leaves the first name as it is,
        ``""`` empties it. Raises ``ValueError`` for more than 140 fields.
        """
        body: dict[str, Any] = {"email_address": email_address}
        if first_name is not None:
            body["first_name"] = first_name or None
        return self._upsert("PUT", _ONE, {"id": subscriber_id}, body, fields)

    def unsubscribe(self, subscriber_id: int | str) -> None:
        """ "Unsubscribe subscriber"."""
        template = _ONE + "/unsubscribe"
        self._request("POST", template, path={"id": subscriber_id}, json={}, expect=(204,))

    def list_tags_of_subscriber(
        self, subscriber_id: int | str, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.SubscriberTag]:
        """ "List tags for a subscriber"."""
        return self._list(
            "/v4/subscribers/{subscriber_id}/tags",
            schemas.SubscriberTagPage,
            lambda page: page.tags,
            path={"subscriber_id": subscriber_id},
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def bulk_create_subscribers(
        self, subscribers: Iterable[Mapping[str, str]], *, callback_url: str | None = None
    ) -> schemas.BulkSubscribers | None:
        """ "Bulk create subscribers" (OAuth only): upserts of ``email_address`` and ``first_name``, as active ones.

        More than 100 are processed later: then the answer is None, and comes to ``callback_url`` if one is given.
        """
        body = {"subscribers": [dict(one) for one in subscribers], "callback_url": callback_url}
        answer = self._request("POST", _BULK, json=body, expect=(200, 202))
        return None if answer.status == 202 else parsed(schemas.BulkSubscribers, answer, f"POST {_BULK}")

    def _upsert(
        self,
        method: str,
        template: str,
        path: Mapping[str, object],
        body: dict[str, Any],
        fields: Mapping[str, str] | None,
    ) -> Written[schemas.Subscriber]:
        if fields:
            if len(fields) > MAX_FIELDS:
                raise ValueError(f"Kit takes at most {MAX_FIELDS} custom fields in one request")
            body["fields"] = dict(fields)
        answer, status = self._send(method, template, schemas.SubscriberAnswer, path=path, json=body)
        warnings = tuple(redact_message(str(warning)) for warning in answer.warnings)
        return Written(answer.subscriber, status, warnings)
