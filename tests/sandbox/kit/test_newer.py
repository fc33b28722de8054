"""Endpoints that are newer than the document, and are not there unless asked for."""

from __future__ import annotations

from .calling import Kit, people


def test_endpoints_that_are_newer_than_the_document(kit: Kit) -> None:
    kit.load(
        subscribers=people("active", "cancelled"),
        tags=[{"id": 1, "name": "A"}],
        taggings=[{"tag_id": 1, "subscriber_id": 1}],
        custom_fields=[{"id": 1, "label": "City"}],
        forms=[{"id": 1, "name": "F", "uid": "f"}],
        settings={"newer_endpoints": True},
    )
    value = {"subscriber_id": 1, "subscriber_custom_field_id": 1, "value": "Oslo"}
    body = {"custom_field_values": [value, {**value, "subscriber_id": 9}]}
    answer = kit.call("POST /v4/bulk/custom_fields/subscribers", body).json
    assert answer["custom_field_values"] == [value]
    assert answer["failures"][0]["custom_field_value"] == {**value, "subscriber_id": 9}
    assert kit.call("GET /v4/subscribers/1").json["subscriber"]["fields"] == {"city": "Oslo"}
    answer = kit.call("DELETE /v4/bulk/tags/subscribers", {"taggings": [{"tag_id": 1, "subscriber_id": 1}]})
    assert (answer.status, answer.json) == (200, {"failures": []})
    assert kit.ids("GET /v4/tags/1/subscribers") == []
    answer = kit.call("POST /v4/bulk/forms/subscribers", {"additions": [{"form_id": 1, "subscriber_id": 2}]})
    assert [row["id"] for row in answer.json["subscribers"]] == [2]
    assert kit.call("GET /v4/subscribers/2").json["subscriber"]["state"] == "inactive"
    assert kit.call("GET /v4/subscribers/1/stats").json["subscriber"]["id"] == 1
    assert kit.call("POST /v4/webhook_endpoints", {"url": "http://127.0.0.1/", "events": ["x"]}).status == 422
