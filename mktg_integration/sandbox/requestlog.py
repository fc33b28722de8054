"""What was asked of the sandbox: numbered entries, and counts per service.

Entries name operations by their template and hold neither credentials nor, unless asked to, bodies.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

MAX_ENTRIES = 500_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One request and what became of it."""

    number: int
    """Counts up from 1 over the life of the sandbox, across resets."""
    time: float
    """When the request had been read, in seconds since the epoch."""
    seconds: float
    """From then until its answer was ready."""
    service: str
    """Empty for a path under none of the services."""
    method: str
    operation: str | None
    """The endpoint's template, ``POST /v2/contacts``; None: not a documented path."""
    status: int | None
    """What was answered; None: the connection was dropped instead."""
    service_status: int | None
    """What the service did, whether or not its answer was sent; None: a fault kept the request from it."""
    items: int | None
    """How many objects the body's batch held; None: it was none."""
    undocumented: str | None
    """What in the request the service's document does not have."""
    fault: int | None
    """The id of the fault rule that decided the answer."""
    connection: int
    body: Any = None
    """The JSON body, only in a sandbox that keeps bodies."""

    def as_dict(self, *, body: bool = False) -> dict[str, Any]:
        row = asdict(self)
        if not body:
            del row["body"]
        return row


class ServiceCounts:
    """Counts of one service since the last reset."""

    def __init__(self) -> None:
        self.operations: Counter[str] = Counter()
        self.items: Counter[str] = Counter()
        self.statuses: Counter[str] = Counter()
        self.undocumented: Counter[str] = Counter()
        self.faults = 0
        self.connections: set[int] = set()

    def add(self, entry: Entry) -> None:
        operation = entry.operation or "(undocumented)"
        self.operations[operation] += 1
        if entry.items is not None:
            self.items[operation] += entry.items
        self.statuses["dropped" if entry.status is None else str(entry.status)] += 1
        if entry.undocumented:
            self.undocumented[entry.undocumented] += 1
        self.faults += entry.fault is not None
        self.connections.add(entry.connection)

    def as_dict(self) -> dict[str, Any]:
        return {
            "calls": self.operations.total(),
            "operations": dict(self.operations),
            "items": dict(self.items),
            "statuses": dict(self.statuses),
            "rate_limited": self.statuses["429"],
            "undocumented": self.undocumented.total(),
            "undocumented_reasons": dict(self.undocumented),
            "faults": self.faults,
            "connections": len(self.connections),
        }


class RequestLog:
    """Safe to use from any thread. Iterating gives the entries from the oldest kept."""

    def __init__(self, services: tuple[str, ...], *, keep_bodies: bool = False) -> None:
        self.keep_bodies = keep_bodies
        self._services = services
        self._lock = Lock()
        self._number = 0
        self.clear()

    def clear(self) -> None:
        with self._lock:
            self._entries: deque[Entry] = deque(maxlen=MAX_ENTRIES)
            self._counts = {name: ServiceCounts() for name in (*self._services, "")}

    def add(self, *, raw_body: bytes = b"", **what: Any) -> Entry:
        """Number an entry and keep it; all its columns but number, items and body are given by name."""
        parsed = _json_or_none(raw_body) if self.keep_bodies or b"[" in raw_body else None
        items = _batch_size(parsed)
        with self._lock:
            self._number += 1
            body = parsed if self.keep_bodies else None
            entry = Entry(number=self._number, items=items, body=body, **what)
            self._entries.append(entry)
            self._counts[entry.service].add(entry)
        return entry

    def entries(self, service: str | None = None, *, after: int = 0) -> list[Entry]:
        """Those of one service, or of all, numbered above ``after``."""
        with self._lock:
            return [e for e in self._entries if e.number > after and service in (None, e.service)]

    def undocumented(self, service: str | None = None) -> list[Entry]:
        """Those in which something is not as documented."""
        return [entry for entry in self.entries(service) if entry.undocumented]

    def latest(self, count: int, service: str | None = None) -> list[Entry]:
        """The newest first."""
        with self._lock:
            newest: list[Entry] = []
            for entry in reversed(self._entries):
                if service in (None, entry.service):
                    newest.append(entry)
                if len(newest) == count:
                    break
            return newest

    def stats(self) -> dict[str, dict[str, Any]]:
        """By service; the key ``elsewhere`` for paths under none of them."""
        with self._lock:
            return {name or "elsewhere": counts.as_dict() for name, counts in self._counts.items()}

    def __iter__(self) -> Iterator[Entry]:
        return iter(self.entries())

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)


def _json_or_none(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _batch_size(body: Any) -> int | None:
    """The length of the first list of objects among the body's values, which is what every batch here is."""
    if isinstance(body, dict):
        for value in body.values():
            if isinstance(value, list) and value and isinstance(value[0], dict):
                return len(value)
    return None
