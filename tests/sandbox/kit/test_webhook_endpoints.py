"""Webhooks of the newer kind: signed, batched, repeated."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

from .calling import Kit
from .receiving import Received, Receiver


def endpoint(kit: Kit, receiver: Receiver, *events: str) -> dict[str, Any]:
    kit.settings.newer_endpoints = True
    answer = kit.call("POST /v4/webhook_endpoints", {"url": receiver.url("/signed"), "events": list(events)})
    assert answer.status == 201, answer.json
    row: dict[str, Any] = answer.json["webhook_endpoint"]
    return row


def signatures(received: Received, secret: str) -> tuple[str, list[str]]:
    """The signature that a secret gives, and those of the header."""
    parts = [part.split("=", 1) for part in received.headers["x-kit-signature"].split(",")]
    at = next(value for name, value in parts if name == "t")
    mark = hmac.new(secret.encode(), f"{at}.".encode() + received.body, hashlib.sha256).hexdigest()
    return mark, [value for name, value in parts if name == "v1"]


def test_signed_deliveries(kit: Kit, receiver: Receiver) -> None:
    created = endpoint(kit, receiver, "subscriber.created", "subscriber.unsubscribed")
    items = [{"first_name": None, "email_address": f"n{i}@example.com"} for i in range(150)]
    kit.call("POST /v4/bulk/subscribers", {"subscribers": items})
    kit.service.deliver_pending()
    bodies = [json.loads(received.body) for received in receiver.received]
    assert [len(body["events"]) for body in bodies] == [100, 50]
    assert {event["type"] for body in bodies for event in body["events"]} == {"subscriber.created"}
    event = bodies[0]["events"][0]
    assert set(event) == {"id", "type", "created", "data"}
    assert set(event["data"]) == {"subscriber"}
    for received, body in zip(receiver.received, bodies, strict=True):
        assert received.headers["x-kit-delivery"] == body["delivery_id"]
        mark, given = signatures(received, created["secret"])
        assert given == [mark]
    assert "secret" not in kit.call("GET /v4/webhook_endpoints/1").json["webhook_endpoint"]


def test_a_rotated_secret_signs_beside_the_new_one_for_a_while(kit: Kit, receiver: Receiver) -> None:
    old = endpoint(kit, receiver, "subscriber.created")["secret"]
    new = kit.call("POST /v4/webhook_endpoints/1/rotate_secret").json["webhook_endpoint"]["secret"]
    kit.call("POST /v4/subscribers", {"email_address": "a@example.com"})
    kit.clock.move(86_401)
    kit.call("POST /v4/subscribers", {"email_address": "b@example.com"})
    kit.service.deliver_pending()
    first, second = receiver.received
    assert {signatures(first, new)[0], signatures(first, old)[0]} >= set(signatures(first, new)[1])
    assert signatures(second, new)[1] == [signatures(second, new)[0]]


def test_a_signed_delivery_is_repeated_until_accepted(kit: Kit, receiver: Receiver) -> None:
    endpoint(kit, receiver, "subscriber.created")
    receiver.status = 503
    kit.call("POST /v4/subscribers", {"email_address": "a@example.com"})
    kit.service.deliver_pending()
    assert len(receiver.received) == 1
    receiver.status = 200
    kit.clock.move(29)
    kit.service.deliver_pending()
    assert len(receiver.received) == 1
    kit.clock.move(1)
    kit.service.deliver_pending()
    assert len(receiver.received) == 2
    assert receiver.received[0].headers["x-kit-delivery"] == receiver.received[1].headers["x-kit-delivery"]
    kit.service.deliver_pending()
    assert len(receiver.received) == 2


def test_410_ends_an_endpoint(kit: Kit, receiver: Receiver) -> None:
    endpoint(kit, receiver, "subscriber.created")
    receiver.status = 410
    for name in ("a", "b"):
        kit.call("POST /v4/subscribers", {"email_address": f"{name}@example.com"})
        kit.service.deliver_pending()
    assert len(receiver.received) == 1
    assert kit.ids("GET /v4/webhook_endpoints?status=disabled") == [1]
