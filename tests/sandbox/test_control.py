"""The control endpoints, as another process uses them."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from mktg_integration.sandbox import Sandbox

from .clients import Clients


def test_health(sandbox: Sandbox, clients: Clients) -> None:
    answer = clients.control("GET", "health").json()
    assert answer["status"] == "ok"
    assert answer["services"]["conversion"] == sandbox.conversion_url


def test_the_log(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    clients.convertloop()
    entries = clients.control("GET", "log").json()["entries"]
    assert [entry["operation"] for entry in entries] == ["POST /v2/contacts", "POST /people"]
    assert "body" not in entries[0]
    after = clients.control("GET", "log", params={"after": entries[0]["number"]}).json()["entries"]
    assert after == entries[1:]
    of_one = clients.control("GET", "log", params={"service": "conversion", "bodies": 1}).json()["entries"]
    assert [entry["body"] for entry in of_one] == [{"email": "jane@example.com"}]


def test_statistics_and_people(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    stats = clients.control("GET", "stats").json()
    assert stats == sandbox.stats()
    assert stats["conversion"]["calls"] == 1
    people = clients.control("GET", "people").json()
    assert [row["email"] for row in people["conversion"]] == ["jane@example.com"]
    assert people["kit"] == []


def test_control_requests_are_not_counted(sandbox: Sandbox, clients: Clients) -> None:
    clients.control("GET", "health")
    clients.control("GET", "nothing")
    assert len(sandbox.log) == 0


def test_the_world(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    world = clients.control("GET", "world").json()
    assert world == sandbox.dump()
    assert clients.control("PUT", "world", json={"conversion": {}}).status_code == 200
    assert sandbox.people("conversion") == []
    assert clients.control("PUT", "world", json=world).status_code == 200
    assert sandbox.dump() == world
    refused = clients.control("PUT", "world", json={"conversion": {"contacts": [{}]}})
    assert (refused.status_code, refused.json()["error"]) == (400, "conversion.contacts[0].email: Field required")
    assert sandbox.dump() == world


def test_faults(sandbox: Sandbox, clients: Clients) -> None:
    rules = [{"service": "conversion", "effect": "status", "times": 1}, {"effect": "drop", "service": "kit"}]
    first, second = clients.control("POST", "faults", json=rules).json()["ids"]
    assert clients.conversion().status_code == 503
    listed = clients.control("GET", "faults").json()["faults"]
    assert listed == [
        {"id": first, "service": "conversion", "effect": "status", "times": 1, "hits": 1, "struck": 1},
        {"id": second, "service": "kit", "effect": "drop", "hits": 0, "struck": 0},
    ]
    assert clients.control("DELETE", "faults", params={"id": second}).status_code == 200
    assert clients.control("DELETE", "faults", params={"id": second}).status_code == 400
    assert clients.control("DELETE", "faults").status_code == 200
    assert sandbox.faults.list() == []
    [third] = clients.control("POST", "faults", json={"effect": "html", "status": 502}).json()["ids"]
    assert third > second


def test_a_list_with_a_bad_rule_adds_none(sandbox: Sandbox, clients: Clients) -> None:
    answer = clients.control("POST", "faults", json=[{"effect": "drop"}, {"effect": "boom"}])
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("effect:")
    assert sandbox.faults.list() == []


@pytest.mark.parametrize(
    ("service", "what", "column", "then"),
    [
        ("kit", "unsubscribe", "state", "cancelled"),
        ("conversion", "unsubscribe", "status", "UNSUBSCRIBED"),
        ("conversion", "bounce", "status", "BOUNCED"),
        ("conversion", "complain", "status", "COMPLAINED"),
        ("convertloop", "unsubscribe", "subscribed", False),
    ],
)
def test_people_act_without_us(
    sandbox: Sandbox, clients: Clients, service: str, what: str, column: str, then: Any
) -> None:
    getattr(clients, service)()
    act = {"service": service, "what": what, "email": "jane@example.com"}
    assert clients.control("POST", "happens", json=act).status_code == 200
    assert sandbox.people(service)[0][column] == then
    assert sandbox.resubscribed(service) == 0
    for wrong in ({"email": "nobody@example.com"}, {"what": "vanish"}, {"service": "mailchimp"}, {"what": 1}):
        assert clients.control("POST", "happens", json={**act, **wrong}).status_code == 400


def test_reset(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    sandbox.fail("kit")
    assert clients.control("POST", "reset").status_code == 200
    assert (sandbox.people("conversion"), sandbox.faults.list(), len(sandbox.log)) == ([], [], 0)


@pytest.mark.parametrize(
    ("method", "path", "more", "status"),
    [
        ("GET", "nothing", {}, 404),
        ("DELETE", "world", {}, 404),
        ("PUT", "world", {"data": b"{"}, 400),
        ("PUT", "world", {"json": []}, 400),
        ("POST", "faults", {"json": "drop"}, 400),
        ("GET", "log", {"params": {"after": "x"}}, 400),
        ("GET", "log", {"params": {"service": "mailchimp"}}, 400),
        ("DELETE", "faults", {"params": {"id": "all"}}, 400),
        ("POST", "reset", {"headers": {"Origin": "https://elsewhere.example"}}, 403),
    ],
)
def test_bad_requests_say_what_is_wrong(clients: Clients, method: str, path: str, more: Any, status: int) -> None:
    answer = clients.control(method, path, **more)
    assert answer.status_code == status
    assert answer.json()["error"]


def test_bodies_that_are_not_kept_cannot_be_read() -> None:
    with Sandbox() as sandbox, requests.Session() as session:
        answer = Clients(sandbox, session).control("GET", "log", params={"bodies": "1"})
        assert answer.status_code == 400
        assert "--keep-bodies" in answer.json()["error"]
