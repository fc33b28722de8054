"""ConvertLoop v1: ``POST /people`` and ``POST /event_logs``.

Implements the reference's REST API page. What it leaves open:

- The body of an answer: ``{}``, and ``{"error": "…"}`` for an error, neither of which a client should read.
- A body that is not JSON, a missing identity or ``name``, and a malformed address are 400 (invalid state, missing
  data); a wrong type, and a key beyond those listed for an event, are 422. 404 is for other paths.
- Segments are an array of names (as public clients send) or one name (as the document's type has it).
- An event's time is taken under each of the spellings ``occured_at``, ``ocurred_at`` (both the document's) and
  ``occurred_at`` (public clients'); the event remembers which. Times are ISO 8601 or seconds since the epoch.
- ``pid``, ``user_id`` and ``email`` are matched together: people who turn out to be one are merged, and the values of
  the request win. Only ``resubscribe: true`` brings back someone who unsubscribed.
- In ``person`` of an event everything is as in ``/people``, an identity included.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from ..credentials import ConvertLoopCredentials
from ..routing import Routes
from ..tally import Tally
from ..values import is_email, is_iso_time, json_object, place, undocumented_shapes
from ..wire import Request, Response
from .store import IDENTITIES, Identification, Store
from .world import Moment

TIME_KEYS = ("occured_at", "ocurred_at", "occurred_at")


class Refused(Exception):  # noqa: N818 (an answer of the service, not a failure of the sandbox)
    def __init__(self, status: int, message: str, undocumented: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.undocumented = undocumented


def _moment(value: Moment) -> Moment:
    if isinstance(value, str) and not is_iso_time(value):
        raise ValueError("must be an ISO 8601 date-time")
    return value


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Text = Annotated[str, Field(min_length=1)]
Time = Annotated[str | int | float, AfterValidator(_moment)]
Segments = Annotated[list[Text], BeforeValidator(_listed)]


class PersonBody(BaseModel):
    """The listed keys; any other is a custom attribute."""

    model_config = ConfigDict(extra="allow", strict=True)

    pid: Text = ""
    user_id: Text = ""
    email: Text = ""
    add_to_segments: Segments = []
    remove_from_segments: Segments = []
    first_seen_at: Time = ""
    last_seen_at: Time = ""
    resubscribe: bool = False


class EventBody(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    name: Text
    occured_at: Time = ""
    ocurred_at: Time = ""
    occurred_at: Time = ""
    person: dict[str, Any] = {}
    metadata: dict[str, Any] = {}


B = TypeVar("B", bound=BaseModel)


def _parse(model: type[B], value: Any, *where: str) -> B:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        message = "; ".join(f"{place((*where, *p['loc']))}: {p['msg']}" for p in problems)
        missing = all(problem["type"] == "missing" for problem in problems)
        raise Refused(400 if missing else 422, message, undocumented_shapes(problems)) from error


def _identification(value: Any, *where: str) -> Identification:
    body = _parse(PersonBody, value, *where)
    identity = {name: text for name in IDENTITIES if (text := getattr(body, name))}
    if not identity:
        raise Refused(400, "One of pid, user_id and email is required.")
    if body.email and not is_email(body.email):
        raise Refused(400, f"{place((*where, 'email'))}: not an email address")
    seen: dict[str, Moment] = {
        k: getattr(body, k) for k in ("first_seen_at", "last_seen_at") if k in body.model_fields_set
    }
    return Identification(
        identity=identity,
        add_to_segments=body.add_to_segments,
        remove_from_segments=body.remove_from_segments,
        seen=seen,
        resubscribe=body.resubscribe,
        attributes=dict(body.model_extra or {}),
    )


def identify(store: Store, value: dict[str, Any]) -> None:
    """``POST /people``."""
    store.identify(_identification(value))


def log_event(store: Store, value: dict[str, Any]) -> None:
    """``POST /event_logs``."""
    body = _parse(EventBody, value)
    times = [key for key in TIME_KEYS if key in body.model_fields_set]
    if len(times) > 1:
        raise Refused(422, f"{' and '.join(times)} are the same key", f"both {' and '.join(times)}")
    key = times[0] if times else None
    said = _identification(body.person, "person") if "person" in body.model_fields_set else None
    person = store.identify(said) if said else None
    store.log_event(body.name, person, key, getattr(body, key) if key else None, body.metadata)


_ROUTES: Routes[Callable[[Store, dict[str, Any]], None]] = Routes(
    [("POST /people", identify), ("POST /event_logs", log_event)]
)


class ConvertLoopService:
    """ConvertLoop over one account. The server holds a lock around each call."""

    name = "convertloop"
    prefix = "/convertloop/v1"
    operations = _ROUTES.operations

    def __init__(
        self, credentials: ConvertLoopCredentials | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._credentials = credentials or ConvertLoopCredentials()
        self.store = Store(clock)

    def load(self, world: Mapping[str, Any]) -> None:
        self.store.load(world)

    def dump(self) -> dict[str, Any]:
        return self.store.dump()

    def people(self) -> list[dict[str, Any]]:
        return [
            {
                "email": person.email,
                "user_id": person.user_id,
                "pid": person.pid,
                "subscribed": person.subscribed,
                "segments": list(person.segments),
                "attributes": dict(person.attributes),
            }
            for person in self.store.people.values()
        ]

    @property
    def stats(self) -> Tally:
        """People created, updated, merged; ``resubscribed``: unsubscribed ones that a request brought back."""
        return self.store.tally

    def happens(self, what: str, email: str) -> None:
        """Let a person ``unsubscribe``, which no request does.

        Raises ValueError for another act and KeyError for an unknown address.
        """
        if what != "unsubscribe":
            raise ValueError(f"{what!r} is not unsubscribe")
        person = self.store.find(email=email)
        if person is None:
            raise KeyError("no person has this address")
        person.subscribed = False

    def handle(self, request: Request) -> Response:
        found = _ROUTES.find(request.method, request.path)
        if found is None:
            note = f"no document has {request.method} on this path"
            return self._refusal(Refused(404, "Not Found", note))
        operation, endpoint, _ = found
        self.store.tally.operation = operation
        try:
            self._admit(request)
            endpoint(self.store, self._read(request))
        except Refused as refused:
            return self._refusal(refused, operation)
        return Response.json(200, {}, operation=operation)

    def failure(self, request: Request, status: int) -> Response:
        """An error of a given status in the service's own form, for a fault on demand."""
        return self._refusal(Refused(status, "Please try again later."))

    def _admit(self, request: Request) -> None:
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        try:
            pair = base64.b64decode(encoded.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            pair = ""
        app_id, _, api_key = pair.partition(":")
        expected = self._credentials.apps.get(app_id, "")
        right = bool(expected) and hmac.compare_digest(expected.encode(), api_key.encode())
        if scheme.lower() != "basic" or not right:
            raise Refused(401, "Missing or invalid authentication")

    def _read(self, request: Request) -> dict[str, Any]:
        if request.query:
            note = f"query keys: {', '.join(sorted(request.query))}"
            raise Refused(422, f"Unknown {note}", note)
        content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if content_type != "application/json":
            message = "The Content-Type header must be application/json."
            raise Refused(400, message, message)
        try:
            return json_object(request.body)
        except ValueError as error:
            raise Refused(400, str(error), str(error)) from error

    def _refusal(self, refused: Refused, operation: str | None = None) -> Response:
        return Response.json(
            refused.status,
            {"error": refused.message},
            operation=operation,
            undocumented=refused.undocumented,
        )
