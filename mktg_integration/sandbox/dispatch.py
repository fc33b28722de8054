"""One request on its way through a service: what goes wrong with it, the work, the answer, the log entry."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event, Lock
from typing import Any, Protocol

from .faults import Fate, Faults, faulty_answer, malformed
from .requestlog import RequestLog
from .routing import operation_finder
from .transport import Reply
from .wire import Request, Response, Service

_logger = logging.getLogger(__name__)


class Counts(Protocol):
    def as_json(self) -> dict[str, Any]:
        """By kind (``created``, ``updated``, ``resubscribed``, …), then by operation."""


class CountingService(Service, Protocol):
    """What the sandbox's own services offer beyond ``wire.Service``."""

    @property
    def operations(self) -> Sequence[str]:
        """All endpoints' templates."""

    @property
    def stats(self) -> Counts:
        """What it did since the last load."""

    def happens(self, what: str, email: str) -> None:
        """Let a person do what no request does; raises ValueError for the act, KeyError for the address."""


class Dispatcher:
    """Serves requests from many threads; each service does one at a time, and no wait holds its lock."""

    def __init__(self, services: Iterable[CountingService], log: RequestLog, faults: Faults) -> None:
        self.services = {service.name: service for service in services}
        self.latency = 0.0
        """Seconds by which every answer is late."""
        self._log = log
        self._faults = faults
        self._locks = {name: Lock() for name in self.services}
        self._operation_of = {name: operation_finder(s.operations) for name, s in self.services.items()}
        self._ended = Event()

    @contextmanager
    def locked(self, name: str) -> Iterator[CountingService]:
        """A service that answers no request meanwhile."""
        with self._locks[name]:
            yield self.services[name]

    def end_requests(self) -> None:
        """Drop the requests that are waiting: they belong to a time that is over, and would work in the next."""
        ended, self._ended = self._ended, Event()
        ended.set()

    def service_at(self, path: str) -> CountingService | None:
        for service in self.services.values():
            # The prefix alone, with or without a slash, is left to the service's page.
            if path.startswith(service.prefix + "/") and len(path) > len(service.prefix) + 1:
                return service
        return None

    def serve(self, service: CountingService, request: Request, connection: int) -> Reply:
        """Answer a request, its path relative to the service's prefix, and enter it into the log."""
        ended = self._ended
        arrived, began = time.time(), time.perf_counter()
        fate = self._faults.decide(service.name, request)
        _wait(ended, fate.delay_before + self.latency)
        done: Response | None = None
        if fate.rule is None or fate.rule.after_work or fate.rule.garbles:
            done = self._handle(service, request, ended)
        _wait(ended, fate.delay_after)
        if ended.is_set():
            return Reply(None)
        reply = _reply(service, request, fate, done)
        operation = done.operation if done else self._operation_of[service.name](request.method, request.path)
        # Before the answer leaves: whoever has it finds its entry in the log.
        self._log.add(
            raw_body=request.body,
            time=arrived,
            seconds=time.perf_counter() - began,
            service=service.name,
            method=request.method,
            operation=operation,
            status=reply.response.status if reply.response else None,
            service_status=done.status if done else None,
            undocumented=done.undocumented if done else None,
            fault=fate.rule_id,
            connection=connection,
        )
        return reply

    def _handle(self, service: Service, request: Request, ended: Event) -> Response | None:
        with self._locks[service.name]:
            if ended.is_set():
                return None
            try:
                return service.handle(request)
            except Exception:
                _logger.exception("The sandbox's %s service failed.", service.name)
                failure = "failure of the sandbox itself"
                return Response(500, failure.encode(), "text/plain", undocumented=failure)


def _wait(ended: Event, seconds: float) -> None:
    if seconds > 0:
        ended.wait(seconds)


def _reply(service: Service, request: Request, fate: Fate, done: Response | None) -> Reply:
    rule = fate.rule
    if rule is None:
        return Reply(done)
    if rule.effect == "drop":
        return Reply(None)
    if rule.garbles and done is not None:
        cut = rule.effect == "truncate"
        return Reply(done if cut else malformed(done), cut=cut)
    return Reply(faulty_answer(rule, _own_form(service, request, rule.status)))


def _own_form(service: Service, request: Request, status: int) -> Response:
    """An error as the service would word it; a service without a form of its own gets Kit's."""
    failure = getattr(service, "failure", None)
    if failure is not None:
        own: Response = failure(request, status)
        return own
    if status == 429:
        return Response(status, b"Retry later", "text/plain")
    return Response.json(status, {"errors": ["Something went wrong"]})
