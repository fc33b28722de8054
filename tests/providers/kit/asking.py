"""How the client makes the call of each endpoint of the document, with all that the endpoint takes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from mktg_integration.http import Unlimited
from mktg_integration.providers.kit.client import (
    BroadcastBody,
    KitClient,
    KitOAuth,
    Listing,
    ProductBody,
    PurchaseBody,
)
from mktg_integration.sandbox.credentials import KIT_ACCESS_TOKEN, KIT_CLIENT_ID, KIT_CLIENT_SECRET

DAYS: dict[str, Any] = {"created_after": "2023-01-01", "created_before": "2023-12-31"}
ADDED: dict[str, Any] = {**DAYS, "added_after": "2023-01-01", "added_before": "2023-12-31"}
PAGE: dict[str, Any] = {"per_page": 10, "include_total_count": True}
NOON = datetime(2099, 2, 17, 12, tzinfo=UTC)
EMAIL = "person1@example.com"
CALLBACK = "https://site.example/callback"
FIELDS = dict.fromkeys(
    (
        "Last name",
        "Birthday",
        "Source",
        "Role",
        "Company",
        "Postal code",
        "Website",
        "Social media",
        "How did you hear about us?",
        "Interests",
        "Coupon",
    ),
    "x",
)


def broadcast(*groups: str) -> BroadcastBody:
    """Scheduled, for a tag in each of these groups."""
    chosen = [{group: [{"type": "tag", "ids": [1]}] for group in groups}]
    return BroadcastBody(
        subject="Hello!", content="<p>Hi</p>", public=True, send_at=NOON, published_at=NOON, subscriber_filter=chosen
    )


EVERY_GROUP = broadcast("all", "any", "none")
PURCHASE = PurchaseBody(
    email_address=EMAIL,
    first_name="Pru",
    transaction_id="796-92-4892",
    currency="USD",
    products=[ProductBody(name="Tip", pid="p", lid="l", quantity=1, sku="s", unit_price=Decimal("0.05"))],
    subtotal=Decimal("5.00"),
    tax=Decimal("1.05"),
    shipping=0,
    discount=Decimal(0),
    total=Decimal("6.05"),
    transaction_time=datetime(2023, 2, 17, 12, tzinfo=UTC),
)


class Ask:
    """A call of a method of ``KitClient`` or ``KitOAuth``."""

    def __init__(self, method: Callable[..., Any], *args: Any, app_secret: str = "", **kwargs: Any) -> None:
        self.method = method
        self.args = args
        self.kwargs = kwargs
        self.app_secret = app_secret

    @property
    def is_of_oauth(self) -> bool:
        return self.method.__qualname__.startswith("KitOAuth.")

    def of(self, url: str) -> Any:
        """What the method answers at this address; of a list, a page between two others."""
        if self.is_of_oauth:
            return self.method(KitOAuth(KIT_CLIENT_ID, self.app_secret, base_url=url), *self.args, **self.kwargs)
        with KitClient(access_token=KIT_ACCESS_TOKEN, base_url=url, limiter=Unlimited()) as client:
            answer = self.method(client, *self.args, **self.kwargs)
            return answer.page(after="WzE0XQ==", before="WzEzXQ==") if isinstance(answer, Listing) else answer


ASKS: dict[str, Ask] = {
    "Get an authorization code grant": Ask(KitOAuth.authorize_url, CALLBACK, "state", scope="public"),
    "Get a new token using an authorization code": Ask(
        KitOAuth.exchange_code, "code", CALLBACK, app_secret=KIT_CLIENT_SECRET
    ),
    "Get a new token using a refresh token": Ask(KitOAuth.refresh, "used-once"),
    "[PKCE] Get an authorization code grant": Ask(
        KitOAuth.authorize_url, CALLBACK, "state", scope="public", code_challenge="abc"
    ),
    "[PKCE] Get a new token using an authorization code and verifier": Ask(
        KitOAuth.exchange_code, "code", CALLBACK, code_verifier="verifier"
    ),
    "Get current account": Ask(KitClient.get_account),
    "List colors": Ask(KitClient.list_colors),
    "Update colors": Ask(KitClient.update_colors, ["#000000"]),
    "Get Creator Profile": Ask(KitClient.get_creator_profile),
    "Get email stats": Ask(KitClient.get_email_stats),
    "Get growth stats": Ask(KitClient.get_growth_stats, starting="2023-02-10", ending="2023-02-17"),
    "List broadcasts": Ask(KitClient.list_broadcasts, **PAGE),
    "Create a broadcast": Ask(KitClient.create_broadcast, EVERY_GROUP),
    "Delete a broadcast": Ask(KitClient.delete_broadcast, 1),
    "Get a broadcast": Ask(KitClient.get_broadcast, 1),
    "Update a broadcast": Ask(KitClient.update_broadcast, 1, EVERY_GROUP),
    "Get stats": Ask(KitClient.get_broadcast_stats, 1),
    "Bulk create custom fields": Ask(KitClient.bulk_create_custom_fields, ["Interests"], callback_url=CALLBACK),
    "List custom fields": Ask(KitClient.list_custom_fields, **PAGE),
    "Create a custom field": Ask(KitClient.create_custom_field, "Interests"),
    "Delete custom field": Ask(KitClient.delete_custom_field, 1),
    "Update a custom field": Ask(KitClient.update_custom_field, 1, "Interests"),
    "Bulk create subscribers": Ask(
        KitClient.bulk_create_subscribers, [{"first_name": "A", "email_address": EMAIL}], callback_url=CALLBACK
    ),
    "List subscribers": Ask(
        KitClient.list_subscribers,
        status="cancelled",
        email_address=EMAIL,
        updated_after="2023-01-01",
        updated_before="2023-12-31",
        sort_field="cancelled_at",
        sort_order="asc",
        **DAYS,
        **PAGE,
    ),
    "Create a subscriber": Ask(
        KitClient.create_subscriber, "new@example.com", first_name="Alice", state="inactive", fields=FIELDS
    ),
    "Get a subscriber": Ask(KitClient.get_subscriber, 1),
    "Update a subscriber": Ask(KitClient.update_subscriber, 1, EMAIL, first_name="Alice", fields=FIELDS),
    "Unsubscribe subscriber": Ask(KitClient.unsubscribe, 1),
    "List tags for a subscriber": Ask(KitClient.list_tags_of_subscriber, 1, **PAGE),
    "Bulk create tags": Ask(KitClient.bulk_create_tags, ["Newsletter"], callback_url=CALLBACK),
    "Bulk tag subscribers": Ask(KitClient.bulk_tag_subscribers, [(1, 2)], callback_url=CALLBACK),
    "List tags": Ask(KitClient.list_tags, **PAGE),
    "Create a tag": Ask(KitClient.create_tag, "Completed"),
    "Update tag name": Ask(KitClient.update_tag_name, 1, "signed up"),
    "Remove tag from subscriber by email address": Ask(KitClient.untag_subscriber_by_email, 1, EMAIL),
    "List subscribers for a tag": Ask(
        KitClient.list_subscribers_of_tag,
        1,
        status="all",
        tagged_after="2023-01-01",
        tagged_before="2023-12-31",
        **DAYS,
        **PAGE,
    ),
    "Tag a subscriber by email address": Ask(KitClient.tag_subscriber_by_email, 1, EMAIL),
    "Remove tag from subscriber": Ask(KitClient.untag_subscriber, 1, 1),
    "Tag a subscriber": Ask(KitClient.tag_subscriber, 1, 2),
    "List email templates": Ask(KitClient.list_email_templates, **PAGE),
    "List forms": Ask(KitClient.list_forms, status="all", type="embed", **PAGE),
    "List subscribers for a form": Ask(KitClient.list_subscribers_of_form, 1, status="all", **ADDED, **PAGE),
    "Add subscriber to form by email address": Ask(KitClient.add_to_form_by_email, 1, EMAIL),
    "Add subscriber to form": Ask(KitClient.add_to_form, 1, 2),
    "List purchases": Ask(KitClient.list_purchases, **PAGE),
    "Create a purchase": Ask(KitClient.create_purchase, PURCHASE),
    "Get a purchase": Ask(KitClient.get_purchase, 1),
    "List segments": Ask(KitClient.list_segments, **PAGE),
    "List sequences": Ask(KitClient.list_sequences, **PAGE),
    "List subscribers for a sequence": Ask(KitClient.list_subscribers_of_sequence, 1, status="all", **ADDED, **PAGE),
    "Add subscriber to sequence by email address": Ask(KitClient.add_to_sequence_by_email, 1, EMAIL),
    "Add subscriber to sequence": Ask(KitClient.add_to_sequence, 1, 2),
    "List webhooks": Ask(KitClient.list_webhooks, **PAGE),
    "Create a webhook": Ask(KitClient.create_webhook, "http://127.0.0.1:9/hook", "subscriber.tag_add", tag_id=1),
    "Delete a webhook": Ask(KitClient.delete_webhook, 1),
}
"""By the endpoint's title in the document."""
