"""Each status of ConvertLoop's document, for both endpoints: what it means for the work that a call carried."""

from __future__ import annotations

import pytest
import responses

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.providers.convertloop import ConvertLoopClient

BASE = "https://api.convertloop.co/v1"
STATUSES = {
    400: Action.REJECT,
    401: Action.RECONNECT,
    # Nothing is looked up there: the address of the service is wrong, which no person can help.
    404: Action.FAIL,
    422: Action.REJECT,
    500: Action.RETRY,
}


@responses.activate
@pytest.mark.parametrize("endpoint", ["/people", "/event_logs"])
@pytest.mark.parametrize("status", STATUSES)
def test_a_documented_status(status: int, endpoint: str) -> None:
    responses.post(BASE + endpoint, status=status)
    client = ConvertLoopClient("app", "key")
    call = client.identify if endpoint == "/people" else client.log_event
    with pytest.raises(ServiceError) as raised:
        call({"name": "x"})
    assert (raised.value.action, raised.value.endpoint) == (STATUSES[status], f"POST {endpoint}")


@responses.activate
@pytest.mark.parametrize("endpoint", ["/people", "/event_logs"])
@pytest.mark.parametrize("body", ["", "OK", "{}", '{"id": 1}', "[1"])
def test_the_documented_success(endpoint: str, body: str) -> None:
    """200, with whatever body: none is documented, and an event that was taken must not be told again."""
    responses.post(BASE + endpoint, status=200, body=body)
    client = ConvertLoopClient("app", "key")
    (client.identify if endpoint == "/people" else client.log_event)({"name": "x"})
    assert len(responses.calls) == 1


@responses.activate
def test_the_page_of_a_proxy_is_no_success() -> None:
    responses.post(f"{BASE}/people", status=200, body="<html>please log in</html>", content_type="text/html")
    with pytest.raises(ServiceError) as raised:
        ConvertLoopClient("app", "key").identify({"email": "ann@example.com"})
    assert raised.value.action is Action.RETRY
