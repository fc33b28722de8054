"""A total deadline for a request, over headers and body: the timeouts of sockets hold for one read only.

A server that sends a byte now and then keeps every single read in time, and a worker for ever. So each read of an
answer gets what is left of the request's time as its timeout.
"""

from __future__ import annotations

import io
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from socket import socket
from typing import TYPE_CHECKING, Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_running = threading.local()


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Every read by this thread from a connection of ``DeadlineAdapter`` ends ``seconds`` from now."""
    _running.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        _running.ends = None


def time_left() -> float | None:
    """Seconds left of the limit that holds in this thread; None where none holds."""
    ends: float | None = getattr(_running, "ends", None)
    return None if ends is None else ends - time.monotonic()


class _LimitedReads(io.RawIOBase):
    def __init__(self, sock: socket) -> None:
        self._sock = sock
        self._raw = sock.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int | None:
        left = time_left()
        if left is not None:
            if left <= 0:
                raise TimeoutError("timed out")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        if not self.closed:
            self._raw.close()
        super().close()


class _LimitedResponse(HTTPResponse):
    def __init__(self, sock: socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_LimitedReads(sock))


class _Connection(HTTPConnection):
    response_class = _LimitedResponse


class _SecureConnection(HTTPSConnection):
    response_class = _LimitedResponse


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(HTTPAdapter):
    """The transport of ``requests`` whose reads obey ``time_limit``, directly and through a proxy."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class _NotOurRequests(logging.Filter):
    """urllib3 logs filled-in addresses at DEBUG; ours may hold a person's email, so they are not logged there."""

    def filter(self, record: logging.LogRecord) -> bool:
        return time_left() is None


for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_NotOurRequests())
