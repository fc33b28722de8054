"""A client of Conversion's public API, in both dialects; usable without Django and without a database."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mktg_integration.exceptions import MalformedAnswerError, ServiceError
from mktg_integration.http import BearerAuth, HeaderAuth, HttpAnswer, RateLimiter, Session, StaticToken
from mktg_integration.http.session import AnswerHook
from mktg_integration.providers.conversion import schemas
from mktg_integration.providers.conversion.errors import TABLE, item_error
from mktg_integration.providers.conversion.schemas import parse

JSON = Any

SERVICE = "conversion"
BASE_URL = "https://pub-api.conversion.ai/api"


class ConversionClient:
    """Every endpoint of the v2 and v1 documents. Thread-safe.

    ``base_url`` is the address before ``/v1`` and ``/v2``. v2 sends the key as ``X-API-Key``, v1 as a bearer token.
    ``deadline`` is the total time of a request in seconds. Every method raises ``ServiceError`` where the service
    refuses or fails, and ``MalformedAnswerError`` where its answer is not what the document says.

    ``v1_is_refused`` is set once the key has been found to have no right to v1 (see ``execute``).
    """

    def __init__(
        self,
        api_key: str,
        base_url: str = BASE_URL,
        *,
        limiter: RateLimiter | None = None,
        deadline: float = 30.0,
        on_answer: AnswerHook | None = None,
    ) -> None:
        self._v2 = Session(
            SERVICE,
            base_url,
            auth=HeaderAuth("X-API-Key", api_key),
            limiter=limiter,
            deadline=deadline,
            error_table=TABLE,
            on_answer=on_answer,
        )
        self._v1 = Session(
            SERVICE,
            base_url,
            auth=BearerAuth(StaticToken(api_key)),
            limiter=limiter,
            deadline=deadline,
            error_table=TABLE,
            on_answer=on_answer,
        )
        self.v1_is_refused = False

    def close(self) -> None:
        """Close the open connections; the client may be used again."""
        self._v2.close()
        self._v1.close()

    # v2

    def upsert_contact(self, contact: Mapping[str, JSON], **flags: bool) -> schemas.Upserted:
        """Upsert one contact (v2 "Upsert contact").

        ``contact`` has ``email`` or ``cnvContactId`` (with both, the id identifies and the address is changed), and
        may have ``subscriptionStatus``, ``fields`` and ``companyFields``. ``flags``: ``updateOnly``, ``syncToCRM``,
        ``preserveExistingFields``.
        """
        endpoint = "/v2/contacts"
        payload = self._call(self._v2, "POST", endpoint, json={**contact, **flags})
        return parse(schemas.UpsertAnswer, payload, f"POST {endpoint}").data

    def upsert_contacts(self, contacts: Sequence[Mapping[str, JSON]], **flags: bool) -> list[schemas.BatchItem]:
        """Upsert 1 to 1,000 contacts (v2 batch). The results carry no address: they are in the order sent."""
        endpoint = "/v2/contacts/batch"
        payload = self._call(self._v2, "POST", endpoint, json={"contacts": list(contacts), **flags})
        return parse(schemas.BatchAnswer, payload, f"POST {endpoint}").data.results

    def track_event(
        self,
        event: str,
        *,
        email: str = "",
        user_id: str = "",
        event_id: str = "",
        data: Mapping[str, JSON] | None = None,
        timestamp: str = "",
    ) -> schemas.Tracked:
        """Tell of an event of a contact that exists (v2 events). The same ``event_id`` updates in place.

        ``timestamp`` is ISO 8601.
        """
        endpoint = "/v2/events"
        said = {"event": event, "email": email, "userId": user_id, "eventId": event_id, "timestamp": timestamp}
        body: dict[str, JSON] = {name: value for name, value in said.items() if value}
        if data:
            body["data"] = dict(data)
        payload = self._call(self._v2, "POST", endpoint, json=body)
        return parse(schemas.EventAnswer, payload, f"POST {endpoint}").data

    def export_page(self, cursor: str | None = None, *, limit: int = 1000) -> tuple[list[dict[str, JSON]], str | None]:
        """One page of all contacts (v2 exports, which only some accounts have), and the cursor of the next one.

        A short page is not the end; no cursor is. Raises ``MalformedAnswerError`` where the cursor is the one asked
        with.
        """
        endpoint = "/v2/exports/contacts"
        body: dict[str, JSON] = {"limit": limit, **({"cursor": cursor} if cursor else {})}
        payload = self._call(self._v2, "POST", endpoint, json=body)
        page = parse(schemas.ExportAnswer, payload, f"POST {endpoint}")
        following = page.pagination.next_cursor or None
        if following is not None and following == cursor:
            raise MalformedAnswerError(f"{SERVICE}: POST {endpoint} gave the same nextCursor twice")
        return page.data.contacts, following

    def export_contacts(self, *, limit: int = 1000) -> Iterator[dict[str, JSON]]:
        """All contacts, page by page (``export_page``). Raises ``MalformedAnswerError`` where a cursor repeats."""
        cursor: str | None = None
        seen = set[str]()
        while True:
            contacts, cursor = self.export_page(cursor, limit=limit)
            yield from contacts
            if cursor is None:
                return
            if cursor in seen:
                raise MalformedAnswerError(f"{SERVICE}: POST /v2/exports/contacts gave the same nextCursor twice")
            seen.add(cursor)

    # v1

    def v1_upsert_contacts(self, contacts: Sequence[Mapping[str, JSON]]) -> list[schemas.V1Upserted]:
        """Upsert contacts (v1 "Batch Upsert Contacts"): ``email``, ``variables``, ``externalContact`` of each."""
        endpoint = "/v1/contacts/batch"
        payload = self._call(self._v1, "POST", endpoint, json={"contacts": list(contacts)})
        return parse(schemas.V1BatchAnswer, payload, f"POST {endpoint}").data

    def v1_contact(self, email: str) -> schemas.V1Contact:
        """One contact (v1 "Get Contact by Email")."""
        endpoint = "/v1/contacts/by-email/{email}"
        payload = self._call(self._v1, "GET", endpoint, path={"email": email})
        return parse(schemas.V1ContactAnswer, payload, f"GET {endpoint}").data

    def v1_delete_contact(self, email: str) -> None:
        """Remove a contact (v1 "Delete Contact by Email")."""
        self._call(self._v1, "DELETE", "/v1/contacts/by-email/{email}", path={"email": email})

    def v1_set_statuses(self, contacts: Sequence[Mapping[str, str]]) -> JSON:
        """Set subscription statuses (v1 "Batch Update Subscription Status"): ``email``, ``subscriptionStatus``.

        Gives the answer's ``data``, whose form is not documented; nor is that of the request, beyond the statuses
        SUBSCRIBED, UNSUBSCRIBED and PENDING: it is sent in the form of the batch upsert.
        """
        payload = self._call(self._v1, "POST", "/v1/contacts/batch-subscription", json={"contacts": list(contacts)})
        return payload.get("data") if isinstance(payload, Mapping) else None

    def v1_track_engagement(
        self, contact_email: str, *, name: str, description: str, data: Mapping[str, JSON] | None = None
    ) -> None:
        """Record something that a contact did (v1 "Track Custom Engagement"). Repeating it records it again."""
        body: dict[str, JSON] = {
            "contactEmail": contact_email,
            "type": "ACTIVITY",
            "name": name,
            "description": description,
        }
        if data:
            body["data"] = dict(data)
        self._call(self._v1, "POST", "/v1/contacts/engagements", json=body)

    def v1_upsert_companies(self, companies: Sequence[Mapping[str, JSON]]) -> None:
        """Upsert companies (v1 "Companies API", "Batch Upsert Companies"): ``id``, ``baseDomain``, ``variables``."""
        self._call(self._v1, "POST", "/v1/companies/batch", json={"companies": list(companies)})

    def v1_company(self, external_id: str) -> dict[str, JSON]:
        """One company by the site's id (v1 "Get Company by ID"), as answered: its form is not documented."""
        endpoint = "/v1/companies/by-external-id/{id}"
        payload = self._call(self._v1, "GET", endpoint, path={"id": external_id})
        found = payload.get("data") if isinstance(payload, Mapping) else None
        if not isinstance(found, dict):
            raise MalformedAnswerError(f"{SERVICE}: GET {endpoint} answered without data")
        return found

    def v1_delete_company(self, external_id: str) -> None:
        """Remove a company (v1 "Delete Company by ID")."""
        self._call(self._v1, "DELETE", "/v1/companies/by-external-id/{id}", path={"id": external_id})

    def _call(
        self,
        session: Session,
        method: str,
        template: str,
        *,
        path: Mapping[str, str] | None = None,
        json: JSON = None,
    ) -> JSON:
        answer = session.request(method, template, path=path, json=json, expect=(200, 201, 204))
        _raise_unsuccessful(f"{method} {template}", answer)
        return answer.payload


def _raise_unsuccessful(endpoint: str, answer: HttpAnswer) -> None:
    """An error that came with a status of success (v1, "Best Practices": always check ``success``)."""
    payload = answer.payload
    if not isinstance(payload, Mapping):
        return
    if payload.get("success", True) is True and not payload.get("error"):
        return
    said = item_error(payload)
    raise ServiceError(
        service=SERVICE,
        endpoint=endpoint,
        action=TABLE.action(200, said.code),
        status=answer.status,
        code=said.code,
        messages=said.messages,
        request_id=answer.request_id,
    )
