"""What the sandbox's server and its services say to each other: one request, one response, one service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Request:
    """One HTTP request, its path relative to the service's prefix (``/v4/tags`` for ``/kit/v4/tags``)."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True)
class Response:
    """One HTTP response, as bytes, so that plain text and broken JSON can be answered too."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    operation: str | None = None
    """The endpoint's template, ``"POST /v4/tags/{tag_id}/subscribers/{id}"``; None: not a documented path."""
    undocumented: str | None = None
    """What in the request the document does not have (a path, a key, a type); counted by the server."""

    @classmethod
    def json(cls, status: int, payload: Any, *, operation: str | None = None, **more: Any) -> Response:
        return cls(status, json.dumps(payload).encode(), operation=operation, **more)


class Service(Protocol):
    """One of the three services; the server calls it under one lock, so it needs none of its own."""

    name: str
    """``kit``, ``conversion`` or ``convertloop``; also its key in a world file."""
    prefix: str
    """Where it is served, without a trailing slash: ``/kit``."""

    def handle(self, request: Request) -> Response:
        """Answer one request as the service's document says."""

    def load(self, world: Mapping[str, Any]) -> None:
        """Replace all that it holds by what ``dump`` once gave."""

    def dump(self) -> dict[str, Any]:
        """All objects with their ids, as JSON-ready values."""

    def people(self) -> list[dict[str, Any]]:
        """Who is in it, one flat row a person (email first), for the HTML page and for tests."""
