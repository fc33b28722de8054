"""``POST /event_logs`` and the world, against the reference's page."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mktg_integration.sandbox import WorldError
from mktg_integration.sandbox.convertloop import ConvertLoopService
from tests.sandbox.asking import Asker


def test_an_event_updates_its_person(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /people", {"user_id": "1", "email": "jane@example.com"})
    body = {
        "name": "Purchased",
        "person": {"user_id": "1", "plan": "pro", "add_to_segments": ["Customers"]},
        "metadata": {"amount": 5},
    }
    assert ask("POST /event_logs", body) == (200, {})
    [event] = service.dump()["event_logs"]
    assert (event["name"], event["person_id"], event["metadata"]) == ("Purchased", 1, {"amount": 5})
    assert (event["time_key"], event["time"]) == (None, "2023-11-14T22:13:20.000Z")
    assert service.people()[0]["segments"] == ["Customers"]
    assert service.people()[0]["attributes"] == {"plan": "pro"}


def test_an_event_can_make_its_person_or_have_none(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /event_logs", {"name": "Seen", "person": {"email": "jane@example.com"}})
    ask("POST /event_logs", {"name": "Seen"})
    assert [row["email"] for row in service.people()] == ["jane@example.com"]
    assert [event["person_id"] for event in service.dump()["event_logs"]] == [1, None]


@pytest.mark.parametrize("key", ["occured_at", "ocurred_at", "occurred_at"])
def test_each_spelling_of_the_time_is_taken_and_remembered(ask: Asker, service: ConvertLoopService, key: str) -> None:
    assert ask("POST /event_logs", {"name": "Seen", key: "2026-11-01T10:00:00Z"})[0] == 200
    [event] = service.dump()["event_logs"]
    assert (event["time_key"], event["time"]) == (key, "2026-11-01T10:00:00Z")


@pytest.mark.parametrize(
    ("body", "status", "undocumented"),
    [
        ({}, 400, False),
        ({"person": {"email": "jane@example.com"}}, 400, False),
        ({"name": "Seen", "person": {"plan": "pro"}}, 400, False),
        ({"name": "Seen", "person": {"email": "malformed"}}, 400, False),
        ({"name": "Seen", "person": "jane@example.com"}, 422, True),
        ({"name": 7}, 422, True),
        ({"name": "Seen", "email": "jane@example.com"}, 422, True),
        ({"name": "Seen", "metadata": []}, 422, True),
        ({"name": "Seen", "ocurred_at": "yesterday"}, 422, False),
        ({"name": "Seen", "ocurred_at": 1, "occured_at": 1}, 422, True),
    ],
)
def test_refusals(ask: Asker, service: ConvertLoopService, body: Any, status: int, undocumented: bool) -> None:
    answered, answer = ask("POST /event_logs", body)
    assert answered == status, answer
    assert (ask.last.undocumented is not None) is undocumented
    assert service.dump() == {"people": [], "event_logs": []}


def test_a_dump_loads_to_the_same_dump(ask: Asker, service: ConvertLoopService) -> None:
    ask("POST /people", {"pid": "p", "email": "jane@example.com", "nested": {"a": [1.5]}, "last_seen_at": 1.5})
    ask("POST /event_logs", {"name": "Seen", "person": {"pid": "p"}, "ocurred_at": 1})
    dump = json.loads(json.dumps(service.dump()))
    other = ConvertLoopService()
    other.load(dump)
    assert other.dump() == dump
    assert Asker(other, ask._credential)("POST /people", {"email": "new@example.com"})[0] == 200
    assert [person["id"] for person in other.dump()["people"]] == [1, 2]


@pytest.mark.parametrize(
    ("world", "place"),
    [
        ({"people": [{"id": 1, "email": "a@example.com"}, {"id": 1, "email": "b@example.com"}]}, "people[1].id"),
        ({"people": [{"id": 1, "email": "a@b.co"}, {"id": 2, "email": "A@b.co"}]}, "people[1].email"),
        ({"people": [{"id": 1}]}, "people[0]"),
        ({"people": [{"id": "1", "email": "a@b.co"}]}, "people[0].id"),
        ({"contacts": []}, "contacts"),
    ],
)
def test_a_malformed_world_names_the_place(service: ConvertLoopService, world: Any, place: str) -> None:
    with pytest.raises(WorldError) as caught:
        service.load(world)
    assert str(caught.value).startswith(f"convertloop.{place}:")
