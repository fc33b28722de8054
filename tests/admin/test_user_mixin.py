"""The site's own list of users: the selected ones are sent, tagged and shown."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Permission, User
from django.contrib.messages import get_messages
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import path, reverse

from mktg_integration.admin.users import MarketingUserAdminMixin
from mktg_integration.models import AuditEntry, Connection, ExplicitActs, OutboxRow
from mktg_integration.push import outbox


class SiteUserAdmin(MarketingUserAdminMixin, UserAdmin):  # type: ignore[type-arg]
    pass


class PlainAdmin(MarketingUserAdminMixin, admin.ModelAdmin):  # type: ignore[type-arg]
    """Of a user model that is no child of Django's: without fieldsets."""

    list_display = ["pk"]
    exclude = ["password", "groups", "user_permissions"]


LIST = "/admin/auth/user/"


@pytest.fixture(params=[SiteUserAdmin, PlainAdmin])
def users(request: Any, settings: Any, staff: Client, connection: Connection) -> Iterator[list[User]]:
    """The site registers its users with the mixin; three of them."""
    Connection.objects.create(name="kit", provider="kit")
    before = admin.site._registry.get(User)
    if before is not None:
        admin.site.unregister(User)
    admin.site.register(User, request.param)
    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": [path("admin/", admin.site.urls)]})
    yield [User.objects.create(username=f"user{number}", email=f"user{number}@example.com") for number in range(3)]
    admin.site.unregister(User)
    if before is not None:
        admin.site.register(User, type(before))


def act(client: Client, action: str, chosen: list[User], **more: Any) -> Any:
    data = {"action": action, ACTION_CHECKBOX_NAME: [user.pk for user in chosen], **more}
    return client.post(LIST, data, follow=True)


def said(answer: Any) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def test_the_selected_are_sent(staff: Client, users: list[User], connection: Connection) -> None:
    OutboxRow.objects.all().delete()
    answer = act(staff, "marketing_sync", users[:2])
    assert said(answer) == ["2 people are being sent."]
    assert sorted(row.subject for row in OutboxRow.objects.filter(connection=connection)) == sorted(
        f"user:{user.pk}" for user in users[:2]
    )
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.subject, entry.detail) == ("synced", "", {"people": 2})


def test_the_tag_is_asked_for(staff: Client, users: list[User]) -> None:
    asked = act(staff, "marketing_tag", users[:2])
    assert "2 people are tagged." in asked.text
    for user in users[:2]:
        assert f'name="_selected_action" value="{user.pk}"' in asked.text
    assert not ExplicitActs.objects.exists()
    assert act(staff, "marketing_tag", users[:2], marketing_tag_given="1", name="").status_code == 200
    assert not ExplicitActs.objects.exists()

    answer = act(staff, "marketing_tag", users[:2], marketing_tag_given="1", name="VIP")

    assert said(answer) == ["2 people are being tagged."]
    assert [acts.tags for acts in ExplicitActs.objects.all()] == [{"VIP": True}, {"VIP": True}]


def test_one_is_shown_on_their_page_and_some_on_a_list(staff: Client, users: list[User]) -> None:
    pages = [reverse("admin:mktg_integration_contact_person", args=[f"user:{user.pk}"]) for user in users]
    assert act(staff, "marketing_show", users[:1]).redirect_chain == [(pages[0], 302)]
    listed = act(staff, "marketing_show", users[:2]).text
    assert pages[0] in listed
    assert pages[1] in listed
    assert pages[2] not in listed


def test_a_users_page_leads_to_the_services(staff: Client, users: list[User]) -> None:
    page = staff.get(f"{LIST}{users[0].pk}/change/")
    assert page.status_code == 200
    assert reverse("admin:mktg_integration_contact_person", args=[f"user:{users[0].pk}"]) in page.text
    assert staff.get(f"{LIST}add/").status_code == 200


def test_everybody_is_marked_by_the_page(
    staff: Client, users: list[User], connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 2)
    OutboxRow.objects.all().delete()
    with CaptureQueriesContext(database) as captured:
        answer = act(staff, "marketing_sync", users[:1], select_across="1")
    assert said(answer) == ["4 people are being sent."]
    assert OutboxRow.objects.filter(connection=connection).count() == 4
    asked = [query["sql"].replace("`", '"') for query in captured]
    reads = [sql for sql in asked if sql.startswith('SELECT "auth_user"."id" AS "pk" FROM')]
    assert len(reads) == 3
    assert all("LIMIT 2" in sql for sql in reads)


@pytest.mark.parametrize(
    ("held", "offered"),
    [
        ([], []),
        (["sync_people"], ["marketing_sync", "marketing_tag"]),
        (["view_contact"], ["marketing_show"]),
    ],
)
def test_each_action_asks_for_its_permission(users: list[User], held: list[str], offered: list[str]) -> None:
    visitor = User.objects.create_user("visitor", is_staff=True)
    visitor.user_permissions.set(Permission.objects.filter(codename__in=[*held, "view_user"]))
    client = Client()
    client.force_login(visitor)
    OutboxRow.objects.all().delete()

    page = client.get(LIST).text

    names = ["marketing_sync", "marketing_tag", "marketing_show"]
    assert [name for name in names if f'value="{name}"' in page] == offered
    for name in itertools.filterfalse(offered.__contains__, names):
        act(client, name, users, marketing_tag_given="1", name="VIP")
    assert not OutboxRow.objects.exists()
    assert not ExplicitActs.objects.exists()
    person = reverse("admin:mktg_integration_contact_person", args=[f"user:{users[0].pk}"])
    assert (person in client.get(f"{LIST}{users[0].pk}/change/").text) == ("view_contact" in held)


def test_where_no_service_has_tags_it_is_said(staff: Client, users: list[User]) -> None:
    Connection.objects.filter(name="kit").delete()
    answer = act(staff, "marketing_tag", users[:1], marketing_tag_given="1", name="VIP")
    assert said(answer) == ["No connection that is switched on has tags."]
