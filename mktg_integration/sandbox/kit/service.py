"""The Kit service of the sandbox: routing, access, errors, and what follows after an answer.

Implements the reference's Kit API v4 with its OAuth. What it leaves open, and what is done here:

- A date filter excludes its own day: ``created_after=2023-02-01`` begins with the 2nd, ``created_before`` ends with
  the day before.
- A page size beyond 1000, a cursor that no list gave, and ``after`` together with ``before`` are 422.
- A missing ``first_name`` is left alone, a null one is written. An address is matched whatever its case.
- A custom field is named by label or by key. Texts of errors that the document does not show are made up.
- Taking off a tag that a subscriber does not have is 204. Unsubscribing makes anybody ``cancelled``.
- A tag's name is taken whatever its case (``settings.duplicate_tag`` chooses between the document's 422 and 200).
- Requests that are refused with 429 use nothing up. Access tokens stay good when they are refreshed.
- 401 comes before any look at the rest of a request.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from ..credentials import KitCredentials
from ..wire import Request, Response

# Imported for their endpoints, each of which registers itself.
from . import (  # noqa: F401
    accounts,
    broadcasts,
    custom_fields,
    members,
    newer,
    purchases,
    subscribers,
    tags,
    webhook_endpoints,
    webhooks,
)
from .access import RateMeter, caller
from .acts import act
from .bulk import carry_out
from .core import Kit
from .deliveries import Delivered, Delivery, deliver
from .errors import BAD_TOKEN, NOT_FOUND, Refused, not_found
from .later import Later
from .oauth import OAuthRefused
from .objects import Settings
from .router import Route, routes
from .stats import Stats
from .world import World

WEBHOOK_RETRIES = (30.0, 300.0, 1_800.0, 7_200.0, 21_600.0, 86_400.0)
"""Seconds after which a signed delivery that was not accepted is repeated, attempt by attempt."""


class KitService:
    """Kit API v4 with one account (``wire.Service``).

    It works without the caller's lock too: its background thread writes to the same world.
    """

    name = "kit"
    prefix = "/kit"

    def __init__(self, credentials: KitCredentials | None = None, clock: Callable[[], float] = time.time) -> None:
        self.credentials = credentials or KitCredentials()
        self.delivered: deque[Delivered] = deque(maxlen=10_000)
        """How the last deliveries of webhooks and callbacks ended."""
        self._clock = clock
        self._lock = threading.RLock()
        self._routes = routes.table()
        self._later = Later(clock)
        self._meter = RateMeter(clock)
        self._kit = Kit(World(clock), clock, self.credentials.clients)

    # -- wire.Service

    def handle(self, request: Request) -> Response:
        """Answer one request; errors are answers too."""
        with self._lock:
            response = self._answer(request)
            self._follow_up()
        return response

    def load(self, world: Mapping[str, Any]) -> None:
        """Replace the account, and begin to count anew; raises ``WorldError`` that names what is wrong."""
        loaded = World.loaded(world, self._clock)
        with self._lock:
            self._later.clear()
            self.delivered.clear()
            self._meter = RateMeter(self._clock)
            self._kit = Kit(loaded, self._clock, self.credentials.clients)
            for job in loaded.jobs:
                self._schedule(job.id)

    def dump(self) -> dict[str, Any]:
        """The account with all its objects; counts and credentials are no part of it."""
        with self._lock:
            return self._kit.world.dumped()

    def people(self) -> list[dict[str, Any]]:
        """A row a subscriber: ``email``, ``first_name``, ``state``, ``tags`` (names) and ``fields`` (by key)."""
        with self._lock:
            world = self._kit.world
            tags: dict[int, list[str]] = {}
            for tag_id, subscriber_id, _ in world.taggings.rows():
                tag = world.tags.get(tag_id)
                if tag is not None:
                    tags.setdefault(subscriber_id, []).append(tag.name)
            return [
                {
                    "email": row.email_address,
                    "first_name": row.first_name,
                    "state": row.state,
                    "tags": sorted(tags.get(row.id, [])),
                    "fields": {key: value for key, value in sorted(row.fields.items()) if value is not None},
                }
                for row in world.subscribers
            ]

    # -- for tests

    @property
    def operations(self) -> tuple[str, ...]:
        """All endpoints, those newer than the document included."""
        return self._routes.operations

    @property
    def settings(self) -> Settings:
        """The world's switches; what is set here holds from the next request on."""
        return self._kit.world.settings

    @property
    def stats(self) -> Stats:
        """What was counted since the start or the last ``load``."""
        return self._kit.stats

    @property
    def rate_peak(self) -> int:
        """The most requests that any one credential made in any rolling window."""
        return max(self._kit.stats.rate_peak.values(), default=0)

    @property
    def rejected(self) -> int:
        """Requests refused with 429."""
        return self._kit.stats.rejected.total()

    def happens(self, what: str, email: str, parameter: int | str | None = None) -> None:
        """Let a subscriber act, as ``acts.act`` lists; raises KeyError for an unknown address."""
        with self._lock:
            row = self._kit.subscriber_by_email(email)
            if row is None:
                raise KeyError("no subscriber has this address")
            self._kit.operation = f"a person's {what}"
            act(self._kit, what, row, parameter)
            self._follow_up()

    def deliver_pending(self) -> None:
        """Do now all that was answered 202 and deliver all webhooks and callbacks; return when done.

        A signed delivery that failed waits until its next attempt is due.
        """
        self._later.run_pending()

    def close(self) -> None:
        """End the background thread; what still waits is dropped."""
        self._later.close()

    # -- answering

    def _answer(self, request: Request) -> Response:
        found = self._routes.find(request.method, request.path)
        if found is None or (found[1].newer and not self.settings.newer_endpoints):
            path = f"path {request.method} {request.path}"
            return Response.json(404, {"errors": [NOT_FOUND]}, undocumented=path)
        operation, route, parameters = found
        self._kit.operation = operation
        self._kit.events.clear()
        try:
            response = self._limited(route, request) or route.answer(self._kit, request, _ids(parameters))
        except OAuthRefused as refused:
            error = {"error": refused.code, "error_description": refused.errors[0]}
            response = Response.json(refused.status, error)
        except Refused as refused:
            body: dict[str, Any] = {"errors": refused.errors}
            status = refused.status
            if operation.startswith("POST /oauth/"):
                body = {"error": "invalid_request", "error_description": "; ".join(refused.errors)}
                status = 400
            response = Response.json(status, body, undocumented=refused.undocumented)
        return replace(response, operation=operation)

    def _limited(self, route: Route, request: Request) -> Response | None:
        """401 or 429 where the caller may not; None where it may."""
        if route.public:
            return None
        who = caller(request.headers, self.credentials, self._kit.world, self._clock())
        if who is None or (route.oauth_only and who.kind == "api_key"):
            self._kit.stats.unauthorized[route.operation] += 1
            raise Refused(401, BAD_TOKEN)
        if not self._meter.allows(who, self.settings.rate_limit, self._kit.stats):
            return Response(429, b"Retry later", "text/plain")
        return None

    # -- afterwards

    def _follow_up(self) -> None:
        """Schedule what the request queued and what webhooks have to be told."""
        events, jobs = list(self._kit.events), list(self._kit.new_jobs)
        self._kit.events.clear()
        self._kit.new_jobs.clear()
        for job_id in jobs:
            self._schedule(job_id)
        for delivery in webhooks.deliveries(self._kit, events):
            self._send(delivery)
        for delivery in webhook_endpoints.deliveries(self._kit, events):
            self._send(delivery)

    def _schedule(self, job_id: int) -> None:
        job = self._kit.world.jobs.get(job_id)
        if job is not None:
            kit = self._kit
            self._later.at(job.due, lambda: self._carry_out(kit, job_id))

    def _carry_out(self, kit: Kit, job_id: int) -> None:
        with self._lock:
            job = kit.world.jobs.get(job_id)
            if job is None or kit is not self._kit:
                return
            kit.operation = job.operation
            result = carry_out(kit, job.kind, job.items)
            kit.world.jobs.remove(job_id)
            self._follow_up()
            if job.callback_url is not None:
                self._send(Delivery("callback", job.callback_url, json.dumps(result).encode()))

    def _send(self, delivery: Delivery, *, after: float = 0.0) -> None:
        self._later.at(self._clock() + after, lambda: self._deliver(delivery), retry=after > 0)

    def _deliver(self, delivery: Delivery) -> None:
        outgoing: Delivery | None = delivery
        if delivery.endpoint_id is not None:
            with self._lock:
                outgoing = webhook_endpoints.signed(self._kit, delivery)
        if outgoing is None:
            return
        result = deliver(outgoing)
        with self._lock:
            self.delivered.append(result)
            self._kit.stats.deliveries[f"{result.kind} {'accepted' if result.accepted else 'failed'}"] += 1
        if delivery.endpoint_id is None or result.accepted:
            return
        if result.status == 410:
            with self._lock:
                webhook_endpoints.disable(self._kit, delivery.endpoint_id)
        elif delivery.attempt < len(WEBHOOK_RETRIES):
            self._send(replace(delivery, attempt=delivery.attempt + 1), after=WEBHOOK_RETRIES[delivery.attempt])


def _ids(parameters: Mapping[str, str]) -> dict[str, int]:
    """The path's ids; raises ``Refused`` (404) for one that is no number."""
    ids: dict[str, int] = {}
    for name, text in parameters.items():
        if not (text.isascii() and text.isdigit() and len(text) < 19):
            refusal = not_found()
            refusal.undocumented = f"path type of {name}"
            raise refusal
        ids[name] = int(text)
    return ids
