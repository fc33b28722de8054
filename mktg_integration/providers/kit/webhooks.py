"""What Kit tells by itself: webhooks of both kinds and the callbacks of bulk requests.

The older kind ("Webhooks" of the document) is unsigned, one webhook an event, and its body does not name the event: the
address that it is sent to has to. The newer kind (webhook endpoints, beyond the document) is signed and tells a batch
of events of one type. Bodies that the document does not show are read tolerantly.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from pydantic import ValidationError

from mktg_integration.exceptions import MalformedAnswerError, ServiceError, UnsupportedError
from mktg_integration.providers.kit import mirrored, schemas
from mktg_integration.providers.kit.client import KitClient
from mktg_integration.providers.kit.client.base import MAX_PER_PAGE, Listing
from mktg_integration.providers.kit.client.webhooks import EVENTS
from mktg_integration.providers.kit.normal import contact_record, tag_record
from mktg_integration.providers.webhooks import Notice, RemoteWebhook, WantedWebhook, Webhooks
from mktg_integration.records import ContactStatus, Record, TaggingRecord

JSON = Any

SIGNATURE_HEADER = "X-Kit-Signature"
DELIVERY_HEADER = "X-Kit-Delivery"
PURCHASE = "purchase.purchase_create"
SIGNED_EVENTS = (
    "subscriber.created",
    "subscriber.activated",
    "subscriber.unsubscribed",
    "subscriber.bounced",
    "subscriber.complained",
    "subscriber.subscribed_to_form",
    "subscriber.added_to_sequence",
    "subscriber.sequence_completed",
    "subscriber.tag_added",
    "subscriber.tag_removed",
    "subscriber.custom_field_value_updated",
)
"""The events of the newer kind that tell of a subscriber and are delivered today."""

_OPT_OUTS: Mapping[str, ContactStatus] = {
    "subscriber.subscriber_unsubscribe": ContactStatus.UNSUBSCRIBED,
    "subscriber.subscriber_bounce": ContactStatus.BOUNCED,
    "subscriber.subscriber_complain": ContactStatus.COMPLAINED,
    "subscriber.unsubscribed": ContactStatus.UNSUBSCRIBED,
    "subscriber.bounced": ContactStatus.BOUNCED,
    "subscriber.complained": ContactStatus.COMPLAINED,
}
_TAGGED: Mapping[str, bool] = {
    "subscriber.tag_add": True,
    "subscriber.tag_remove": False,
    "subscriber.tag_added": True,
    "subscriber.tag_removed": False,
}


class KitWebhooks(Webhooks[KitClient]):
    """Both kinds."""

    events = EVENTS
    signed_events = SIGNED_EVENTS

    def default_events(self, client: KitClient) -> tuple[str, ...]:
        """Purchases can be read by OAuth alone, so that by an API key nobody could confirm one."""
        return tuple(event for event in super().default_events(client) if client.is_oauth or event != PURCHASE)

    # At Kit

    def registered(self, client: KitClient, *, signed: bool = False) -> list[RemoteWebhook]:
        if signed:
            return self._list_endpoints(client)
        found = client.list_webhooks(per_page=MAX_PER_PAGE)
        return [RemoteWebhook(remote_id=str(webhook.id), url=webhook.target_url) for webhook in found]

    def create(self, client: KitClient, wanted: WantedWebhook, url: str) -> RemoteWebhook:
        name = EVENTS[wanted.event]
        given: dict[str, Any] = {}
        if name:
            given[name] = wanted.parameter if name == "initiator_value" else int(wanted.parameter)
        made = client.create_webhook(url, wanted.event, **given)
        return RemoteWebhook(remote_id=str(made.id), url=made.target_url)

    def create_signed(self, client: KitClient, url: str, events: Sequence[str]) -> RemoteWebhook:
        """Events that this account's Kit does not offer (422, named in its messages) are left out."""
        try:
            answer = client.create_webhook_endpoint({"url": url, "events": [*events]})
        except ServiceError as error:
            offered = [event for event in events if not any(event in message for message in error.messages)]
            if error.status != 422 or not offered or len(offered) == len(events):
                raise
            answer = client.create_webhook_endpoint({"url": url, "events": offered})
        return _endpoint(answer.model_dump().get("webhook_endpoint"))

    def delete(self, client: KitClient, webhook: RemoteWebhook) -> None:
        try:
            if webhook.signed:
                client.delete_webhook_endpoint(webhook.remote_id)
            else:
                client.delete_webhook(webhook.remote_id)
        except ServiceError as error:
            if error.status != 404:
                raise

    def parameters(self, client: KitClient, name: str) -> Sequence[str]:
        lists: Mapping[str, Listing[Any]] = {
            "form_id": client.list_forms(status="active", per_page=MAX_PER_PAGE),
            "tag_id": client.list_tags(per_page=MAX_PER_PAGE),
            "course_id": client.list_sequences(per_page=MAX_PER_PAGE),
        }
        if name not in lists:
            raise UnsupportedError(f"Kit cannot list the values of {name}: give them one by one")
        return [str(row.id) for row in lists[name]]

    def contact(self, client: KitClient, remote_id: str) -> Any:
        try:
            return contact_record(client.get_subscriber(remote_id))
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def tags(self, client: KitClient, remote_id: str) -> Sequence[Record]:
        found = list(client.list_tags_of_subscriber(remote_id, per_page=MAX_PER_PAGE))
        tags = [tag_record(schemas.Tag(id=tag.id, name=tag.name)) for tag in found]
        taggings = [TaggingRecord(contact=remote_id, tag=str(tag.id), tagged_at=tag.tagged_at) for tag in found]
        return [*tags, *taggings]

    def purchase(self, client: KitClient, remote_id: str) -> Sequence[Record]:
        if not client.is_oauth:
            raise UnsupportedError("Kit shows purchases by OAuth alone: connect the account by OAuth")
        return list(mirrored.purchase(client.get_purchase(remote_id)))

    @staticmethod
    def _list_endpoints(client: KitClient) -> list[RemoteWebhook]:
        found: list[RemoteWebhook] = []
        after: str | None = None
        seen: set[str | None] = set()
        while after not in seen:
            seen.add(after)
            page = client.list_webhook_endpoints(after=after, per_page=MAX_PER_PAGE).model_dump()
            found += [_endpoint(row) for row in page.get("webhook_endpoints") or ()]
            pagination = page.get("pagination") or {}
            if not pagination.get("has_next_page"):
                return found
            after = pagination.get("end_cursor")
        raise MalformedAnswerError("kit: GET /v4/webhook_endpoints repeats a cursor")

    # Deliveries

    def delivery_id(self, headers: Mapping[str, str]) -> str:
        return headers.get(DELIVERY_HEADER, "")

    def is_genuine(
        self, headers: Mapping[str, str], body: bytes, secrets: Collection[str], *, now: float, tolerance: float
    ) -> bool:
        """``X-Kit-Signature: t=<Unix time>,v1=<hex>``, of ``"<t>.<raw body>"`` by HMAC-SHA256; while a secret is
        rotated there are two ``v1``, of which one has to fit."""
        pairs = [part.strip().partition("=") for part in headers.get(SIGNATURE_HEADER, "").split(",")]
        times = [value for name, _, value in pairs if name == "t"]
        marks = [value.lower() for name, _, value in pairs if name == "v1"]
        if len(times) != 1 or not (times[0].isascii() and times[0].isdigit()) or len(times[0]) > 12:
            return False
        if abs(now - int(times[0])) > tolerance:
            return False
        genuine = False
        for secret in secrets:
            expected = hmac.new(secret.encode(), times[0].encode() + b"." + body, sha256).hexdigest().encode()
            # Every pair is compared, so that the time taken does not tell which one fits.
            for mark in marks[:4]:
                genuine |= hmac.compare_digest(expected, mark.encode("ascii", "replace"))
        return genuine

    def read(self, event: str, parameter: str, body: JSON, *, signed: bool) -> list[Notice]:
        if signed:
            return _read_batch(body)
        if event not in EVENTS:
            raise MalformedAnswerError("kit: a webhook for an event that is not known here")
        if event == PURCHASE:
            return [Notice(purchase=_purchase_id(body))]
        record = contact_record(_subscriber(body))
        tags = {"tag": parameter, "has_tag": _TAGGED[event]} if event in _TAGGED else {}
        return [Notice(contact=record.remote_id, record=record, opt_out=_OPT_OUTS.get(event), **tags)]  # type: ignore[arg-type]

    def read_callback(self, body: JSON) -> list[Notice]:
        """The body is that of the synchronous answer (document, "Bulk and async processing")."""
        if not isinstance(body, Mapping) or not ({"subscribers", "failures"} & set(body)):
            if isinstance(body, Mapping) and ({"tags", "custom_fields", "custom_field_values"} & set(body)):
                return []
            raise MalformedAnswerError("kit: a callback has neither subscribers nor failures")
        notices = []
        for row in body.get("subscribers") or ():
            told = _parsed(schemas.BulkTagged, row, "callback")
            whole = isinstance(row, Mapping) and told.state is not None
            record = contact_record(_parsed(schemas.Subscriber, row, "callback")) if whole else None
            notices.append(Notice(contact=str(told.id), record=record, reads_tags=told.tagged_at is not None))
        return notices


