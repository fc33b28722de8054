"""Webhooks: their registration, and that what happens is told to those who asked, and to nobody else."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest

from mktg_integration.sandbox.kit import KitService
from mktg_integration.sandbox.kit.deliveries import is_loopback
from mktg_integration.sandbox.wire import Request

from .calling import ACCOUNT, OAUTH, Kit, people
from .receiving import Receiver

PURCHASE = {
    "email_address": "person1@example.com",
    "transaction_id": "t1",
    "currency": "USD",
    "products": [{"name": "Tip", "pid": "tip", "lid": "1", "quantity": 2, "unit_price": 2.5}],
}


def register(kit: Kit, receiver: Receiver, name: str, **parameters: Any) -> dict[str, Any]:
    body = {"target_url": receiver.url(f"/{name}"), "event": {"name": name, **parameters}}
    answer = kit.call("POST /v4/webhooks", body)
    assert answer.status == 201, answer.json
    webhook: dict[str, Any] = answer.json["webhook"]
    return webhook


@pytest.mark.parametrize(
    ("name", "given", "shown"),
    [
        ("subscriber.subscriber_activate", {}, {"name": "subscriber_activate", "initiator_value": None}),
        ("subscriber.form_subscribe", {"form_id": 8}, {"name": "form_subscribe", "form_id": 8}),
        ("subscriber.form_subscribe", {"form_id": "8"}, {"name": "form_subscribe", "form_id": 8}),
        ("subscriber.course_subscribe", {"course_id": 3}, {"name": "course_subscribe", "sequence_id": 3}),
        (
            "subscriber.link_click",
            {"initiator_value": "https://a.co/"},
            {"name": "link_click", "initiator_value": "https://a.co/"},
        ),
        ("subscriber.tag_add", {"tag_id": 30, "form_id": None}, {"name": "tag_add", "tag_id": 30}),
        ("purchase.purchase_create", {}, {"name": "purchase_create", "initiator_value": None}),
    ],
)
def test_a_webhook_answers_the_events_name_without_its_prefix(
    kit: Kit, receiver: Receiver, name: str, given: dict[str, Any], shown: dict[str, Any]
) -> None:
    webhook = register(kit, receiver, name, **given)
    assert webhook == {"id": 1, "account_id": 1, "event": shown, "target_url": receiver.url(f"/{name}")}
    assert kit.call("GET /v4/webhooks").json["webhooks"] == [webhook]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        ({"name": "tag_add", "tag_id": 1}, "Event name is invalid"),
        ({"name": "subscriber.tag_add"}, "Event tag_id can't be blank"),
        ({"name": "subscriber.tag_add", "tag_id": 1, "form_id": 2}, "Event form_id does not belong to"),
        ({"name": "subscriber.link_click", "initiator_value": ""}, "Event initiator_value can't be blank"),
        ({"name": "subscriber.tag_add", "tag_id": "one"}, "is not an integer"),
        ({}, "Name can't be blank"),
    ],
)
def test_events_are_checked(kit: Kit, event: dict[str, Any], error: str) -> None:
    answer = kit.call("POST /v4/webhooks", {"target_url": "https://example.com/", "event": event})
    assert answer.status == 422
    assert error in answer.errors[0]
    assert kit.call("POST /v4/webhooks", {"target_url": "here", "event": {"name": "x"}}).status == 422


def test_what_happens_is_told(kit: Kit, receiver: Receiver) -> None:
    kit.load(**{**ACCOUNT, "webhooks": []})
    for state in ("activate", "unsubscribe", "bounce", "complain"):
        register(kit, receiver, f"subscriber.subscriber_{state}")
    register(kit, receiver, "subscriber.tag_add", tag_id=2)
    register(kit, receiver, "subscriber.tag_remove", tag_id=1)
    register(kit, receiver, "subscriber.form_subscribe", form_id=1)
    register(kit, receiver, "subscriber.course_subscribe", course_id=1)
    register(kit, receiver, "subscriber.course_complete", course_id=1)
    register(kit, receiver, "subscriber.link_click", initiator_value="https://a.co/")
    register(kit, receiver, "subscriber.product_purchase", product_id=1)
    register(kit, receiver, "purchase.purchase_create")

    def told() -> list[str]:
        kit.service.deliver_pending()
        paths = [received.path.rpartition(".")[2] for received in receiver.received]
        receiver.received.clear()
        return paths

    kit.call("POST /v4/subscribers", {"email_address": "new@example.com"})
    assert told() == ["subscriber_activate"]
    kit.call("POST /v4/subscribers", {"email_address": "quiet@example.com", "state": "inactive"})
    assert told() == []
    kit.call("POST /v4/tags/2/subscribers/1")
    kit.call("POST /v4/tags/2/subscribers/1")
    kit.call("POST /v4/tags/1/subscribers/2")
    assert told() == ["tag_add"]
    kit.call("DELETE /v4/tags/1/subscribers/1")
    kit.call("DELETE /v4/tags/1/subscribers/1")
    assert told() == ["tag_remove"]
    kit.call("POST /v4/forms/1/subscribers/2")
    kit.call("POST /v4/sequences/1/subscribers/2")
    assert told() == ["form_subscribe", "course_subscribe"]
    kit.service.happens("complete", "person2@example.com", 1)
    kit.service.happens("complete", "person2@example.com", 9)
    kit.service.happens("click", "person2@example.com", "https://a.co/")
    assert told() == ["course_complete", "link_click"]
    assert kit.call("POST /v4/purchases", {"purchase": PURCHASE}).status == 201
    assert told() == ["purchase_create", "product_purchase"]
    kit.call("POST /v4/subscribers/1/unsubscribe")
    kit.call("POST /v4/subscribers/1/unsubscribe")
    assert told() == ["subscriber_unsubscribe"]
    kit.service.happens("bounce", "person2@example.com")
    kit.service.happens("complain", "new@example.com")
    assert told() == ["subscriber_bounce", "subscriber_complain"]


def test_the_body_is_the_subscriber_without_the_events_name(kit: Kit, receiver: Receiver) -> None:
    kit.load(subscribers=people("active"))
    register(kit, receiver, "subscriber.subscriber_unsubscribe")
    kit.service.happens("unsubscribe", "person1@example.com")
    kit.service.deliver_pending()
    (received,) = receiver.received
    assert received.headers["content-type"] == "application/json"
    assert json.loads(received.body) == {
        "subscriber": {
            "id": 1,
            "first_name": "Person 1",
            "email_address": "person1@example.com",
            "state": "cancelled",
            "created_at": "2023-01-01T12:00:00Z",
            "fields": {},
        }
    }


def test_bulk_work_done_later_is_told_too(kit: Kit, receiver: Receiver) -> None:
    register(kit, receiver, "subscriber.subscriber_activate")
    items = [{"first_name": None, "email_address": f"n{i}@example.com"} for i in range(101)]
    kit.call("POST /v4/bulk/subscribers", {"subscribers": items})
    kit.service.deliver_pending()
    assert len(receiver.received) == 101


def test_a_deleted_webhook_is_silent(kit: Kit, receiver: Receiver) -> None:
    register(kit, receiver, "subscriber.subscriber_activate")
    assert kit.call("DELETE /v4/webhooks/1").status == 204
    kit.call("POST /v4/subscribers", {"email_address": "new@example.com"})
    kit.service.deliver_pending()
    assert receiver.received == []


def test_a_failed_delivery_disturbs_nothing(kit: Kit, receiver: Receiver) -> None:
    register(kit, receiver, "subscriber.subscriber_activate")
    receiver.status = 500
    kit.call("POST /v4/subscribers", {"email_address": "new@example.com"})
    kit.service.deliver_pending()
    receiver.close()
    kit.call("POST /v4/subscribers", {"email_address": "other@example.com"})
    kit.service.deliver_pending()
    assert [result.status for result in kit.service.delivered] == [500, None]
    assert kit.service.stats.deliveries == {"webhook failed": 2}


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000/x", True),
        ("https://localhost/x", True),
        ("http://[::1]:8000/", True),
        ("http://127.0.0.1.example.com/", False),
        ("http://localhost.example.com/", False),
        ("http://user@192.0.2.1/?127.0.0.1", False),
        ("http://0.0.0.0/", False),
        ("file:///etc/hosts", False),
        ("http://[bad/", False),
    ],
)
def test_only_this_machine_is_called(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_deliveries_and_waiting_work_need_no_further_request(receiver: Receiver) -> None:
    before = set(threading.enumerate())
    service = KitService()
    service.settings.async_delay = 0.01
    body = {"tags": [{"name": f"T{i}"} for i in range(101)], "callback_url": receiver.url("/done")}
    answer = service.handle(Request("POST", "/v4/bulk/tags", {}, OAUTH, json.dumps(body).encode()))
    assert answer.status == 202
    deadline = time.monotonic() + 10
    while not receiver.received and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [received.path for received in receiver.received] == ["/done"]
    service.close()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "kit-sandbox-later"]
