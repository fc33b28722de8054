"""The server: what it serves where, what it remembers, and how it starts and stops."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from typing import Any

import pytest
import requests

from mktg_integration.sandbox import Sandbox, WorldError
from mktg_integration.sandbox.credentials import CONVERSION_API_KEY, Credentials

from .clients import Clients


def emails(sandbox: Sandbox, service: str) -> list[str]:
    return [row["email"] for row in sandbox.people(service)]


def test_each_service_is_at_its_url(sandbox: Sandbox, clients: Clients) -> None:
    assert clients.kit().status_code == 201
    assert clients.conversion().json()["data"]["contactCreated"] is True
    assert clients.convertloop().json() == {}
    for service in ("kit", "conversion", "convertloop"):
        assert emails(sandbox, service) == ["jane@example.com"]
    assert sandbox.undocumented() == []


def test_the_log_names_operations_and_counts_items(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    clients.conversion_v1()
    first, second = sandbox.log.entries("conversion")
    assert (first.method, first.operation, first.status, first.items) == ("POST", "POST /v2/contacts", 200, None)
    assert (second.operation, second.items) == ("POST /v1/contacts/batch", 1)
    assert second.number == first.number + 1
    assert first.connection == second.connection, "kept alive"
    assert first.time <= second.time <= time.time()
    assert sandbox.log.entries(after=first.number) == [second]


def test_bodies_are_kept_only_on_request(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    assert sandbox.log.entries()[0].body == {"email": "jane@example.com"}
    with Sandbox() as forgetful, requests.Session() as session:
        Clients(forgetful, session).conversion()
        [entry] = forgetful.log.entries()
        assert entry.body is None
        assert "jane" not in str(entry.as_dict())


def test_numbers_go_on_after_a_reset(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion()
    [before] = sandbox.log
    sandbox.reset()
    assert len(sandbox.log) == 0
    assert emails(sandbox, "conversion") == []
    clients.conversion()
    [after] = sandbox.log
    assert after.number == before.number + 1


def test_what_is_undocumented_is_counted_by_reason(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion(tags=["a"])
    clients.conversion(tags=["b"])
    assert clients.session.get(f"{sandbox.conversion_url}/v3/x", timeout=5).status_code == 404
    assert len(sandbox.undocumented()) == len(sandbox.undocumented("conversion")) == 3
    assert sandbox.undocumented("kit") == []
    counts = sandbox.stats()["conversion"]
    assert counts["undocumented"] == 3
    assert sorted(counts["undocumented_reasons"].values()) == [1, 2]
    assert counts["operations"] == {"POST /v2/contacts": 2, "(undocumented)": 1}


def test_a_path_outside_the_services_is_counted_too(sandbox: Sandbox, clients: Clients) -> None:
    answer = clients.session.post(f"{sandbox.url}/v4/subscribers", json={}, timeout=5)
    assert answer.status_code == 404
    assert "/kit" in answer.json()["error"]
    assert len(sandbox.undocumented()) == 1
    assert sandbox.stats()["elsewhere"]["calls"] == 1


def test_statistics(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion_v1()
    clients.conversion()
    clients.conversion("malformed")
    requests.post(f"{sandbox.conversion_url}/v2/contacts", timeout=5)
    counts = sandbox.stats()["conversion"]
    assert counts["calls"] == 4
    assert counts["items"] == {"POST /v1/contacts/batch": 1}
    assert counts["statuses"] == {"200": 2, "400": 1, "401": 1}
    assert counts["rate_limited"] == 0
    assert counts["connections"] == 2
    assert counts["service"]["created"] == {"POST /v1/contacts/batch": 1}
    assert sandbox.stats()["kit"]["calls"] == 0


def test_resubscribing_someone_is_told(sandbox: Sandbox, clients: Clients) -> None:
    contact = {"email": "jane@example.com", "subscription_status": "UNSUBSCRIBED"}
    sandbox.load({"conversion": {"contacts": [contact]}})
    clients.conversion()
    assert sandbox.resubscribed("conversion") == 0
    clients.conversion(subscriptionStatus="SUBSCRIBED")
    assert sandbox.resubscribed("conversion") == 1


def test_many_connections_at_once_lose_nothing(sandbox: Sandbox) -> None:
    def sign_up(worker: int) -> None:
        with requests.Session() as session:
            own = Clients(sandbox, session)
            for i in range(10):
                own.conversion(f"p{worker}-{i}@example.com")

    threads = [threading.Thread(target=sign_up, args=(worker,)) for worker in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(emails(sandbox, "conversion"))) == 160
    assert sandbox.stats()["conversion"]["calls"] == 160
    numbers = [entry.number for entry in sandbox.log]
    assert numbers == list(range(numbers[0], numbers[0] + 160))


def test_a_failure_of_the_sandbox_is_no_answer_of_the_service(
    sandbox: Sandbox, clients: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sandbox.conversion.store, "by_email", None)
    answer = clients.conversion()
    assert answer.status_code == 500
    assert answer.text == "failure of the sandbox itself"
    assert len(sandbox.undocumented()) == 1
    monkeypatch.undo()
    assert clients.conversion().status_code == 200


# The world


def test_a_dump_round_trips_exactly_through_json(sandbox: Sandbox, clients: Clients) -> None:
    clients.kit()
    clients.conversion(fields={"first_name": "Zoë"})
    clients.convertloop()
    dump = json.loads(json.dumps(sandbox.dump()))
    assert Sandbox(world=dump).dump() == dump
    assert dump["conversion"]["contacts"][0]["fields"] == {"first_name": "Zoë"}


def test_reset_returns_to_the_first_world() -> None:
    world = {"convertloop": {"people": [{"id": 7, "email": "jane@example.com"}]}}
    with Sandbox(world=world) as sandbox, requests.Session() as session:
        Clients(sandbox, session).convertloop("john@example.com")
        sandbox.fail("kit")
        assert emails(sandbox, "convertloop") == ["jane@example.com", "john@example.com"]
        sandbox.reset()
        assert emails(sandbox, "convertloop") == ["jane@example.com"]
        assert sandbox.faults.list() == []


def test_what_a_dump_holds_is_not_what_the_service_holds(sandbox: Sandbox, clients: Clients) -> None:
    clients.conversion(fields={"first_name": "Jane"})
    dump = sandbox.dump()
    sandbox.load(dump)
    clients.conversion(fields={"first_name": "Janet"})
    assert dump["conversion"]["contacts"][0]["fields"] == {"first_name": "Jane"}


@pytest.mark.parametrize(
    ("world", "place"),
    [
        ({"mailchimp": {}}, "mailchimp:"),
        ({"conversion": []}, "conversion:"),
        ({"conversion": {"contacts": [{"email": "x"}]}}, "conversion.contacts[0].email:"),
        ({"convertloop": {"people": {}}}, "convertloop.people:"),
        ({"kit": {"no_such_key": 1}}, "kit"),
        ({"credentials": {"conversion": {"api_keys": "x"}}}, "credentials.conversion.api_keys:"),
        ({"credentials": {"conversion": {"keys": []}}}, "credentials.conversion.keys:"),
    ],
)
def test_a_malformed_world_is_refused_whole(sandbox: Sandbox, clients: Clients, world: Any, place: str) -> None:
    clients.conversion()
    before = sandbox.dump()
    with pytest.raises(WorldError) as caught:
        sandbox.load({"conversion": {}, **world})
    assert str(caught.value).startswith(place)
    assert sandbox.dump() == before


def test_a_world_can_say_whom_to_let_in(sandbox: Sandbox, clients: Clients) -> None:
    sandbox.load({"credentials": {"conversion": {"api_keys": ["other"]}}})
    assert clients.conversion().status_code == 401
    assert clients.convertloop().status_code == 200
    assert sandbox.dump()["credentials"] == {"conversion": {"api_keys": ["other"]}}
    sandbox.load({"credentials": {"conversion": {"api_keys": ["other", CONVERSION_API_KEY]}}})
    assert clients.conversion().status_code == 200
    sandbox.reset()
    assert "credentials" not in sandbox.dump()


def test_credentials_of_the_environment_are_let_in_and_never_dumped() -> None:
    credentials = Credentials()
    environment = {
        "KIT_API_KEY": "real-1",
        "CONVERSION_API_KEY": "real-2",
        "CONVERTLOOP_APP_ID": "real-3",
        "CONVERTLOOP_API_KEY": "real-4",
        "KIT_CLIENT_ID": "without a secret",
    }
    used = credentials.add_from_environment(environment)
    assert used == ["KIT_API_KEY", "CONVERSION_API_KEY", "CONVERTLOOP_APP_ID", "CONVERTLOOP_API_KEY"]
    sandbox = Sandbox(credentials=credentials, world={"credentials": {"conversion": {"api_keys": ["world"]}}})
    assert sandbox.credentials.kit.api_keys == {"kit_sandbox_key", "real-1"}
    assert sandbox.credentials.conversion.api_keys == {"world", "real-2"}
    assert sandbox.credentials.convertloop.apps == {"sandbox_app": "sandbox_key", "real-3": "real-4"}
    assert sandbox.credentials.kit.clients == {"kit_sandbox_client": "kit_sandbox_secret"}
    assert "real-" not in json.dumps(sandbox.dump())


# Life


def test_only_loopback_is_served() -> None:
    with pytest.raises(ValueError, match="loopback"):
        Sandbox(host="0.0.0.0")  # noqa: S104


def test_stopping_closes_open_connections_and_starting_serves_the_same_world() -> None:
    sandbox = Sandbox().start()
    with requests.Session() as session:
        clients = Clients(sandbox, session)
        clients.conversion()
        url = sandbox.url
        sandbox.stop()
        with pytest.raises(requests.ConnectionError):
            clients.conversion("john@example.com")
        sandbox.start()
        assert sandbox.url == url
        assert clients.conversion().json()["data"]["contactCreated"] is False
    sandbox.close()


def test_a_port_that_is_taken_is_an_error(sandbox: Sandbox) -> None:
    with pytest.raises(OSError, match="in use"):
        Sandbox(port=sandbox.port).start()


def test_stopping_does_not_wait_for_slow_answers(sandbox: Sandbox) -> None:
    slow = Sandbox(latency=60).start()
    caller = threading.Thread(target=_ignore_failure, args=(slow,))
    caller.start()
    time.sleep(0.1)
    began = time.monotonic()
    slow.close()
    caller.join(5)
    assert not caller.is_alive()
    assert time.monotonic() - began < 5


def _ignore_failure(sandbox: Sandbox) -> None:
    with requests.Session() as session, pytest.raises(requests.ConnectionError):
        Clients(sandbox, session).conversion()


# HTTP


def raw_exchange(sandbox: Sandbox, sent: bytes) -> bytes:
    with socket.create_connection((sandbox.host, sandbox.port), timeout=5) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = b""
        while part := connection.recv(65536):
            received += part
        return received


def test_a_chunked_body(sandbox: Sandbox) -> None:
    connection = http.client.HTTPConnection(sandbox.host, sandbox.port, timeout=5)
    headers = {"X-API-Key": CONVERSION_API_KEY, "Content-Type": "application/json"}
    for _ in range(2):
        parts = iter([b'{"email": ', b'"jane@example.com"}'])
        connection.request("POST", "/conversion/api/v2/contacts", parts, headers, encode_chunked=True)
        answer = connection.getresponse()
        assert answer.status == 200
        answer.read()
    connection.close()
    assert emails(sandbox, "conversion") == ["jane@example.com"]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: many", b"400"),
        (b"Content-Length: 99999999999", b"413"),
        (b"Transfer-Encoding: chunked\r\n\r\nzz", b"400"),
    ],
)
def test_a_body_that_cannot_be_read_ends_the_connection(sandbox: Sandbox, head: bytes, status: bytes) -> None:
    received = raw_exchange(sandbox, b"POST /convertloop/v1/people HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 " + status)
    assert b"Connection: close" in received


def test_a_client_that_hangs_up_in_its_body_disturbs_nobody(sandbox: Sandbox, clients: Clients) -> None:
    raw_exchange(sandbox, b"POST /convertloop/v1/people HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{")
    assert len(sandbox.log) == 0
    assert clients.conversion().status_code == 200


def test_requests_sent_in_one_piece_are_answered_in_turn(sandbox: Sandbox) -> None:
    one = b"GET /conversion/api/v2/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    assert raw_exchange(sandbox, one * 3).count(b"HTTP/1.1 404") == 3
