"""Faults on demand: what goes wrong at the client, whether the work was done, and what the log says of it."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests

from mktg_integration.sandbox import FaultError, Sandbox

from .clients import Clients


def arrived(sandbox: Sandbox) -> list[str]:
    return [row["email"] for row in sandbox.people("conversion")]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_status_comes_in_the_services_own_form(sandbox: Sandbox, clients: Clients, status: int) -> None:
    sandbox.fail(status=status, retry_after=7)
    kit, v2, v1, loop = clients.kit(), clients.conversion(), clients.conversion_v1(), clients.convertloop()
    assert {answer.status_code for answer in (kit, v2, v1, loop)} == {status}
    assert {answer.headers["Retry-After"] for answer in (kit, v2, v1, loop)} == {"7"}
    assert isinstance(kit.json()["errors"], list)
    assert v2.json()["error"]["code"] == "internal_error"
    assert v1.json()["error"]["code"] == "INTERNAL_ERROR"
    assert v1.json()["success"] is False
    assert set(loop.json()) == {"error"}
    assert arrived(sandbox) == []


def test_a_rate_limit_in_the_services_own_form(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail(status=429)
    kit = clients.kit()
    assert (kit.status_code, kit.text.strip()) == (429, "Retry later")
    assert kit.headers["Content-Type"].startswith("text/plain")
    assert "Retry-After" not in kit.headers
    assert clients.conversion_v1().json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
    assert sandbox.stats()["kit"]["rate_limited"] == 1


@pytest.mark.parametrize(("effect", "content_type"), [("text", "text/plain"), ("html", "text/html")])
def test_bodies_that_are_not_json(sandbox: Sandbox, clients: Clients, effect: str, content_type: str) -> None:
    sandbox.fail("conversion", effect, status=502, body="<b>Bad Gateway</b>")
    answer = clients.conversion()
    assert (answer.status_code, answer.text) == (502, "<b>Bad Gateway</b>")
    assert answer.headers["Content-Type"].startswith(content_type)
    with pytest.raises(requests.JSONDecodeError):
        answer.json()


def test_malformed_json_comes_after_the_work(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", "malformed_json")
    answer = clients.conversion()
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "application/json"
    with pytest.raises(requests.JSONDecodeError):
        answer.json()
    assert arrived(sandbox) == ["jane@example.com"]


def test_a_truncated_body_comes_after_the_work(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", "truncate")
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        clients.conversion()
    assert arrived(sandbox) == ["jane@example.com"]


@pytest.mark.parametrize("after_work", [False, True])
def test_a_dropped_connection(sandbox: Sandbox, clients: Clients, after_work: bool) -> None:
    sandbox.fail("conversion", "drop", after_work=after_work, times=1)
    with pytest.raises(requests.ConnectionError):
        clients.conversion()
    assert arrived(sandbox) == (["jane@example.com"] if after_work else [])
    [entry] = sandbox.log
    assert entry.status is None
    assert entry.service_status == (200 if after_work else None)
    assert entry.operation == "POST /v2/contacts"
    assert entry.fault is not None
    assert sandbox.stats()["conversion"]["statuses"] == {"dropped": 1}
    assert clients.conversion().json()["data"]["contactCreated"] is not after_work


def test_an_error_after_the_work_was_done(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", status=500, after_work=True)
    assert clients.conversion().status_code == 500
    assert arrived(sandbox) == ["jane@example.com"]
    [entry] = sandbox.log
    assert (entry.status, entry.service_status) == (500, 200)


def test_a_service_that_is_down_for_a_time(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.down("conversion", seconds=0.6)
    with pytest.raises(requests.ConnectionError):
        clients.conversion()
    assert clients.convertloop().status_code == 200, "the others are up"
    time.sleep(0.65)
    assert clients.conversion().status_code == 200


def test_a_service_that_is_down_until_told_otherwise(sandbox: Sandbox, clients: Clients) -> None:
    rule = sandbox.down("conversion")
    with pytest.raises(requests.ConnectionError):
        clients.conversion()
    assert sandbox.faults.remove(rule)
    assert clients.conversion().status_code == 200


def test_slow_answers_do_not_hold_up_others(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", "slow", seconds=1, nth=1)
    sandbox.fail("conversion", "slow", seconds=1, nth=2, after_work=True)
    began = time.monotonic()
    slow = [threading.Thread(target=_sign_up, args=(sandbox, f"p{i}@example.com")) for i in range(2)]
    for thread in slow:
        thread.start()
    while sum(rule["struck"] for rule in sandbox.faults.list()) < 2:
        time.sleep(0.01)
    clients.conversion("fast@example.com")
    assert all(thread.is_alive() for thread in slow)
    for thread in slow:
        thread.join()
    assert time.monotonic() - began >= 1
    assert len(arrived(sandbox)) == 3


def _sign_up(sandbox: Sandbox, email: str) -> None:
    with requests.Session() as session:
        Clients(sandbox, session).conversion(email)


@pytest.mark.parametrize(("after_work", "done"), [(False, []), (True, ["jane@example.com"])])
def test_a_timeout_before_and_after_the_work(
    sandbox: Sandbox, clients: Clients, after_work: bool, done: list[str]
) -> None:
    sandbox.fail("conversion", "slow", seconds=0.6, after_work=after_work)
    with pytest.raises(requests.ReadTimeout):
        clients.conversion_v1(timeout=0.15)
    assert arrived(sandbox) == done


def test_a_random_delay_is_drawn_anew_for_each(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", "slow", up_to=0.05)
    for _ in range(10):
        clients.conversion()
    delays = [entry.seconds for entry in sandbox.log]
    assert max(delays) - min(delays) > 0.01
    assert min(delays) < 0.05


def test_a_latency_for_all() -> None:
    with Sandbox(latency=0.1) as sandbox, requests.Session() as session:
        began = time.monotonic()
        Clients(sandbox, session).conversion()
        assert time.monotonic() - began >= 0.1


def test_a_reset_drops_requests_that_wait(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", "slow", seconds=60)
    waiting = threading.Thread(target=_sign_up_in_vain, args=(sandbox,))
    waiting.start()
    while not sandbox.faults.list()[0]["struck"]:
        time.sleep(0.01)
    sandbox.reset()
    waiting.join(5)
    assert not waiting.is_alive()
    assert arrived(sandbox) == []
    assert len(sandbox.log) == 0


def _sign_up_in_vain(sandbox: Sandbox) -> None:
    with pytest.raises(requests.ConnectionError):
        _sign_up(sandbox, "jane@example.com")


# Which requests


def statuses(clients: Clients, count: int) -> list[int]:
    return [clients.conversion().status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [503, 503, 503, 503]),
        ({"nth": 2}, [200, 503, 200, 200]),
        ({"times": 2}, [503, 503, 200, 200]),
        ({"skip": 1, "times": 2}, [200, 503, 503, 200]),
        ({"skip": 3}, [200, 200, 200, 503]),
    ],
)
def test_which_of_the_matching_requests(
    sandbox: Sandbox, clients: Clients, rule: dict[str, int], expected: list[int]
) -> None:
    sandbox.fail("conversion", **rule)
    assert statuses(clients, 4) == expected


def test_a_share_is_drawn_with_a_seed(sandbox: Sandbox, clients: Clients) -> None:
    rule = sandbox.fail("conversion", share=0.3, seed=5)
    first = statuses(clients, 60)
    assert 8 <= first.count(503) <= 28
    sandbox.faults.remove(rule)
    sandbox.fail("conversion", share=0.3, seed=5)
    assert statuses(clients, 60) == first


@pytest.mark.parametrize(
    ("rule", "hit"),
    [
        ({"service": "conversion"}, {"v2", "v1"}),
        ({"operation": "POST /v2/contacts"}, {"v2"}),
        ({"operation": "GET /v2/contacts"}, set()),
        ({"operation": "POST /v1/contacts/{anything}"}, {"v1"}),
        ({"method": "post"}, {"v2", "v1", "loop"}),
        ({"method": "GET"}, set()),
        ({"path": "^/v1/"}, {"v1"}),
        ({"path": "contacts|people"}, {"v2", "v1", "loop"}),
        ({"path": "people", "service": "kit"}, set()),
    ],
)
def test_which_requests_match(sandbox: Sandbox, clients: Clients, rule: dict[str, Any], hit: set[str]) -> None:
    sandbox.faults.add(effect="status", **rule)
    answers = {"v2": clients.conversion(), "v1": clients.conversion_v1(), "loop": clients.convertloop()}
    assert {name for name, answer in answers.items() if answer.status_code == 503} == hit


def test_the_first_rule_to_strike_decides_and_delays_add_up(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion", "slow", seconds=0.05)
    sandbox.fail("conversion", status=500, times=1)
    sandbox.fail("conversion", status=502)
    sandbox.fail("conversion", "slow", seconds=0.05)
    assert statuses(clients, 2) == [500, 502]
    assert all(entry.seconds >= 0.1 for entry in sandbox.log)
    assert [(rule["hits"], rule["struck"]) for rule in sandbox.faults.list()] == [(2, 2), (2, 1), (1, 1), (2, 2)]


def test_clearing(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.fail("conversion")
    sandbox.faults.clear()
    assert statuses(clients, 1) == [200]
    assert not sandbox.faults.remove(1)


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        ({"effect": "explode"}, "effect"),
        ({"effect": "status", "status": 200}, "status"),
        ({"effect": "slow"}, "rule"),
        ({"effect": "status", "nth": 2, "times": 1}, "rule"),
        ({"effect": "status", "nth": 0}, "nth"),
        ({"effect": "status", "share": 2}, "share"),
        ({"effect": "status", "path": "("}, "path"),
        ({"effect": "status", "operation": "/v2/contacts"}, "operation"),
        ({"effect": "status", "when": "always"}, "when"),
        ({"effect": "status", "service": "mailchimp"}, "service"),
    ],
)
def test_a_rule_that_makes_no_sense_names_the_key(sandbox: Sandbox, rule: dict[str, Any], place: str) -> None:
    with pytest.raises(FaultError) as caught:
        sandbox.faults.add(**rule)
    assert str(caught.value).startswith(f"{place}:")
    assert sandbox.faults.list() == []
