"""A small real server: what a mocked transport cannot show (slow bodies, dropped connections, kept-alive ones)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

Script = Callable[[socket.socket], None]


@dataclass
class Wire:
    """Accepts connections and lets ``script`` talk on each, after it has read the head of a request."""

    url: str
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


@pytest.fixture
def serve() -> Iterator[Callable[[Script], Wire]]:
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []
    stopping = threading.Event()

    def start(script: Script) -> Wire:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}")

        def talk(connection: socket.socket) -> None:
            with connection:
                connection.settimeout(5)
                try:
                    while head := read_request(connection):
                        wire.requests.append(head)
                        script(connection)
                except OSError:
                    return

        def accept() -> None:
            while not stopping.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                wire.connections += 1
                thread = threading.Thread(target=talk, args=(connection,))
                threads.append(thread)
                thread.start()

        thread = threading.Thread(target=accept)
        threads.append(thread)
        thread.start()
        return wire

    yield start
    stopping.set()
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(6)


def read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        part = connection.recv(65536)
        if not part:
            return b""
        received += part
    return received
