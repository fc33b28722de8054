"""Endpoints of Kit that are newer than its v4 document here. Their shapes are not documented, so bodies are the
caller's and answers untyped (``schemas.Document``, all keys kept). Nothing of this package's own work rests on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mktg_integration.providers.kit.client.base import KitBase
from mktg_integration.providers.kit.schemas import Document


class Newer(KitBase):
    def bulk_update_custom_field_values(self, body: Mapping[str, Any]) -> Document | None:
        """Beyond the document: custom field values for many subscribers (OAuth only). None: processed later."""
        return self._bulk("POST", "/v4/bulk/custom_fields/subscribers", dict(body))

    def bulk_untag_subscribers(self, taggings: Iterable[tuple[int | str, int | str]]) -> Document | None:
        """Beyond the document: takes tags from many subscribers (OAuth only); pairs of tag id and subscriber id."""
        pairs = [{"tag_id": int(tag), "subscriber_id": int(subscriber)} for tag, subscriber in taggings]
        return self._bulk("DELETE", "/v4/bulk/tags/subscribers", {"taggings": pairs})

    def bulk_add_to_forms(self, body: Mapping[str, Any]) -> Document | None:
        """Beyond the document: adds many subscribers to forms (OAuth only)."""
        return self._bulk("POST", "/v4/bulk/forms/subscribers", dict(body))

    def get_subscriber_stats(self, subscriber_id: int | str) -> Document:
        """Beyond the document: what a subscriber was sent, opened and clicked."""
        return self._get("/v4/subscribers/{id}/stats", Document, path={"id": subscriber_id})

    def filter_subscribers(self, body: Mapping[str, Any]) -> Document:
        """Beyond the document: subscribers by engagement."""
        return self._send("POST", "/v4/subscribers/filter", Document, json=dict(body), expect=(200,))[0]

    def list_broadcast_stats(self, *, after: str | None = None, per_page: int | None = None) -> Document:
        """Beyond the document: the stats of many broadcasts; one page."""
        return self._get("/v4/broadcasts/stats", Document, query={"after": after, "per_page": per_page})

    def get_broadcast_clicks(self, broadcast_id: int | str) -> Document:
        """Beyond the document: which links of a broadcast were clicked."""
        return self._get("/v4/broadcasts/{id}/clicks", Document, path={"id": broadcast_id})

    def list_webhook_endpoints(self, *, after: str | None = None, per_page: int | None = None) -> Document:
        """Beyond the document: the signed webhooks; one page."""
        return self._get("/v4/webhook_endpoints", Document, query={"after": after, "per_page": per_page})

    def create_webhook_endpoint(self, body: Mapping[str, Any]) -> Document:
        """Beyond the document: a signed webhook."""
        return self._send("POST", "/v4/webhook_endpoints", Document, json=dict(body), expect=(200, 201))[0]

    def delete_webhook_endpoint(self, endpoint_id: int | str) -> None:
        """Beyond the document."""
        self._request("DELETE", "/v4/webhook_endpoints/{id}", path={"id": endpoint_id}, json={}, expect=(200, 204))

    def _bulk(self, method: str, template: str, body: dict[str, Any]) -> Document | None:
        answer, status = self._send(method, template, Document, json=body, expect=(200, 202))
        return None if status == 202 else answer
