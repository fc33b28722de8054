"""``POST /people`` against the reference's page."""

from __future__ import annotations

from typing import Any

import pytest

from mktg_integration.sandbox.convertloop import ConvertLoopService
from tests.sandbox.asking import Asker

from .conftest import basic

JANE = {"user_id": "1", "email": "jane@example.com"}


def test_a_person_with_custom_attributes_and_segments(ask: Asker, service: ConvertLoopService) -> None:
    body = {
        **JANE,
        "plan": "pro",
        "visits": 3,
        "add_to_segments": ["Customers", "Beta"],
        "first_seen_at": 1_600_000_000,
    }
    status, answer = ask("POST /people", body)
    assert (status, answer) == (200, {})
    assert service.people() == [
        {
            "email": "jane@example.com",
            "user_id": "1",
            "pid": None,
            "subscribed": True,
            "segments": ["Customers", "Beta"],
            "attributes": {"plan": "pro", "visits": 3},
        }
    ]
    assert service.dump()["people"][0]["first_seen_at"] == 1_600_000_000
    assert (ask.last.operation, ask.last.undocumented) == ("POST /people", None)


@pytest.mark.parametrize("identity", [{"pid": "cookie"}, {"user_id": "1"}, {"email": "jane@example.com"}])
def test_each_identity_alone_is_enough(ask: Asker, service: ConvertLoopService, identity: dict[str, str]) -> None:
    assert ask("POST /people", identity)[0] == 200
    assert ask("POST /people", {**identity, "plan": "pro"})[0] == 200
    [person] = service.people()
    assert person["attributes"] == {"plan": "pro"}


def test_segments_as_one_name_and_their_removal(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /people", {**JANE, "add_to_segments": "Customers"})
    ask("POST /people", {**JANE, "add_to_segments": ["Beta", "Customers"]})
    assert service.people()[0]["segments"] == ["Customers", "Beta"]
    ask("POST /people", {**JANE, "remove_from_segments": "Customers"})
    assert service.people()[0]["segments"] == ["Beta"]


def test_an_email_change_updates_the_same_person(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /people", JANE)
    ask("POST /people", {"user_id": "1", "email": "jane@new.example"})
    assert [row["email"] for row in service.people()] == ["jane@new.example"]
    ask("POST /people", {"email": "jane@example.com"})
    assert len(service.people()) == 2, "the old address is free again"


def test_the_case_of_an_address_makes_no_second_person(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /people", {"email": "Jane@Example.com"})
    ask("POST /people", {"email": "jane@example.com"})
    assert len(service.people()) == 1


def test_people_who_turn_out_to_be_one_are_merged(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /event_logs", {"name": "Visited", "person": {"pid": "cookie", "source": "ad", "add_to_segments": "A"}})
    ask("POST /people", {"email": "jane@example.com", "plan": "pro", "source": "form", "add_to_segments": "B"})
    ask("POST /people", {"user_id": "1"})
    ask("POST /people", {"pid": "cookie", "user_id": "1", "email": "jane@example.com"})
    [person] = service.people()
    assert (person["pid"], person["user_id"], person["email"]) == ("cookie", "1", "jane@example.com")
    assert person["segments"] == ["B", "A"]
    assert person["attributes"] == {"plan": "pro", "source": "form"}
    assert service.stats.as_json()["merged"] == {"POST /people": 2}
    assert service.dump()["event_logs"][0]["person_id"] == service.dump()["people"][0]["id"]


def test_a_merge_does_not_lose_an_unsubscription(ask: Asker, service: ConvertLoopService) -> None:
    service.load({"people": [{"id": 1, "email": "jane@example.com", "subscribed": False}, {"id": 2, "user_id": "1"}]})
    ask("POST /people", JANE)
    [person] = service.people()
    assert person["subscribed"] is False


@pytest.mark.parametrize(
    ("given", "subscribed", "counted"),
    [({}, False, 0), ({"resubscribe": False}, False, 0), ({"resubscribe": True}, True, 1)],
)
def test_only_resubscribe_brings_someone_back(
    ask: Asker, service: ConvertLoopService, given: Any, subscribed: bool, counted: int
) -> None:
    service.load({"people": [{"id": 1, "email": "jane@example.com", "subscribed": False}]})
    ask("POST /people", {**JANE, **given})
    assert service.people()[0]["subscribed"] is subscribed
    assert sum(service.stats.as_json()["resubscribed"].values()) == counted


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"plan": "pro"}, 400),
        ({"email": "malformed"}, 400),
        ({"user_id": 1}, 422),
        ({"email": ""}, 422),
        ({**JANE, "add_to_segments": 3}, 422),
        ({**JANE, "add_to_segments": [3]}, 422),
        ({**JANE, "resubscribe": "true"}, 422),
        ({**JANE, "last_seen_at": "yesterday"}, 422),
        ({**JANE, "last_seen_at": "2026-11-01T10:00:00Z"}, 200),
    ],
)
def test_statuses(ask: Asker, service: ConvertLoopService, body: Any, status: int) -> None:
    answered, answer = ask("POST /people", body)
    assert answered == status, answer
    assert len(service.people()) == (status == 200)


def test_a_wrong_type_is_noted_as_undocumented_and_a_bad_value_is_not(ask: Asker) -> None:
    ask("POST /people", {"user_id": 1})
    assert (ask.last.undocumented or "").startswith("user_id")
    ask("POST /people", {"email": "malformed"})
    assert ask.last.undocumented is None


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": ""},
        {"authorization": "Bearer sandbox_key"},
        {"authorization": "Basic !!!"},
        basic("sandbox_app", "wrong"),
        basic("other_app", ""),
        basic("sandbox_app", ""),
    ],
)
def test_a_wrong_credential(ask: Asker, service: ConvertLoopService, headers: dict[str, str]) -> None:
    assert ask("POST /people", JANE, headers=headers)[0] == 401
    assert service.people() == []


@pytest.mark.parametrize("operation", ["GET /people", "POST /people/", "POST /persons", "DELETE /people/1"])
def test_paths_that_the_document_does_not_have(ask: Asker, operation: str) -> None:
    assert ask(operation, JANE)[0] == 404
    assert ask.last.operation is None
    assert ask.last.undocumented


@pytest.mark.parametrize(
    ("raw", "content_type"), [(b"{", "application/json"), (b"[]", "application/json"), (b"{}", "text/plain")]
)
def test_a_body_that_is_not_json(ask: Asker, raw: bytes, content_type: str) -> None:
    assert ask("POST /people", raw=raw, headers={"content-type": content_type})[0] == 400
    assert ask.last.undocumented


def test_query_keys_are_refused(ask: Asker) -> None:
    assert ask("POST /people?api_key=x", JANE)[0] == 422
    assert ask.last.undocumented == "query keys: api_key"
