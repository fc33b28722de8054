"""What Kit's answers say of each person of a call: the document's examples, and what else may come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import responses
from responses import matchers

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.providers.base import Answer, Call, Outcome
from mktg_integration.providers.kit import KitClient, steps
from mktg_integration.records import ContactStatus
from tests.providers.kit.fake import PROVIDER

BASE = "https://api.kit.com/v4"
DONE, ABSENT, TAKEN, RETRY, REJECTED = (
    Outcome.DONE,
    Outcome.ABSENT,
    Outcome.TAKEN,
    Outcome.RETRY,
    Outcome.REJECTED,
)
NOT_FOUND = {"errors": ["Not Found"]}


@pytest.fixture
def kit() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def execute(operation: str, items: dict[str, Any]) -> Answer:
    """Make a call; one HTTP request, whatever it is."""
    with KitClient(access_token="t0ken", limiter=Unlimited()) as client:
        return PROVIDER.execute(Call(operation=operation, items=items), client)


def outcomes(answer: Answer) -> dict[str, Outcome]:
    return {key: result.outcome for key, result in answer.results.items()}


def subscriber(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": number,
        "first_name": "Alice",
        "email_address": f"p{number}@example.com",
        "state": "active",
        "created_at": "2023-02-17T11:43:55Z",
        **values,
    }


def people(*numbers: int, known: bool = False) -> dict[str, Any]:
    return {
        f"user:{number}": {"email_address": f"P{number}@example.com", "first_name": None, "fields": {}}
        | ({"id": str(number)} if known else {})
        for number in numbers
    }


def refusal(email: str | None, *errors: str) -> dict[str, Any]:
    shown = {"first_name": "x", "email_address": email, "state": "active", "created_at": None}
    return {"subscriber": shown, "errors": list(errors)}


# Bulk create


def bulk(kit: responses.RequestsMock, there: list[int], failures: list[dict[str, Any]]) -> None:
    body = {"subscribers": [subscriber(number) for number in there], "failures": failures}
    kit.post(f"{BASE}/bulk/subscribers", json=body)


def test_bulk_answers_are_matched_by_address_and_not_by_place(kit: responses.RequestsMock) -> None:
    bulk(kit, [3, 1, 2], [])
    answer = execute(steps.BULK_UPSERT, people(1, 2, 3))
    ids = {key: result.record.remote_id for key, result in answer.results.items() if result.record}
    assert ids == {"user:1": "1", "user:2": "2", "user:3": "3"}


def test_the_one_refused_is_the_one_not_returned(kit: responses.RequestsMock) -> None:
    bulk(kit, [1, 3], [refusal(None, "Email address is invalid")])
    answer = execute(steps.BULK_UPSERT, people(1, 2, 3))
    assert outcomes(answer) == {"user:1": DONE, "user:2": REJECTED, "user:3": DONE}
    assert answer.results["user:2"].code == "invalid_email"
    assert "Email address is invalid" in answer.results["user:2"].reason


def test_several_refused_alike_share_the_reason(kit: responses.RequestsMock) -> None:
    bulk(kit, [1], [refusal(None, "Email address is invalid")] * 2)
    assert outcomes(execute(steps.BULK_UPSERT, people(1, 2, 3))) == {
        "user:1": DONE,
        "user:2": REJECTED,
        "user:3": REJECTED,
    }


def test_who_is_named_is_refused_with_its_own_reason(kit: responses.RequestsMock) -> None:
    bulk(kit, [1], [refusal("p2@example.com", "First name is too long"), refusal(None, "Email address is invalid")])
    answer = execute(steps.BULK_UPSERT, people(1, 2, 3))
    assert "First name" in answer.results["user:2"].reason
    assert "Email address" in answer.results["user:3"].reason


@pytest.mark.parametrize("failures", [[], [refusal(None, "One"), refusal(None, "Other")], [refusal(None, "One")]])
@pytest.mark.parametrize(("known", "outcome"), [(False, ABSENT), (True, RETRY)])
def test_where_it_is_unclear_who_failed_each_is_asked_for_singly(
    kit: responses.RequestsMock, failures: list[dict[str, Any]], known: bool, outcome: Outcome
) -> None:
    bulk(kit, [1], failures)
    assert outcomes(execute(steps.BULK_UPSERT, people(1, 2, 3, known=known))) == {
        "user:1": DONE,
        "user:2": outcome,
        "user:3": outcome,
    }


def test_a_full_plan_is_the_accounts_trouble(kit: responses.RequestsMock) -> None:
    body = {"errors": ["This request would exceed your subscriber limit"]}
    kit.post(f"{BASE}/bulk/subscribers", json=body, status=403)
    with pytest.raises(ServiceError) as caught:
        execute(steps.BULK_UPSERT, people(1, 2))
    assert caught.value.action is Action.FORBIDDEN


def test_bulk_names_are_text(kit: responses.RequestsMock) -> None:
    sent = {"subscribers": [{"email_address": "P1@example.com", "first_name": ""}], "callback_url": None}
    kit.post(
        f"{BASE}/bulk/subscribers",
        json={"subscribers": [subscriber(1)], "failures": []},
        match=[matchers.json_params_matcher(sent)],
    )
    execute(steps.BULK_UPSERT, people(1))


# One by one

NEW = {"email_address": "p1@example.com", "first_name": "Alice", "state": "active", "fields": {"city": "Paris"}}


@pytest.mark.parametrize(("status", "created"), [(200, False), (201, True), (202, None)])
def test_an_upsert_says_whether_it_created(kit: responses.RequestsMock, status: int, created: bool | None) -> None:
    body = {"subscriber": subscriber(1, state="inactive", fields={"city": None})}
    kit.post(f"{BASE}/subscribers", json=body, status=status)
    result = execute(steps.UPSERT, {"user:1": NEW}).results["user:1"]
    assert (result.outcome, result.created) == (DONE, created)
    assert result.record is not None
    assert result.record.status is ContactStatus.INACTIVE
    # 202: the fields are stored later, so what is answered of them is old.
    assert ("fields.city" in result.record.values) == (status != 202)


def test_fields_that_kit_ignored_are_told(kit: responses.RequestsMock) -> None:
    body = {"subscriber": subscriber(1), "warnings": ["Unknown custom field: city"]}
    kit.post(f"{BASE}/subscribers", json=body, status=201)
    answer = execute(steps.UPSERT, {"user:1": NEW})
    assert answer.warnings == ("Unknown custom field: city",)
    assert "city" in answer.results["user:1"].reason


def test_a_refused_upsert_fails_as_a_whole(kit: responses.RequestsMock) -> None:
    kit.post(f"{BASE}/subscribers", json={"errors": ["Email address is invalid"]}, status=422)
    with pytest.raises(ServiceError) as caught:
        execute(steps.UPSERT, {"user:1": NEW})
    assert caught.value.action is Action.REJECT


CHANGE = {"id": "1", "email_address": "new@example.com", "fields": {}, "moved": True, "first_name": None}


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, {"subscriber": subscriber(1)}, DONE),
        (404, NOT_FOUND, ABSENT),
        (422, {"errors": ["Email address has already been taken"]}, TAKEN),
    ],
)
def test_an_update(kit: responses.RequestsMock, status: int, body: dict[str, Any], outcome: Outcome) -> None:
    sent = {"email_address": "new@example.com", "first_name": None}
    kit.put(f"{BASE}/subscribers/1", json=body, status=status, match=[matchers.json_params_matcher(sent)])
    assert outcomes(execute(steps.UPDATE, {"user:1": CHANGE})) == {"user:1": outcome}


def test_taken_without_a_move_is_a_refusal(kit: responses.RequestsMock) -> None:
    kit.put(f"{BASE}/subscribers/1", json={"errors": ["Label has already been taken"]}, status=422)
    with pytest.raises(ServiceError):
        execute(steps.UPDATE, {"user:1": {**CHANGE, "moved": False}})


@pytest.mark.parametrize(("status", "outcome"), [(204, DONE), (404, ABSENT)])
def test_an_unsubscribe(kit: responses.RequestsMock, status: int, outcome: Outcome) -> None:
    kit.post(f"{BASE}/subscribers/1/unsubscribe", status=status, json=NOT_FOUND if status == 404 else None)
    assert outcomes(execute(steps.UNSUBSCRIBE, {"user:1": {"id": "1"}})) == {"user:1": outcome}


def found(kit: responses.RequestsMock, *subscribers: dict[str, Any]) -> None:
    page = {"has_previous_page": False, "has_next_page": False, "start_cursor": None, "end_cursor": None}
    kit.get(
        f"{BASE}/subscribers",
        json={"subscribers": list(subscribers), "pagination": page},
        match=[matchers.query_param_matcher({"email_address": "p1@example.com", "status": "all"})],
    )


@pytest.mark.parametrize(("is_there", "outcome"), [(False, ABSENT), (True, RETRY)])
def test_a_look_up(kit: responses.RequestsMock, is_there: bool, outcome: Outcome) -> None:
    item = {"user:1": {"email_address": "p1@example.com", "is_there": is_there}}
    found(kit, subscriber(1, email_address="P1@Example.com", state="cancelled"))
    result = execute(steps.FIND, item).results["user:1"]
    assert result.record is not None
    assert (result.record.remote_id, result.record.status) == ("1", ContactStatus.UNSUBSCRIBED)
    kit.reset()
    found(kit, subscriber(2))
    assert outcomes(execute(steps.FIND, item)) == {"user:1": outcome}


@pytest.mark.parametrize(("status", "outcome"), [(200, DONE), (404, ABSENT)])
def test_reading_one(kit: responses.RequestsMock, status: int, outcome: Outcome) -> None:
    kit.get(f"{BASE}/subscribers/1", json={"subscriber": subscriber(1)} if status == 200 else NOT_FOUND, status=status)
    assert outcomes(execute(steps.READ, {"user:1": {"id": "1"}})) == {"user:1": outcome}


# Tags


@pytest.mark.parametrize(("status", "had"), [(200, frozenset({"vip"})), (201, frozenset())])
def test_tagging_says_who_had_the_tag(kit: responses.RequestsMock, status: int, had: frozenset[str]) -> None:
    kit.post(f"{BASE}/tags/5/subscribers/1", json={"subscriber": subscriber(1)}, status=status)
    answer = execute(steps.TAG, {"user:1": {"id": "1", "tag_id": "5", "name": "vip"}})
    assert answer.results["user:1"].had_tags == had


def test_a_tag_or_subscriber_that_is_gone_is_tried_after_a_pull(kit: responses.RequestsMock) -> None:
    kit.post(f"{BASE}/tags/5/subscribers/1", json=NOT_FOUND, status=404)
    assert outcomes(execute(steps.TAG, {"user:1": {"id": "1", "tag_id": "5", "name": "vip"}})) == {"user:1": RETRY}


@pytest.mark.parametrize("status", [204, 404])
def test_a_tag_that_is_not_there_is_taken_away(kit: responses.RequestsMock, status: int) -> None:
    kit.delete(f"{BASE}/tags/5/subscribers/1", status=status, json=NOT_FOUND if status == 404 else None)
    assert outcomes(execute(steps.UNTAG, {"user:1": {"id": "1", "tag_id": "5"}})) == {"user:1": DONE}


def test_bulk_tagging_counts_what_came_back(kit: responses.RequestsMock) -> None:
    told = [{"id": number, "first_name": None, "email_address": f"p{number}@example.com"} for number in (1, 1, 2)]
    pairs = {
        "taggings": [{"tag_id": tag, "subscriber_id": one} for one, tag in ((1, 5), (1, 6), (2, 5), (2, 6), (3, 5))]
    }
    kit.post(
        f"{BASE}/bulk/tags/subscribers",
        json={"subscribers": told, "failures": []},
        match=[matchers.json_params_matcher({**pairs, "callback_url": None})],
    )
    items = {
        "user:1": [{"id": "1", "tag_id": "5"}, {"id": "1", "tag_id": "6"}],
        "user:2": [{"id": "2", "tag_id": "5"}, {"id": "2", "tag_id": "6"}],
        "user:3": [{"id": "3", "tag_id": "5"}],
    }
    assert outcomes(execute(steps.BULK_TAG, items)) == {"user:1": DONE, "user:2": RETRY, "user:3": RETRY}


@pytest.mark.parametrize("status", [200, 201])
def test_a_tag_is_created_or_there(kit: responses.RequestsMock, status: int) -> None:
    kit.post(f"{BASE}/tags", json={"tag": {"id": 11, "name": "VIP"}}, status=status)
    answer = execute(steps.CREATE_TAG, {"user:1": ["VIP"], "user:2": ["VIP"]})
    assert [tag.remote_id for tag in answer.tags] == ["11"]
    assert outcomes(answer) == {"user:1": DONE, "user:2": DONE}


def test_a_taken_tag_name_is_to_be_looked_up(kit: responses.RequestsMock) -> None:
    kit.post(f"{BASE}/tags", json={"errors": ["Name has already been taken"]}, status=422)
    result = execute(steps.CREATE_TAG, {"user:1": ["VIP"]}).results["user:1"]
    assert (result.outcome, result.barred) == (DONE, True)


@pytest.mark.parametrize(
    ("operation", "path", "what"),
    [(steps.CREATE_TAG, "tags", "tag"), (steps.CREATE_FIELD, "custom_fields", "custom field")],
)
def test_a_refused_name_is_told_to_all_who_wait_for_it(
    kit: responses.RequestsMock, operation: str, path: str, what: str
) -> None:
    kit.post(f"{BASE}/{path}", json={"errors": ["Name is too long"]}, status=422)
    answer = execute(operation, {"user:1": ["LONG"], "user:2": ["LONG"]})
    assert {result.outcome for result in answer.results.values()} == {REJECTED}
    assert answer.results["user:1"].reason == f"Kit refused the {what} 'LONG': Name is too long. Correct the mapping"


def test_bulk_created_tags_and_those_that_exist(kit: responses.RequestsMock) -> None:
    failures = [
        {"tag": {"id": 50, "name": "Existing Tag"}, "errors": ["Name has already been taken"]},
        {"tag": {"id": None, "name": "Bad"}, "errors": ["Name is too long"]},
    ]
    body = {"tags": [{"id": 51, "name": "Attended Event"}], "failures": failures}
    kit.post(f"{BASE}/bulk/tags", json=body)
    items = {"user:1": ["attended event", "existing tag"], "user:2": ["bad"], "user:3": ["lost"]}
    answer = execute(steps.BULK_CREATE_TAGS, items)
    assert {tag.name: tag.remote_id for tag in answer.tags} == {"Attended Event": "51", "Existing Tag": "50"}
    assert outcomes(answer) == {"user:1": DONE, "user:2": REJECTED, "user:3": RETRY}


def field(number: int, label: str, key: str) -> dict[str, Any]:
    return {"id": number, "label": label, "key": key, "name": f"ck_field_{number}_{key}"}


def test_bulk_created_fields_and_those_that_exist(kit: responses.RequestsMock) -> None:
    failure = {"custom_field": field(74, "Last name", "last_name"), "errors": ["Label has already been taken"]}
    body = {"custom_fields": [field(76, "Interests", "interests")], "failures": [failure]}
    kit.post(f"{BASE}/bulk/custom_fields", json=body)
    answer = execute(steps.BULK_CREATE_FIELDS, {"user:1": ["Interests", "Last name"], "user:2": ["Coupon"]})
    assert {one.key: one.remote_id for one in answer.fields} == {"interests": "76", "last_name": "74"}
    assert outcomes(answer) == {"user:1": DONE, "user:2": RETRY}


def test_a_name_looked_up_and_not_listed_yet_is_tried_later(kit: responses.RequestsMock) -> None:
    page = {"has_previous_page": False, "has_next_page": False, "start_cursor": None, "end_cursor": None}
    kit.get(f"{BASE}/custom_fields", json={"custom_fields": [field(1, "City", "city")], "pagination": page})
    answer = execute(steps.LIST_FIELDS, {"user:1": ["CITY"], "user:2": ["Coupon"]})
    assert outcomes(answer) == {"user:1": DONE, "user:2": RETRY}
