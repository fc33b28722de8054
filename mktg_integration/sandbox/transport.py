"""HTTP/1.1 over loopback: reads requests, writes answers, drops and cuts connections on demand.

It knows nothing of services; what to answer is decided by the one function that it is given.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from itertools import count
from socketserver import ThreadingTCPServer
from threading import Lock
from typing import Any, cast

from .wire import Response

MAX_BODY = 64 * 1024 * 1024
_REASONS = {status.value: status.phrase for status in HTTPStatus}
_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Incoming:
    """A request as it came in; header names in lower case, ``target`` still holds the query."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


@dataclass(frozen=True)
class Reply:
    """What goes back."""

    response: Response | None
    """None: the connection is closed without an answer."""
    cut: bool = False
    """Announce the whole body, send half of it, and close."""


class UnreadableError(Exception):
    """A request whose body cannot be read; its connection cannot be used any further."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Server(ThreadingTCPServer):
    """One thread a connection. Closing it closes the open connections too, so that nobody is still answered."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, host: str, port: int, answer: Callable[[Incoming], Reply]) -> None:
        if ":" in host:
            self.address_family = socket.AF_INET6
        self.answer = answer
        self.connection_numbers = count(1)
        self._open: set[socket.socket] = set()
        self._open_lock = Lock()
        self._closing = False
        super().__init__((host, port), Handler)

    def opened(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.add(connection)
            if self._closing:
                _hang_up(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._open_lock:
            self._open.discard(connection)

    def server_close(self) -> None:
        super().server_close()
        with self._open_lock:
            self._closing = True
            for connection in self._open:
                _hang_up(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that hangs up, by a timeout or a kill, is what the sandbox is there for.
        if not isinstance(sys.exception(), ConnectionError):
            _logger.exception("The sandbox failed to answer a request.")


def _hang_up(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):  # the other side may have been faster
        connection.shutdown(socket.SHUT_RDWR)


class Handler(BaseHTTPRequestHandler):
    """One connection; the request line and headers are read by the standard library."""

    protocol_version = "HTTP/1.1"
    server_version = "mktg-sandbox"
    sys_version = ""
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._server = cast(Server, self.server)
        self._number = next(self._server.connection_numbers)
        self._server.opened(self.connection)

    def finish(self) -> None:
        self._server.closed(self.connection)
        super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: request lines hold addresses of people, and the sandbox keeps a log of its own."""

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline:
            self.close_connection = True
            return
        if not self.parse_request():
            self.close_connection = True
            return
        try:
            incoming = self._incoming()
        except UnreadableError as error:
            self.close_connection = True
            body = f"{error}\n".encode()
            self._send(Response(error.status, body, "text/plain; charset=utf-8"), cut=False)
            return
        reply = self._server.answer(incoming)
        if reply.response is None:
            self._drop()
        else:
            self._send(reply.response, cut=reply.cut)

    def _incoming(self) -> Incoming:
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]}, {value}" if key in headers else value
        return Incoming(self.command, self.path, headers, self._body(headers), self._number)

    def _body(self, headers: dict[str, str]) -> bytes:
        if headers.get("transfer-encoding", "identity").lower() == "chunked":
            return self._chunked_body()
        length = headers.get("content-length", "0")
        if not length.isdecimal():
            raise UnreadableError(HTTPStatus.BAD_REQUEST)
        return self._read(int(length))

    def _chunked_body(self) -> bytes:
        body = b""
        while True:
            try:
                size = int(self.rfile.readline(1024).partition(b";")[0], 16)
            except ValueError as error:
                raise UnreadableError(HTTPStatus.BAD_REQUEST) from error
            if len(body) + size > MAX_BODY:
                raise UnreadableError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            body += self._read(size)
            # After a chunk comes an empty line; after the last one trailers may stand before it.
            while self.rfile.readline(65537).strip() and size == 0:
                pass
            if size == 0:
                return body

    def _read(self, size: int) -> bytes:
        if not 0 <= size <= MAX_BODY:
            raise UnreadableError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        data = self.rfile.read(size) if size else b""
        if len(data) < size:
            raise ConnectionResetError
        return data

    def _send(self, response: Response, *, cut: bool) -> None:
        status = int(response.status)
        lines = [
            f"HTTP/1.1 {status} {_REASONS.get(status, '')}",
            f"Server: {self.server_version}",
            f"Date: {self.date_time_string()}",
        ]
        bodyless = status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)
        if not bodyless:
            lines += [f"Content-Type: {response.content_type}", f"Content-Length: {len(response.body)}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if self.close_connection or cut:
            lines.append("Connection: close")
        body = b"" if bodyless or self.command == "HEAD" else response.body
        if cut:
            body = body[: len(body) // 2]
        # Head and body leave in one segment: two writes would cost a small request half its speed.
        self.wfile.write("\r\n".join([*lines, "\r\n"]).encode("latin-1", "replace") + body)
        if cut:
            self._drop()

    def _drop(self) -> None:
        self.close_connection = True
        _hang_up(self.connection)
