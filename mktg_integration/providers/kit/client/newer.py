"""Endpoints of Kit that are newer than its v4 document here. Their shapes are not documented, so bodies are the
caller's and answers untyped (``schemas.Document``, all keys kept). Nothing of this package's own work rests on them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mktg_integration.providers.kit.client.base import KitBase
from mktg_integration.providers.kit.schemas import Document

_EMAILS = "/v4/sequences/{sequence_id}/emails"
_EMAIL = "/v4/sequences/{sequence_id}/emails/{id}"


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
        return self._made("POST", "/v4/webhook_endpoints", body)

    def delete_webhook_endpoint(self, endpoint_id: int | str) -> None:
        """Beyond the document."""
        self._gone("/v4/webhook_endpoints/{id}", id=endpoint_id)

    def list_posts(self, *, after: str | None = None, per_page: int | None = None) -> Document:
        """Beyond the document: what was published on the creator's pages; one page."""
        return self._get("/v4/posts", Document, query={"after": after, "per_page": per_page})

    def get_post(self, post_id: int | str) -> Document:
        """Beyond the document."""
        return self._get("/v4/posts/{id}", Document, path={"id": post_id})

    def list_snippets(self, *, after: str | None = None, per_page: int | None = None) -> Document:
        """Beyond the document: pieces of content that emails share; one page."""
        return self._get("/v4/snippets", Document, query={"after": after, "per_page": per_page})

    def create_snippet(self, body: Mapping[str, Any]) -> Document:
        """Beyond the document."""
        return self._made("POST", "/v4/snippets", body)

    def get_snippet(self, snippet_id: int | str) -> Document:
        """Beyond the document."""
        return self._get("/v4/snippets/{id}", Document, path={"id": snippet_id})

    def update_snippet(self, snippet_id: int | str, body: Mapping[str, Any]) -> Document:
        """Beyond the document."""
        return self._made("PUT", "/v4/snippets/{id}", body, id=snippet_id)

    def create_sequence(self, body: Mapping[str, Any]) -> Document:
        """Beyond the document."""
        return self._made("POST", "/v4/sequences", body)

    def get_sequence(self, sequence_id: int | str) -> Document:
        """Beyond the document."""
        return self._get("/v4/sequences/{id}", Document, path={"id": sequence_id})

    def update_sequence(self, sequence_id: int | str, body: Mapping[str, Any]) -> Document:
        """Beyond the document."""
        return self._made("PUT", "/v4/sequences/{id}", body, id=sequence_id)

    def delete_sequence(self, sequence_id: int | str) -> None:
        """Beyond the document."""
        self._gone("/v4/sequences/{id}", id=sequence_id)

    def list_sequence_emails(
        self, sequence_id: int | str, *, after: str | None = None, per_page: int | None = None
    ) -> Document:
        """Beyond the document: one page."""
        query = {"after": after, "per_page": per_page}
        return self._get(_EMAILS, Document, path={"sequence_id": sequence_id}, query=query)

    def create_sequence_email(self, sequence_id: int | str, body: Mapping[str, Any]) -> Document:
        """Beyond the document."""
        return self._made("POST", _EMAILS, body, sequence_id=sequence_id)

    def get_sequence_email(self, sequence_id: int | str, email_id: int | str) -> Document:
        """Beyond the document."""
        return self._get(_EMAIL, Document, path={"sequence_id": sequence_id, "id": email_id})

    def update_sequence_email(self, sequence_id: int | str, email_id: int | str, body: Mapping[str, Any]) -> Document:
        """Beyond the document."""
        return self._made("PUT", _EMAIL, body, sequence_id=sequence_id, id=email_id)

    def delete_sequence_email(self, sequence_id: int | str, email_id: int | str) -> None:
        """Beyond the document."""
        self._gone(_EMAIL, sequence_id=sequence_id, id=email_id)

    def _made(self, method: str, template: str, body: Mapping[str, Any], **path: object) -> Document:
        return self._send(method, template, Document, path=path, json=dict(body), expect=(200, 201))[0]

    def _gone(self, template: str, **path: object) -> None:
        self._request("DELETE", template, path=path, json={}, expect=(200, 204))

    def _bulk(self, method: str, template: str, body: dict[str, Any]) -> Document | None:
        answer, status = self._send(method, template, Document, json=body, expect=(200, 202))
        return None if status == 202 else answer
