"""Conversion's part of a world: exact round trips, and errors that name the place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mktg_integration.sandbox import WorldError
from mktg_integration.sandbox.conversion import ConversionService
from tests.sandbox.asking import Asker


def test_a_dump_loads_to_the_same_dump(ask: Asker, service: ConversionService) -> None:
    ask("POST /v2/contacts", {"email": "jane@example.com", "subscriptionStatus": "SUBSCRIBED", "syncToCRM": True})
    ask("POST /v1/contacts/batch", {"contacts": [{"email": "b@example.com", "externalContact": {"id": [1]}}]})
    ask("POST /v1/companies/batch", {"companies": [{"id": "c1", "variables": {"size": "1-10"}}]})
    ask("POST /v2/events", {"event": "Seen", "email": "jane@example.com", "eventId": "e1", "data": {"a": 1.5}})
    engagement = {"contactEmail": "b@example.com", "type": "ACTIVITY", "name": "n", "description": "d"}
    ask("POST /v1/contacts/engagements", engagement)
    dump = json.loads(json.dumps(service.dump()))
    other = ConversionService()
    other.load(dump)
    assert other.dump() == dump
    assert [len(dump[key]) for key in ("contacts", "companies", "events", "engagements")] == [2, 1, 1, 1]


def test_a_loaded_world_is_answered_from(ask: Asker, service: ConversionService) -> None:
    contact_id = "a1b2c3d4-e5f6-7890-abcd-ef1234567890"
    event = {"id": "ev", "event_id": "e1", "contact_id": contact_id, "event": "Seen", "timestamp": "2026-01-01"}
    service.load({"contacts": [{"id": contact_id, "email": "Jane@example.com"}], "events": [event]})
    _, answer = ask("POST /v2/contacts", {"email": "jane@example.com"})
    assert answer["data"] == {"cnvContactId": contact_id, "contactCreated": False}
    _, answer = ask("POST /v2/events", {"event": "Seen", "email": "jane@example.com", "eventId": "e1"})
    assert answer["data"]["cnvEventId"] == "ev"


@pytest.mark.parametrize(
    ("world", "place"),
    [
        ({"contacts": [{"email": "a@example.com"}, {"email": "malformed"}]}, "conversion.contacts[1].email"),
        ({"contacts": [{"email": "a@example.com", "id": "17"}]}, "conversion.contacts[0].id"),
        ({"contacts": [{"email": "a@example.com"}, {"email": "A@example.com"}]}, "conversion.contacts[1].email"),
        ({"companies": [{"external_id": "1"}, {"external_id": "1"}]}, "conversion.companies[1].external_id"),
        ({"settings": {"any_fields": True}}, "conversion.settings.any_fields"),
        ({"settings": {"rate_limit": {"requests": 0, "seconds": 1}}}, "conversion.settings.rate_limit.requests"),
        ({"people": []}, "conversion.people"),
    ],
)
def test_a_malformed_world_names_the_place(service: ConversionService, world: Any, place: str) -> None:
    with pytest.raises(WorldError) as caught:
        service.load(world)
    assert str(caught.value).startswith(f"{place}:")
