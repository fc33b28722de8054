"""Kit v4, "Webhooks"."""

from __future__ import annotations

from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, Listing

_ALL = "/v4/webhooks"

EVENTS: dict[str, str] = {
    "subscriber.subscriber_activate": "",
    "subscriber.subscriber_unsubscribe": "",
    "subscriber.subscriber_bounce": "",
    "subscriber.subscriber_complain": "",
    "subscriber.form_subscribe": "form_id",
    "subscriber.course_subscribe": "course_id",
    "subscriber.course_complete": "course_id",
    "subscriber.link_click": "initiator_value",
    "subscriber.product_purchase": "product_id",
    "subscriber.tag_add": "tag_id",
    "subscriber.tag_remove": "tag_id",
    "purchase.purchase_create": "",
}
"""The documented events, each with the parameter that it requires. Sequences are ``course_id`` here."""


class Webhooks(KitBase):
    def list_webhooks(
        self, *, per_page: int | None = None, include_total_count: bool = False
    ) -> Listing[schemas.Webhook]:
        """ "List webhooks". Events come back without their prefix."""
        return self._list(
            _ALL,
            schemas.WebhookPage,
            lambda page: page.webhooks,
            per_page=per_page,
            include_total_count=include_total_count,
        )

    def create_webhook(
        self,
        target_url: str,
        event: str,
        *,
        form_id: int | None = None,
        tag_id: int | None = None,
        course_id: int | None = None,
        product_id: int | None = None,
        initiator_value: str | None = None,
    ) -> schemas.Webhook:
        """ "Create a webhook" for one of ``EVENTS``. Raises ``ValueError`` for another, or without what it requires."""
        given = {
            "form_id": form_id,
            "tag_id": tag_id,
            "course_id": course_id,
            "product_id": product_id,
            "initiator_value": initiator_value,
        }
        if event not in EVENTS:
            raise ValueError(f"event must be one of: {', '.join(EVENTS)}")
        required = EVENTS[event]
        if required and given[required] is None:
            raise ValueError(f"{event} needs {required}")
        body = {"target_url": target_url, "event": {"name": event, **given}}
        return self._send("POST", _ALL, schemas.WebhookAnswer, json=body, expect=(201,))[0].webhook

    def delete_webhook(self, webhook_id: int | str) -> None:
        """ "Delete a webhook"."""
        self._drop(_ALL + "/{id}", path={"id": webhook_id})
