"""A site that lost the key of its credentials: what needs none of them still works."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.utils import timezone

from mktg_integration.api.urls import router
from mktg_integration.models import AuditAction, AuditEntry, Connection, Contact, DeadRow, OutboxRow, Run
from tests.api.conftest import Api

LISTS = sorted(prefix for prefix, _, _ in router.registry)


@pytest.fixture
def crm(crm: Connection, marketing: Any) -> Connection:
    """With a row of each kind, and another key than the credentials were written with."""
    now = timezone.now()
    Run.objects.create(connection=crm, kind="pull", started_at=now)
    AuditEntry.objects.create(connection=crm, connection_name=crm.name, action=AuditAction.SYNCED, via="api", at=now)
    given: dict[str, Any] = {"connection": crm, "kind": "profile", "marked_at": now}
    OutboxRow.objects.create(key=f"{crm.pk}:profile:user:8", subject="user:8", due_at=now, version=1, **given)
    DeadRow.objects.create(
        key=f"{crm.pk}:profile:user:9", subject="user:9", died_at=now, state="rejected", code="c", reason="r", **given
    )
    Contact.objects.create(key=f"{crm.pk}:1", connection=crm, remote_id="1", email="", email_key="", seen_at=now)
    marketing(ENCRYPTION_KEYS=["cHJvYmFibHkgbm90IHRoZSBrZXkgeW91IHdhbnQhISE="])
    return crm


@pytest.mark.parametrize("path", LISTS)
def test_lists(path: str, crm: Connection, api: Api) -> None:
    for query in ({}, {"connection": crm.pk}):
        assert api.get(f"{path}/", **query).status_code == 200


@pytest.mark.parametrize("path", ["rejected/reasons/", "status/"])
def test_what_is_told_of_all_connections(path: str, crm: Connection, api: Api) -> None:
    assert api.get(path).status_code in (200, 503)


def test_one_of_them(crm: Connection, api: Api) -> None:
    for path in (
        f"connections/{crm.pk}/",
        f"runs/{Run.objects.get().pk}/",
        f"outbox/{OutboxRow.objects.get(subject='user:8').pk}/",
        f"rejected/{DeadRow.objects.get().pk}/",
        f"contacts/{crm.pk}:1/",
        f"contacts/{crm.pk}:1/export/",
    ):
        assert api.get(path).status_code == 200, path


def test_what_is_asked_for_of_one_connection(crm: Connection, api: Api) -> None:
    User.objects.create_user("ada", email="ada@example.com")
    Contact.objects.update(user=User.objects.get(username="ada"))
    for path in ("sync", "unsubscribe"):
        answer = api.post(f"contacts/{crm.pk}:1/{path}/", {"connection": crm.pk})
        assert answer.status_code == 202, answer.json()
    assert api.post("rejected/discard/", {"connection": crm.pk, "reason": "Gone."}).status_code == 200
