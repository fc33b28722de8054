"""The inbox in the admin: a body is about people, and the list walks an index."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mktg_integration.models import Connection, InboxRow, InboxState

LIST = reverse("admin:mktg_integration_inboxrow_changelist")


@pytest.fixture
def received(connection: Connection) -> list[InboxRow]:
    now = timezone.now()
    body: Any = {"raw": '{"email": "ada@example.com"}'}
    return [
        InboxRow.objects.create(
            key=f"k{n}", connection=connection, kind="webhook", state=state, received_at=now - timedelta(minutes=n),
            due_at=now, body=body,
        )
        for n, state in enumerate([InboxState.APPLIED, InboxState.UNREADABLE, InboxState.PENDING, InboxState.APPLIED])
    ]  # fmt: skip


def test_what_was_not_understood_comes_first(staff: Client, received: list[InboxRow]) -> None:
    assert [row.pk for row in staff.get(LIST).context["cl"].result_list] == ["k1", "k2", "k0", "k3"]


def test_a_body_is_shown_only_to_who_may_see_people(
    staff_with: Callable[..., Client], received: list[InboxRow]
) -> None:
    page = reverse("admin:mktg_integration_inboxrow_change", args=["k0"])
    assert "ada@example.com" not in staff_with("view_inboxrow").get(page).text
    assert "ada@example.com" in staff_with("view_inboxrow", "view_personal_data").get(page).text
