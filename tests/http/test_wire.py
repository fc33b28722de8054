"""Deadlines, broken connections and kept-alive ones, against a real socket."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import NoAuth, Session
from tests.http.conftest import Wire

Serve = Callable[[Callable[[socket.socket], None]], Wire]


def answering(body: bytes = b"{}", status: str = "200 OK", headers: bytes = b"") -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n".encode()
        connection.sendall(head + headers + b"\r\n" + body)

    return script


def failure(url: str, **options: Any) -> tuple[ServiceError, float]:
    started = time.monotonic()
    with Session("kit", url, auth=NoAuth(), **options) as made, pytest.raises(ServiceError) as caught:
        made.request("GET", "/v4/{x}", path={"x": "ada"})
    return caught.value, time.monotonic() - started


def test_a_connection_is_used_again(serve: Serve) -> None:
    wire = serve(answering())
    with Session("kit", wire.url, auth=NoAuth()) as made:
        for _ in range(5):
            made.request("GET", "/v4/things")
    assert (len(wire.requests), wire.connections) == (5, 1)


def test_threads_share_a_session_and_no_connection(serve: Serve) -> None:
    together = threading.Barrier(4, timeout=5)

    def script(connection: socket.socket) -> None:
        together.wait()
        answering()(connection)

    wire = serve(script)
    with Session("kit", wire.url, auth=NoAuth()) as made, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: made.request("GET", "/v4/things").status, range(4)))
    assert answers == [200] * 4
    assert wire.connections == 4


def test_a_body_that_trickles_ends_at_the_deadline(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b" ")
            time.sleep(0.05)

    error, seconds = failure(serve(script).url, deadline=0.5)
    assert (error.action, error.code, error.answered) == (Action.RETRY, "deadline", False)
    assert seconds < 1.5


def test_headers_that_trickle_end_at_the_deadline(serve: Serve) -> None:
    def script(connection: socket.socket) -> None:
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"x" * 100:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)

    error, seconds = failure(serve(script).url, deadline=0.5)
    assert (error.code, error.answered) == ("deadline", False)
    assert seconds < 1.5


def test_silence_ends_at_the_deadline(serve: Serve) -> None:
    error, seconds = failure(serve(lambda connection: time.sleep(1)).url, deadline=0.3)
    assert (error.code, error.answered, error.status) == ("deadline", False, None)
    assert seconds < 1


def test_a_dropped_connection_may_have_been_processed(serve: Serve) -> None:
    error, _ = failure(serve(lambda connection: connection.shutdown(socket.SHUT_RDWR)).url)
    assert (error.action, error.code, error.answered) == (Action.RETRY, "connection_lost", False)


@pytest.mark.parametrize(
    "head",
    [b"Content-Length: 1000\r\n\r\n{}", b"Transfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n"],
    ids=["length", "chunked"],
)
def test_a_truncated_body_may_have_been_processed(serve: Serve, head: bytes) -> None:
    def script(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        connection.shutdown(socket.SHUT_RDWR)

    error, _ = failure(serve(script).url)
    assert (error.action, error.code, error.answered) == (Action.RETRY, "connection_lost", False)


def test_a_refused_connection_did_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error, _ = failure(f"http://127.0.0.1:{port}")
    assert (error.action, error.code, error.answered, error.status) == (Action.RETRY, "unreachable", True, None)


def test_an_unknown_host_did_nothing() -> None:
    error, _ = failure("http://nowhere.invalid")
    assert (error.code, error.answered) == ("unreachable", True)


def test_a_connection_not_made_in_time_did_nothing() -> None:
    # A full backlog: the kernel leaves further connections unanswered.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        error, seconds = failure(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_timeout=0.3)
        for one in waiting:
            one.close()
    assert (error.code, error.answered) == ("connect_timeout", True)
    assert seconds < 2


def test_a_redirect_is_not_followed(serve: Serve) -> None:
    wire = serve(answering(b"", "302 Found", b"Location: /elsewhere\r\n"))
    error, _ = failure(wire.url)
    assert (error.action, error.status) == (Action.FAIL, 302)
    assert len(wire.requests) == 1


def test_cookies_are_not_kept(serve: Serve) -> None:
    wire = serve(answering(headers=b"Set-Cookie: session=1; Path=/\r\n"))
    with Session("kit", wire.url, auth=NoAuth()) as made:
        made.request("GET", "/v4/things")
        made.request("GET", "/v4/things")
    assert b"cookie" not in b"".join(wire.requests).lower()


def test_the_transport_logs_no_address(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    wire = serve(answering())
    with caplog.at_level(logging.DEBUG), Session("kit", wire.url, auth=NoAuth()) as made:
        made.request("GET", "/v4/people", query={"email_address": "ada@example.com"})
    assert "ada" not in caplog.text


def test_a_proxy_of_the_environment_is_used_and_obeys_the_deadline(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(lambda connection: time.sleep(1))
    monkeypatch.setenv("http_proxy", proxy.url)
    error, seconds = failure("http://service.invalid", deadline=0.3)
    assert (error.code, error.answered) == ("deadline", False)
    assert proxy.requests[0].startswith(b"GET http://service.invalid/v4/ada ")
    assert seconds < 1


def test_a_dead_proxy_did_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    error, _ = failure("http://service.invalid")
    assert (error.code, error.answered) == ("proxy_unreachable", True)
