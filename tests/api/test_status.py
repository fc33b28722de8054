"""``status/`` for monitors."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mktg_integration import heartbeat
from mktg_integration.background import q2
from mktg_integration.models import Connection, ConnectionState, WaitReason
from tests.api.conftest import SECRET, Api, client_of

TOKEN = "a-long-random-token-of-the-monitor"


@pytest.fixture
def running(crm: Connection) -> Connection:
    """All is well: a worker runs, and the connection's last call went well."""
    heartbeat.beat()
    ConnectionState.objects.filter(pk=crm.pk).update(last_success_at=timezone.now())
    return crm


def test_well_is_200(api: Api, running: Connection) -> None:
    answer = api.get("status/")
    assert answer.status_code == 200, answer.json()
    told = answer.json()
    assert (told["ok"], told["site"]["works"]) == (True, True)
    assert [(one["name"], one["state"]) for one in told["connections"]] == [("crm", "healthy")]
    assert answer.headers["Cache-Control"] == "no-store"


def test_no_worker_is_503(api: Api, crm: Connection) -> None:
    answer = api.get("status/")
    assert answer.status_code == 503
    assert answer.json()["ok"] is False
    assert [one["code"] for one in answer.json()["site"]["warnings"]] == ["worker"]


@pytest.mark.parametrize(
    ("reason", "status"),
    [(WaitReason.RECONNECT, 503), (WaitReason.FORBIDDEN, 503), (WaitReason.OUTAGE, 200), (WaitReason.RATE, 200)],
)
def test_what_needs_somebody_is_503_and_what_mends_itself_is_not(
    api: Api, running: Connection, reason: WaitReason, status: int
) -> None:
    until = timezone.now() + timedelta(minutes=5)
    ConnectionState.objects.filter(pk=running.pk).update(wait_reason=reason, wait_until=until)
    assert api.get("status/").status_code == status


def test_one_connection(api: Api, running: Connection) -> None:
    Connection.objects.create(name="other", provider="conversion")
    assert [one["name"] for one in api.get("status/", connection="crm").json()["connections"]] == ["crm"]
    assert api.get("status/", connection="nobody").status_code == 404


def test_missing_schedules_are_503(api: Api, running: Connection, marketing: Callable[..., None]) -> None:
    marketing(TASK_ENGINE="django-q2")
    assert api.get("status/").status_code == 503
    q2.install_schedules()
    assert api.get("status/").status_code == 200


def test_neither_secrets_nor_people(api: Api, running: Connection) -> None:
    Connection.objects.filter(pk=running.pk).update(account_label="jane@example.com")
    answer = api.get("status/")
    assert SECRET not in answer.text
    assert "jane" not in answer.text


def test_a_monitor_calls_with_a_token(running: Connection, marketing: Callable[..., None]) -> None:
    marketing(API={"MONITOR_TOKENS": ["another", TOKEN]})

    def asked(path: str = "status/", token: str = TOKEN, scheme: str = "Bearer") -> int:
        client = client_of()
        client.credentials(HTTP_AUTHORIZATION=f"{scheme} {token}")
        return int(Api(client).get(path).status_code)

    assert asked() == 200
    assert asked(scheme="bearer") == 200
    assert asked(token="wrong") == 403
    assert asked(token="") == 403
    assert asked(path="connections/") == 403, "for the status alone"
    assert asked(path="") == 403


def test_without_a_token_set_none_opens_it(running: Connection, marketing: Callable[..., None]) -> None:
    marketing(API={"MONITOR_TOKENS": [""]})
    client = client_of()
    client.credentials(HTTP_AUTHORIZATION="Bearer ")
    assert Api(client).get("status/").status_code == 403


def test_who_may_call_it_is_replaceable(running: Connection, marketing: Callable[..., None]) -> None:
    plain: Any = Api(client_of(User.objects.create_user("plain")))
    assert plain.get("status/").status_code == 403
    marketing(API={"STATUS_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"]})
    assert plain.get("status/").status_code == 200