def _read_batch(body: JSON) -> list[Notice]:
    events = body.get("events") if isinstance(body, Mapping) else None
    if not isinstance(events, list):
        raise MalformedAnswerError("kit: a signed delivery has no list of events")
    notices = []
    for event in events:
        if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
            raise MalformedAnswerError("kit: an event of a signed delivery has no type")
        notices += _read_event(event["type"], event.get("data"), _moment(event.get("created")))
    return notices


def _read_event(kind: str, data: JSON, at: datetime) -> list[Notice]:
    if not kind.startswith("subscriber."):
        # A tag, a broadcast: nothing of a person, and what there is of it comes by the next pull.
        return []
    record = contact_record(_subscriber(data))
    tags: dict[str, Any] = {}
    if kind in _TAGGED:
        tag = data.get("tag")
        tags = (
            {"tag": str(tag["id"]), "tag_name": str(tag.get("name") or ""), "has_tag": _TAGGED[kind]}
            if isinstance(tag, Mapping) and isinstance(tag.get("id"), int)
            else {"reads_tags": True}
        )
    return [Notice(contact=record.remote_id, record=record, at=at, opt_out=_OPT_OUTS.get(kind), **tags)]


def _moment(value: JSON) -> datetime:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
        moment = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        raise MalformedAnswerError("kit: an event of a signed delivery has no time") from None
    if moment.tzinfo is None:
        raise MalformedAnswerError("kit: an event's time has no time zone")
    return moment


