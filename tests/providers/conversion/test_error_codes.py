"""Each error code of both documents, at the transport: what becomes of the person, or of the connection."""

from __future__ import annotations

from typing import Any

import pytest
import responses

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.providers.base import Answer, Call, Outcome
from mktg_integration.providers.conversion import ConversionClient, ConversionProvider
from mktg_integration.providers.conversion.errors import CODES

BASE = "https://pub-api.conversion.ai/api"
PERSON = {"contact": {"email": "jane@example.com", "fields": {"plan": "pro"}}, "email": "", "remote_id": ""}
PEOPLE = {"user:1": PERSON, "user:2": {**PERSON, "contact": {"email": "joan@example.com"}}}
MESSAGE = "The value for jane@example.com cannot be used."

# Overview, "Error codes": what one person's upsert comes to, alone or as an item of a batch.
V2 = {
    "missing_identifier": Outcome.REJECTED,
    "invalid_email": Outcome.REJECTED,
    "invalid_subscription_status": Outcome.REJECTED,
    "invalid_field": Outcome.REJECTED,
    "contact_not_found": Outcome.ABSENT,
    "upsert_failed": Outcome.RETRY,
    "internal_error": Outcome.RETRY,
}
STATUS = {"contact_not_found": 404, "internal_error": 500}
# v1, "Error Codes": what the whole call comes to.
V1 = {
    "VALIDATION_ERROR": (400, Action.REJECT),
    "NOT_FOUND": (404, Action.REJECT),
    "DUPLICATE_ERROR": (409, Action.REJECT),
    "RATE_LIMIT_EXCEEDED": (429, Action.WAIT),
    "UNAUTHORIZED": (401, Action.RECONNECT),
    "INTERNAL_ERROR": (500, Action.RETRY),
}


def test_no_documented_code_is_left_out() -> None:
    assert {*V2, *V1} == set(CODES)


def upsert(*keys: str) -> Call:
    return Call(operation="upsert", items={key: PEOPLE[key] for key in keys})


def execute(provider: ConversionProvider, call: Call) -> Answer:
    return provider.execute(call, ConversionClient("sk_live_1_secret"))


@responses.activate
@pytest.mark.parametrize("code", V2)
def test_v2_of_one_contact(provider: ConversionProvider, code: str) -> None:
    responses.post(
        f"{BASE}/v2/contacts", json={"error": {"code": code, "message": MESSAGE}}, status=STATUS.get(code, 400)
    )
    if code == "internal_error":
        # The service fails, not the person: the connection waits with all of its people.
        with pytest.raises(ServiceError) as raised:
            execute(provider, upsert("user:1"))
        assert raised.value.action is Action.RETRY
        return
    result = execute(provider, upsert("user:1")).results["user:1"]
    assert result.outcome is V2[code]
    if result.outcome is Outcome.REJECTED:
        assert result.code == code
        assert "plan" in result.reason if code == "invalid_field" else result.reason
    assert "jane@" not in result.reason


@responses.activate
@pytest.mark.parametrize("code", V2)
def test_v2_of_an_item_of_a_batch(provider: ConversionProvider, code: str) -> None:
    items: list[dict[str, Any]] = [
        {"success": False, "error": {"code": code, "message": MESSAGE}},
        {"success": True, "cnvContactId": "c2", "contactCreated": True},
    ]
    responses.post(f"{BASE}/v2/contacts/batch", json={"data": {"results": items}})
    results = execute(provider, upsert("user:1", "user:2")).results
    assert results["user:1"].outcome is V2[code]
    assert "jane@" not in results["user:1"].reason
    assert results["user:2"].outcome is Outcome.DONE, "nobody else suffers"


@responses.activate
@pytest.mark.parametrize("status", ["of the code", 200])
@pytest.mark.parametrize("code", V1)
def test_v1_with_its_status_and_with_200(provider: ConversionProvider, code: str, status: str | int) -> None:
    """v1, "Best Practices": always check ``success``."""
    documented, action = V1[code]
    answered = documented if isinstance(status, str) else status
    error = {"success": False, "error": {"code": code, "message": MESSAGE}}
    responses.post(f"{BASE}/v1/contacts/batch", json=error, status=answered)
    contacts = {key: {"contact": item["contact"], "is_update": False} for key, item in PEOPLE.items()}
    with pytest.raises(ServiceError) as raised:
        execute(provider, Call(operation="v1_upsert", items=contacts))
    assert (raised.value.action, raised.value.code) == (action, code)
    assert "jane@" not in str(raised.value)
