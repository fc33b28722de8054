"""The sandbox itself: three services behind one loopback port."""

from __future__ import annotations

import time
from threading import Thread
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs

from . import control, pages
from .core import Core
from .transport import Incoming, Reply, Server
from .wire import Request, Response


class Sandbox(Core):
    """Kit, Conversion and ConvertLoop on one loopback port, for as long as the ``with`` block lasts::

        with Sandbox() as sandbox:
            site.settings["BASE_URL"] = sandbox.kit_url
            ...
            assert [row["email"] for row in sandbox.people("kit")] == ["jane@example.com"]
            assert not sandbox.undocumented()

    Args:
        port: 0 takes a free one, which is kept over ``stop`` and ``start``.
        world: what ``dump`` gave, or a part of it; also what ``reset`` returns to.
        host: a loopback address; any other raises ValueError.
        credentials: whom to let in; the published ones by default.
        keep_bodies: keep the requests' JSON bodies in the log.
        latency: seconds by which every answer is late.

    Raises WorldError for a world that cannot be loaded.
    """

    _server: Server | None = None
    _thread: Thread | None = None

    # Life

    def start(self) -> Self:
        """Serve in background threads; raises OSError when the port is taken."""
        if self._server is None:
            self._server = Server(self.host, self.port, self._answer)
            self.port = int(self._server.server_address[1])
            self._thread = Thread(target=self._server.serve_forever, args=(0.02,), name="mktg-sandbox", daemon=True)
            self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving and close all connections; what the services hold stays, and ``start`` serves it again."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            self._dispatcher.end_requests()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop for good: what the services still had to deliver is dropped."""
        self.stop()
        self.kit.close()

    # How it answers

    def _answer(self, incoming: Incoming) -> Reply:
        path, _, query = incoming.target.partition("?")
        parsed = parse_qs(query, keep_blank_values=True) if query else {}
        service = self._dispatcher.service_at(path)
        if service is not None:
            relative = path[len(service.prefix) :]
            request = Request(incoming.method, relative, parsed, incoming.headers, incoming.body)
            return self._dispatcher.serve(service, request, incoming.connection)
        request = Request(incoming.method, path, parsed, incoming.headers, incoming.body)
        if path.startswith(control.PREFIX):
            return Reply(control.answer(self, request))
        page = pages.answer(self, request)
        return Reply(page if page is not None else self._elsewhere(request, incoming.connection))

    def _elsewhere(self, request: Request, connection: int) -> Response:
        prefixes = ", ".join(service.prefix for service in self.services.values())
        self.log.add(
            time=time.time(),
            seconds=0.0,
            service="",
            method=request.method,
            operation=None,
            status=404,
            service_status=None,
            undocumented="a path outside the services' base URLs",
            fault=None,
            connection=connection,
        )
        return Response.json(404, {"error": f"Nothing is here; the services are under {prefixes}."})