def _subscriber(body: JSON) -> schemas.Subscriber:
    told = body.get("subscriber") if isinstance(body, Mapping) else None
    subscriber: schemas.Subscriber = _parsed(schemas.Subscriber, told, "webhook's subscriber")
    return subscriber


def _purchase_id(body: JSON) -> str:
    """The body of a purchase's webhook is not documented: the purchase itself, or within ``purchase``."""
    told = body.get("purchase", body) if isinstance(body, Mapping) else None
    found = told.get("id") if isinstance(told, Mapping) else None
    if isinstance(found, bool) or not isinstance(found, int | str) or not str(found).isdigit():
        raise MalformedAnswerError("kit: a purchase's webhook has no id")
    return str(found)


def _parsed(model: Any, told: JSON, what: str) -> Any:
    try:
        return model.model_validate(told)
    except ValidationError as error:
        keys = sorted({str(problem["loc"][0]) for problem in error.errors(include_input=False) if problem["loc"]})
        raise MalformedAnswerError(f"kit: a {what} is not as documented: {', '.join(keys) or 'no object'}") from None


def _endpoint(told: JSON) -> RemoteWebhook:
    if not isinstance(told, Mapping) or "id" not in told or not isinstance(told.get("url"), str):
        raise MalformedAnswerError("kit: a webhook endpoint has no id or url")
    secret = told.get("secret")
    return RemoteWebhook(
        remote_id=str(told["id"]), url=told["url"], signed=True, secret=secret if isinstance(secret, str) else ""
    )
