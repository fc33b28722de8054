"""From a path to the function that answers it; the function's signature says what it reads."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from ..routing import Routes
from ..wire import Request, Response
from .core import Kit
from .requests import Keys, NoKeys, read_body, read_query

Handler = TypeVar("Handler", bound=Callable[..., Response])

OAUTH_ONLY = ("/v4/bulk/", "/v4/purchases")
"""Beginnings of paths that an API key does not open ("API Key Authentication")."""


@dataclass(frozen=True)
class Route:
    """One documented endpoint."""

    operation: str
    handler: Callable[..., Response]
    query: type[Keys] | None
    body: type[Keys] | None
    form: bool
    public: bool
    newer: bool
    oauth_only: bool

    def answer(self, kit: Kit, request: Request, ids: dict[str, int]) -> Response:
        """Check the request's keys, then let the handler answer.

        Raises ``Refused``.
        """
        arguments: dict[str, Any] = dict(ids)
        query = read_query(request, self.query or NoKeys)
        body = read_body(request, self.body or NoKeys, form=self.form)
        if self.query:
            arguments["query"] = query
        if self.body:
            arguments["body"] = body
        return self.handler(kit, **arguments)


class Router:
    """Collects the endpoints."""

    def __init__(self) -> None:
        self._routes: list[Route] = []

    def __call__(
        self, operation: str, *, form: bool = False, public: bool = False, newer: bool = False
    ) -> Callable[[Handler], Handler]:
        """Register a handler for ``"POST /v4/tags/{tag_id}/subscribers/{id}"``.

        Its parameters after the first: the path's ids, and ``query`` and ``body``, whose annotations are the
        models they are read by. ``form``: form-encoded bodies too. ``public``: needs no credential.
        ``newer``: not in the document, served where the world's settings say so.
        """

        def register(handler: Handler) -> Handler:
            hints = get_type_hints(handler)
            route = Route(
                operation=operation,
                handler=handler,
                query=hints.get("query"),
                body=hints.get("body"),
                form=form,
                public=public,
                newer=newer,
                oauth_only=operation.partition(" ")[2].startswith(OAUTH_ONLY),
            )
            self._routes.append(route)
            return handler

        return register

    def table(self) -> Routes[Route]:
        """All that have been registered, to find a request's route in."""
        return Routes((route.operation, route) for route in self._routes)


routes = Router()
"""The one table that the files of this package, a resource each, fill when they are imported."""


def answer(status: int, payload: Any) -> Response:
    """A JSON answer."""
    return Response(status, json.dumps(payload).encode())


def no_content() -> Response:
    """204, without a body."""
    return Response(204)
