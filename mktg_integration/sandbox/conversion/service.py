"""The Conversion service: which endpoint answers, who may ask, and each dialect's envelope of an error."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ..credentials import ConversionCredentials
from ..routing import Routes
from ..tally import Tally
from ..wire import Request, Response
from . import v1, v2
from .answers import Answer, Refused
from .store import Store
from .world import Settings

Endpoint = Callable[..., Answer]

_ROUTES: Routes[Endpoint] = Routes(
    [
        ("POST /v2/contacts", v2.upsert),
        ("POST /v2/contacts/batch", v2.upsert_batch),
        ("POST /v2/events", v2.track),
        ("POST /v2/exports/contacts", v2.export_contacts),
        ("POST /v1/contacts/batch", v1.upsert_contacts),
        ("GET /v1/contacts/by-email/{email}", v1.get_contact),
        ("DELETE /v1/contacts/by-email/{email}", v1.delete_contact),
        ("POST /v1/contacts/batch-subscription", v1.set_subscriptions),
        ("POST /v1/contacts/engagements", v1.track_engagement),
        ("POST /v1/companies/batch", v1.upsert_companies),
        ("GET /v1/companies/by-external-id/{id}", v1.get_company),
        ("DELETE /v1/companies/by-external-id/{id}", v1.delete_company),
    ]
)
_ACTS = {"unsubscribe": "UNSUBSCRIBED", "bounce": "BOUNCED", "complain": "COMPLAINED"}
_EXPORTS = "POST /v2/exports/contacts"

# Status to code, (v2, v1), of what befalls a request whatever its endpoint.
_CODES = {
    400: ("invalid_request", "VALIDATION_ERROR"),
    401: ("unauthorized", "UNAUTHORIZED"),
    404: ("not_found", "NOT_FOUND"),
    409: ("conflict", "DUPLICATE_ERROR"),
    429: ("rate_limit_exceeded", "RATE_LIMIT_EXCEEDED"),
}


class ConversionService:
    """Conversion v1 and v2 over one account. The server holds a lock around each call."""

    name = "conversion"
    prefix = "/conversion/api"
    operations = _ROUTES.operations

    def __init__(
        self, credentials: ConversionCredentials | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._credentials = credentials or ConversionCredentials()
        self._clock = clock
        self.store = Store(clock)
        self._asked: dict[str, deque[float]] = {}

    def load(self, world: Mapping[str, Any]) -> None:
        self.store.load(world)
        self._asked.clear()

    def dump(self) -> dict[str, Any]:
        return self.store.dump()

    def people(self) -> list[dict[str, Any]]:
        return [
            {
                "email": contact.email,
                "status": contact.subscription_status,
                "fields": dict(contact.fields),
                "company": dict(contact.company_fields),
            }
            for contact in self.store.contacts.values()
        ]

    @property
    def settings(self) -> Settings:
        """The world's switches; what is set here holds from the next request on."""
        return self.store.settings

    @property
    def stats(self) -> Tally:
        """Contacts created, updated, deleted; ``resubscribed``: opted-out ones that a request made mailable."""
        return self.store.tally

    def happens(self, what: str, email: str) -> None:
        """Let a contact ``unsubscribe``, ``bounce`` or ``complain``, which no request does.

        Raises ValueError for another act and KeyError for an unknown address.
        """
        if what not in _ACTS:
            raise ValueError(f"{what!r} is none of {', '.join(_ACTS)}")
        contact = self.store.by_email(email)
        if contact is None:
            raise KeyError("no contact has this address")
        self.store.set_status(contact, _ACTS[what])

    def handle(self, request: Request) -> Response:
        found = _ROUTES.find(request.method, request.path)
        if found is None or (found[0] == _EXPORTS and not self.store.settings.exports):
            note = f"no document has {request.method} on this path"
            return self._refusal(request, Refused(*self._error(request, 404), status=404, undocumented=note))
        operation, endpoint, parameters = found
        self.store.tally.operation = operation
        try:
            self._admit(request)
            self._refuse_query(request)
            answer = endpoint(self.store, request, **parameters)
        except Refused as refused:
            return self._refusal(request, refused, operation)
        return Response.json(200, answer.payload, operation=operation, undocumented=answer.undocumented)

    def failure(self, request: Request, status: int) -> Response:
        """An error of a given status in the dialect's own form, for a fault on demand."""
        return self._refusal(request, Refused(*self._error(request, status), status=status))

    def _admit(self, request: Request) -> None:
        if _is_v1(request):
            scheme, _, key = request.headers.get("authorization", "").partition(" ")
            key = key.strip() if scheme.lower() == "bearer" else ""
        else:
            key = request.headers.get("x-api-key", "")
        if key not in self._credentials.api_keys:
            raise Refused(*self._error(request, 401), status=401)
        limit = self.store.settings.rate_limit
        if limit is None:
            return
        now = self._clock()
        asked = self._asked.setdefault(key, deque())
        while asked and asked[0] <= now - limit.seconds:
            asked.popleft()
        if len(asked) >= limit.requests:
            raise Refused(*self._error(request, 429), status=429)
        asked.append(now)

    def _refuse_query(self, request: Request) -> None:
        if request.query:
            note = f"query keys: {', '.join(sorted(request.query))}"
            raise Refused(self._error(request, 400)[0], f"Unknown {note}", undocumented=note)

    def _error(self, request: Request, status: int) -> tuple[str, str]:
        """The code and message of a status, in the request's dialect."""
        codes = _CODES.get(status, ("internal_error", "INTERNAL_ERROR"))
        messages = {
            401: "Invalid or missing API key",
            404: "Requested resource not found",
            429: "Too many requests",
            400: "The request was malformed or contained invalid data.",
            409: "Resource already exists",
        }
        return codes[_is_v1(request)], messages.get(status, "An unexpected server error occurred.")

    def _refusal(self, request: Request, refused: Refused, operation: str | None = None) -> Response:
        payload: dict[str, Any] = {"error": refused.body()}
        if _is_v1(request):
            payload = {"success": False, **payload}
        return Response.json(refused.status, payload, operation=operation, undocumented=refused.undocumented)


def _is_v1(request: Request) -> bool:
    return request.path.startswith("/v1/")
