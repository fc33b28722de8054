"""Tags made and renamed on the admin's pages."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mktg_integration.models import Connection, Kind, OutboxRow, Tag

LIST = "admin:mktg_integration_tag_changelist"
ADD = "admin:mktg_integration_tag_add"


@pytest.fixture
def tag(db: None) -> Tag:
    connection = Connection.objects.create(name="kit", provider="kit")
    Connection.objects.create(name="loop", provider="convertloop")
    return Tag.objects.create(
        key=f"{connection.pk}:7", remote_id="7", connection=connection, name="Beta", seen_at=timezone.now()
    )


def visitor(*permissions: str) -> Client:
    user = get_user_model().objects.create_user("staff", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def staff(tag: Tag) -> Client:
    return visitor("view_tag", "sync_people")


def changes() -> list[dict[str, Any]]:
    rows = OutboxRow.objects.filter(kind=Kind.TAG)
    return [{key: value for key, value in row.payload.items() if key != "queued"} for row in rows]


def test_a_tag_is_made(staff: Client, tag: Tag) -> None:
    page = staff.get(reverse(ADD)).content.decode()
    assert "kit" in page
    assert "loop" not in page

    answer = staff.post(reverse(ADD), {"connection": tag.connection_id, "name": " Gold "}, follow=True)

    assert "is going to be made" in answer.content.decode()
    assert changes() == [{"name": "Gold"}]
    assert Tag.objects.count() == 1


def test_one_tag_is_renamed(staff: Client, tag: Tag) -> None:
    act = {"action": "rename", "_selected_action": [tag.pk]}
    answer = staff.post(reverse(LIST), {**act, "new_name": "Preview"}, follow=True)
    assert "is going to be renamed" in answer.content.decode()
    assert changes() == [{"name": "Preview", "remote_id": "7"}]

    answer = staff.post(reverse(LIST), {**act, "new_name": " "}, follow=True)
    assert "tag needs a name" in answer.content.decode()
    assert len(changes()) == 1


def test_who_may_only_look_can_do_neither(tag: Tag) -> None:
    client = visitor("view_tag")
    assert client.get(reverse(ADD)).status_code == 403
    client.post(reverse(LIST), {"action": "rename", "_selected_action": [tag.pk], "new_name": "Preview"})
    assert changes() == []
