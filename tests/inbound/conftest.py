"""A site with a connection to the sandbox's Kit, and deliveries as Kit makes them."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from django.test import Client
from django.urls import reverse

from mktg_integration import signals
from mktg_integration.connections import sync_declared
from mktg_integration.inbound.addresses import SIGNED, address_of, token_of
from mktg_integration.inbound.apply import Applied, apply_inbox
from mktg_integration.models import Connection, InboxRow, WebhookSubscription
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox

PUBLIC_URL = "http://testserver"
TASKS: list[tuple[str, tuple[int | str, ...]]] = []
WHSEC = "whsec_of_a_test"
API_KEY = {"X-Kit-Api-Key": credentials.KIT_API_KEY}


def note_task(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    """A task engine that runs nothing."""
    TASKS.append((path, ids))


@pytest.fixture
def tasks() -> list[tuple[str, tuple[int | str, ...]]]:
    TASKS.clear()
    return TASKS


@pytest.fixture
def kit(db: None, mktg_sandbox: Sandbox, marketing: Callable[..., None], tasks: Any) -> Sandbox:
    with mktg_sandbox.locked("kit") as service:
        service.settings.newer_endpoints = True  # type: ignore[attr-defined]
        service.settings.rate_limit = None  # type: ignore[attr-defined]
    given = {"PROVIDER": "kit", "BASE_URL": mktg_sandbox.kit_url, "ACCESS_TOKEN": credentials.KIT_ACCESS_TOKEN}
    marketing(
        CONNECTIONS={"kit": given},
        PUBLIC_URL=PUBLIC_URL,
        TASK_ENGINE=f"{__name__}.note_task",
        UNKNOWN_CONSENT="granted",
        WAKE_SECONDS=0.0,
        LINGER_SECONDS=0.0,
    )
    sync_declared()
    return mktg_sandbox


@pytest.fixture
def connection(kit: Sandbox) -> Connection:
    return Connection.objects.select_related("state").get(name="kit")


def subscriber(number: int = 1, state: str = "active", **more: Any) -> dict[str, Any]:
    """A subscriber as Kit shows one."""
    return {
        "id": number,
        "first_name": f"Name{number}",
        "email_address": f"person{number}@example.com",
        "state": state,
        "created_at": "2026-01-01T00:00:00Z",
        "fields": {},
        **more,
    }


def call(sandbox: Sandbox, method: str, path: str, body: Any = None) -> Any:
    """Ask the sandbox's Kit as its account's owner would."""
    answer = requests.request(method, f"{sandbox.kit_url}{path}", json=body, headers=API_KEY, timeout=10)
    assert answer.ok, answer.text
    return answer.json() if answer.content else None


def someone_at(sandbox: Sandbox, name: str = "ada", **more: Any) -> dict[str, Any]:
    """A subscriber that Kit has."""
    body = {"email_address": f"{name}@example.com", "first_name": name.title(), **more}
    made: dict[str, Any] = call(sandbox, "POST", "/v4/subscribers", body)["subscriber"]
    return made


def iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def batch(*events: tuple[str, dict[str, Any], float], delivery: str = "") -> bytes:
    """The body of a signed delivery: ``(type, data, time)`` each."""
    told = [{"id": str(uuid.uuid4()), "type": kind, "created": iso(at), "data": data} for kind, data, at in events]
    return json.dumps({"delivery_id": delivery or str(uuid.uuid4()), "events": told}).encode()


def signature(body: bytes, *secrets: str, at: float | None = None) -> str:
    moment = int(time.time() if at is None else at)
    marks = [hmac.new(one.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest() for one in secrets]
    return ",".join([f"t={moment}", *(f"v1={mark}" for mark in marks)])


@dataclass
class Mailbox:
    """Delivers to the site as Kit does, and applies what came."""

    connection: Connection
    client: Client = field(default_factory=Client)

    @property
    def token(self) -> str:
        return token_of(address_of(self.connection))

    def url(self, event: str, parameter: str = "") -> str:
        named = {"token": self.token, "event": event, **({"parameter": parameter} if parameter else {})}
        return reverse("mktg_integration:webhook", kwargs=named)

    def post(self, url: str, body: bytes, content_type: str = "application/json", **headers: str) -> Any:
        return self.client.generic("POST", url, body, content_type, headers=headers)

    def tell(self, event: str, body: Any, parameter: str = "") -> Any:
        """A delivery of the unsigned kind."""
        return self.post(self.url(event, parameter), json.dumps(body).encode())

    def call_back(self, body: Any) -> Any:
        url = reverse("mktg_integration:bulk-callback", kwargs={"token": self.token})
        return self.post(url, json.dumps(body).encode())

    def sign(self, *secrets: str) -> None:
        """There is a signed webhook with these secrets."""
        WebhookSubscription.objects.update_or_create(
            key=f"{self.connection.pk}:{SIGNED}",
            defaults={"connection": self.connection, "event": SIGNED, "secrets": {"secrets": list(secrets or [WHSEC])}},
        )

    def tell_signed(self, body: bytes, mark: str = "", delivery: str = "d") -> Any:
        headers = {"X-Kit-Signature": mark or signature(body, WHSEC), "X-Kit-Delivery": delivery}
        return self.post(self.url(SIGNED), body, **headers)

    def apply(self) -> Applied:
        return apply_inbox(self.connection, on_opt_out=lambda subjects: None)

    def rows(self, state: str) -> list[InboxRow]:
        return list(InboxRow.objects.filter(state=state))


@pytest.fixture
def mailbox(connection: Connection) -> Mailbox:
    box = Mailbox(connection)
    box.sign()
    return box


@pytest.fixture
def news() -> Iterator[list[tuple[str, str, str]]]:
    """The public signals: ``(name, address or tag, user)`` each."""
    heard: list[tuple[str, str, str]] = []
    receivers = []
    for name in ("contact_subscribed", "contact_unsubscribed", "contact_updated", "tag_added", "tag_removed"):

        def hear(*, contact: Any, user: Any, source: str, told: str = name, tag: Any = None, **_: Any) -> None:
            if source == "inbound":
                heard.append((told, tag.name if tag else contact.email, user.username if user else ""))

        signal = getattr(signals, name)
        signal.connect(hear)
        receivers.append((signal, hear))
    yield heard
    for signal, hear in receivers:
        signal.disconnect(hear)
