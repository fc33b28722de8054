"""How the tests ask a service directly, without a server."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs

from mktg_integration.sandbox.wire import Request, Response, Service

Ask = Callable[..., tuple[int, Any]]


class Asker:
    """Sends requests with a service's own credential, and keeps the last answer for those who look closer."""

    def __init__(self, service: Service, credential: Callable[[str], Mapping[str, str]]) -> None:
        self.service = service
        self._credential = credential
        self.last: Response = Response(0)

    def __call__(
        self, operation: str, body: Any = None, *, raw: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Ask ``"POST /v2/contacts"``; answers the status and the decoded body."""
        method, _, target = operation.partition(" ")
        path, _, query = target.partition("?")
        given = dict(self._credential(path))
        data = b""
        if raw is not None or body is not None:
            data = raw if raw is not None else json.dumps(body).encode()
            given["content-type"] = "application/json"
        given |= headers or {}
        self.last = self.service.handle(Request(method, path, parse_qs(query), given, data))
        return self.last.status, json.loads(self.last.body)
