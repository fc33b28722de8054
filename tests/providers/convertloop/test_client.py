"""The client at the transport: requests as the document has them, and what each status means."""

from __future__ import annotations

import pytest
import responses
from responses import matchers

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.providers.base import Account, Call, Outcome
from mktg_integration.providers.convertloop import ConvertLoopClient, ConvertLoopProvider

BASE = "https://api.convertloop.co/v1"
BASIC = matchers.header_matcher({"Authorization": "Basic YXBwOnNlY3JldA==", "Content-Type": "application/json"})


def open_client(base_url: str = "") -> ConvertLoopClient:
    account = Account(name="c", base_url=base_url, credentials={"APP_ID": "app", "API_KEY": "secret"}, options={})
    return ConvertLoopProvider().client(account, limiter=Unlimited())


@responses.activate
@pytest.mark.parametrize("base_url", ["", BASE, BASE + "/", "https://elsewhere.example/v1/"])
def test_a_person(provider: ConvertLoopProvider, base_url: str) -> None:
    body = {"user_id": "1", "email": "ann@example.com", "plan": "pro", "add_to_segments": ["vip"], "resubscribe": True}
    responses.post(
        f"{(base_url or BASE).rstrip('/')}/people",
        json={},
        match=[BASIC, matchers.json_params_matcher(body)],
    )
    result = provider.execute(Call(operation="identify", items={"k": body}), open_client(base_url)).results["k"]
    assert result.outcome is Outcome.DONE
    assert result.record is not None
    assert (result.record.remote_id, result.record.email) == ("1", "ann@example.com")


@responses.activate
@pytest.mark.parametrize(
    ("body", "remote_id"),
    [({"pid": "p-1", "email": "ann@example.com"}, "p-1"), ({"email": "ann@example.com"}, "ann@example.com")],
)
def test_without_a_user_id_the_next_best_identifies(
    provider: ConvertLoopProvider, body: dict[str, str], remote_id: str
) -> None:
    responses.post(f"{BASE}/people", body=b"")
    result = provider.execute(Call(operation="identify", items={"k": body}), open_client()).results["k"]
    assert result.record is not None
    assert result.record.remote_id == remote_id


@responses.activate
def test_an_event(provider: ConvertLoopProvider) -> None:
    body = {"name": "ordered", "ocurred_at": "2026-11-01T10:00:00Z", "person": {"user_id": "1"}, "metadata": {"n": 1}}
    responses.post(f"{BASE}/event_logs", json={}, match=[BASIC, matchers.json_params_matcher(body)])
    answer = provider.execute(Call(operation="log_event", items={"k": body}), open_client())
    assert answer.results["k"].outcome is Outcome.DONE


@responses.activate
@pytest.mark.parametrize(
    ("status", "action"),
    [
        (400, Action.REJECT),
        (401, Action.RECONNECT),
        (403, Action.FORBIDDEN),
        (404, Action.FAIL),
        (422, Action.REJECT),
        (429, Action.WAIT),
        (500, Action.RETRY),
        (503, Action.RETRY),
    ],
)
def test_statuses(status: int, action: Action) -> None:
    responses.post(f"{BASE}/people", json={"error": "ann@example.com is wrong"}, status=status)
    with pytest.raises(ServiceError) as raised:
        open_client().identify({"email": "ann@example.com"})
    assert (raised.value.action, raised.value.endpoint) == (action, "POST /people")
    assert "ann@example.com" not in str(raised.value)
    assert "secret" not in str(raised.value)
