"""Posting webhooks and callbacks: to this machine only, whatever address was given."""

from __future__ import annotations

import ipaddress
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPException
from typing import IO
from urllib.parse import urlsplit

TIMEOUT = 10.0
"""Seconds that a receiver has to answer."""


@dataclass(frozen=True)
class Delivery:
    """One POST; ``endpoint_id`` is that of a signed endpoint, whose deliveries are repeated."""

    kind: str
    """``callback``, ``webhook`` or ``webhook_endpoint``."""
    url: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)
    endpoint_id: int | None = None
    attempt: int = 0


@dataclass(frozen=True)
class Delivered:
    """How a delivery ended; without its address, which may hold a secret."""

    kind: str
    status: int | None
    """None: no answer came."""
    error: str | None = None

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects())


def deliver(delivery: Delivery) -> Delivered:
    """POST it; never raises."""
    if not is_loopback(delivery.url):
        return Delivered(delivery.kind, None, "refused: not a loopback address")
    request = urllib.request.Request(  # noqa: S310  (http or https, and loopback: checked above)
        delivery.url,
        data=delivery.body,
        headers={"Content-Type": "application/json", "User-Agent": "Kit", **delivery.headers},
        method="POST",
    )
    try:
        with _opener.open(request, timeout=TIMEOUT) as answer:
            return Delivered(delivery.kind, int(answer.status))
    except urllib.error.HTTPError as error:
        with error:
            return Delivered(delivery.kind, error.code)
    except (OSError, HTTPException, ValueError) as error:
        return Delivered(delivery.kind, None, type(error).__name__)


def is_loopback(url: str) -> bool:
    """Whether an http(s) URL leads to this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in {"http", "https"}:
        return False
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
