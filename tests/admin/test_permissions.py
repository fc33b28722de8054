"""Who may do what in the admin: each page, button and action for each role."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse

from mktg_integration.admin.acts import ACTS as CONNECTION_ACTS
from mktg_integration.admin.deadrows import ACTS as DEAD_ACTS
from mktg_integration.admin.person import ACTS as PERSON_ACTS
from mktg_integration.models import Connection, Contact, DeadKind, DeadRow, Run, RunKind, Tag
from mktg_integration.permissions import ALL, CONNECT, ERASE, REPLAY, SYNC, VIEW_PERSONAL_DATA
from tests.admin.test_lists import everything  # noqa: F401 (a fixture)
from tests.admin.test_pages import FOR_ONE_ROW, OURS, full, named, pages_of  # noqa: F401 (a fixture)

POSTED = {
    # What each of our own pages asks of who presses its button; one of several will do.
    "connection_test": {SYNC, CONNECT},
    "connection_disconnect": {CONNECT},
    "connection_mapping": {VIEW_PERSONAL_DATA},
    "contact_refresh": {SYNC},
    "run_start": {SYNC},
    "run_held": {REPLAY},
    "run_cancel": {SYNC},
    "run_resume": {SYNC},
    "run_confirm": {SYNC},
    "run_discard": {SYNC},
}
BY_GET = {"run_progress", "run_reconciles", "contact_person"}
"""Pages that are looked at, by whoever may see the table."""
BY_ACT = {"connection_act", "contact_person_act", "contact_act", "deadrow_act", "deadrow_address"}
"""Pages whose permission depends on the act: tested one act after the other."""
VIEW = ""
"""Whoever may see the table."""
LIST_ACTIONS = {
    "connection": {
        "push_now": SYNC, "start_pull": SYNC, "push_everybody": SYNC, "start_reconcile": SYNC, "pause": SYNC,
        "resume": SYNC, "confirm_site": CONNECT, "register_webhooks": CONNECT, "remove_webhooks": CONNECT,
    },
    "tag": {"rename": SYNC},
    "auditentry": {"export_csv": VIEW},
    "contact": {"export_csv": VIEW},
    "run": {"export_csv": VIEW},
    "deadrow": {"export_csv": VIEW, "replay": REPLAY, "confirm": REPLAY, "done": REPLAY, "discard": REPLAY},
    "inboxrow": {"apply_again": SYNC},
    "outboxrow": {"push_now": SYNC},
}  # fmt: skip


def member(*permissions: str, views: bool = True, staff: bool = True) -> User:
    """A user with these permissions, and the ones to see every table."""
    user = User.objects.create_user(f"user{User.objects.count()}", is_staff=staff)
    codes = [permission.partition(".")[2] for permission in permissions]
    user.user_permissions.set(Permission.objects.filter(codename__in=codes))
    if views:
        seeing = Permission.objects.filter(content_type__app_label="mktg_integration", codename__startswith="view_")
        user.user_permissions.add(*seeing.exclude(codename="view_personal_data"))
    return user


def browser(user: User | None) -> Client:
    client = Client()
    if user is not None:
        client.force_login(user)
    return client


def is_let_in(client: Client, address: str, given: dict[str, Any] | None) -> bool:
    """Whether the press of a button, or without ``given`` a look, is not refused."""
    answer = client.post(address, given) if given is not None else client.get(address)
    assert answer.status_code in (200, 302, 403), (address, answer.status_code)
    to_login = answer.status_code == 302 and "/login/" in answer["Location"]
    return answer.status_code != 403 and not to_login


def roles() -> dict[str, User]:
    """Staff who see every table: without more, and with each of the permissions alone."""
    return {"": member(), **{permission: member(permission) for permission in ALL}}


def check(address: str, given: dict[str, Any] | None, allowed: set[str]) -> None:
    """Those with one of the permissions alone are let in, and nobody else."""
    let_in = {permission for permission, user in roles().items() if is_let_in(browser(user), address, given)}
    assert let_in == allowed, address


def own_page(name: str) -> str:
    return reverse(f"admin:mktg_integration_{name}", args=named()[name])


# Looking


@pytest.fixture
def outsiders(full: Connection) -> list[User | None]:  # noqa: F811
    """Nobody, a user who is no staff, staff without a permission, and one with all of ours who sees no table."""
    return [None, member(*ALL, staff=False), member(views=False), member(*ALL, views=False)]


def test_outsiders_see_no_page(outsiders: list[User | None]) -> None:
    pages = [page for model in OURS for page in pages_of(model)] + [own_page(name) for name in BY_GET]
    for user in outsiders:
        client = browser(user)
        # Whoever may have people sent may have a tag made, without seeing the list of tags.
        let_in = [page for page in pages if is_let_in(client, page, None) and not page.endswith("/tag/add/")]
        assert let_in == []


def test_whoever_sees_a_table_can_only_look(full: Connection) -> None:  # noqa: F811
    client = browser(member())
    for model in OURS:
        for page in pages_of(model):
            looks = not page.endswith(("/add/", "/delete/"))
            assert is_let_in(client, page, None) == looks, page
    for name in BY_GET:
        assert is_let_in(client, own_page(name), None), name


def test_outsiders_press_no_button(outsiders: list[User | None]) -> None:
    for name in [*POSTED, *BY_ACT]:
        for user in outsiders[:3]:
            data = {"act": "pause", "text": "x"}
            assert not is_let_in(browser(user), own_page(name), data), name


def test_our_permissions_open_no_table(full: Connection) -> None:  # noqa: F811
    """A connection is not paused, tested or given up by those who may not see it."""
    client = browser(member(*ALL, views=False))
    for name in ("connection_act", "connection_test", "connection_disconnect", "connection_mapping"):
        assert not is_let_in(client, own_page(name), {"act": "pause"}), name


# Pressing


def test_every_button_is_in_a_table_here(full: Connection) -> None:  # noqa: F811
    assert set(POSTED) | BY_GET | BY_ACT == set(named())


@pytest.mark.parametrize("name", POSTED)
def test_a_button_takes_its_permission(full: Connection, name: str, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr("mktg_integration.operations.connections.test", lambda actor, connection: [])
    given = {"connection": str(full.pk), "kind": "reconcile", "user_id": "1"}
    check(own_page(name), given, POSTED[name])


@pytest.mark.parametrize("act", CONNECTION_ACTS, ids=lambda act: act.name)
def test_a_connections_button_takes_its_permission(full: Connection, act: Any) -> None:  # noqa: F811
    check(own_page("connection_act"), {"act": act.name}, {act.permission})


@pytest.mark.parametrize("act", PERSON_ACTS)
def test_a_persons_button_takes_its_permission(full: Connection, act: str) -> None:  # noqa: F811
    contact = Contact.objects.exclude(subject="").first()
    assert contact is not None
    by_person = reverse("admin:mktg_integration_contact_person_act", args=[contact.subject, act])
    by_contact = reverse("admin:mktg_integration_contact_act", args=[contact.pk, act])
    allowed = ERASE if act == "forget" else SYNC
    assert PERSON_ACTS[act].permission == allowed
    check(by_person, {}, {allowed})
    check(by_contact, {}, {allowed})


@pytest.mark.parametrize("act", DEAD_ACTS)
def test_a_rejected_rows_button_takes_its_permission(full: Connection, act: str) -> None:  # noqa: F811
    row = DeadRow.objects.filter(state=DeadKind.NEEDS_PERSON).get()
    address = reverse("admin:mktg_integration_deadrow_act", args=[act])
    check(f"{address}?key={row.pk}", None, {REPLAY})


def test_credentials_and_the_end_of_a_connection_take_two_permissions(full: Connection) -> None:  # noqa: F811
    """Django's own, and the one to connect accounts."""
    for page, right in (("add", "add_connection"), ("change", "change_connection"), ("delete", "delete_connection")):
        args = [] if page == "add" else [full.pk]
        address = reverse(f"admin:mktg_integration_connection_{page}", args=args)
        alone, both = member(f"x.{right}"), member(f"x.{right}", CONNECT)
        assert "credential-" not in browser(alone).get(address).text
        assert is_let_in(browser(both), address, None)
        assert is_let_in(browser(both), address, {}) or page == "change"
        # Posting without the second is refused on each of them.
        Connection.objects.get_or_create(pk=full.pk, defaults={"name": "crm", "provider": "conversion"})
        assert not is_let_in(browser(alone), address, {"name": "mine"}), page


def test_deleting_what_a_service_told_takes_the_permission_to_delete(full: Connection, tasks: list[Any]) -> None:  # noqa: F811
    address = own_page("connection_disconnect")
    assert not is_let_in(browser(member(CONNECT)), address, {"delete_mirror": "1"})
    assert not tasks
    assert is_let_in(browser(member(CONNECT, "x.delete_connection")), address, {"delete_mirror": "1"})
    assert tasks == [("mktg_integration.tasks.disconnect", (full.pk, 1))]


# The actions of lists


def test_every_action_is_in_the_table_here() -> None:
    found: dict[str | None, set[Any]] = {}
    for model in OURS:
        names = {getattr(action, "__name__", action) for action in admin.site._registry[model].actions or ()}
        found |= {model._meta.model_name: names} if names else {}
    assert found == {name: set(actions) for name, actions in LIST_ACTIONS.items()}


@pytest.mark.parametrize("model", [model for model in OURS if model._meta.model_name in LIST_ACTIONS])
def test_a_list_offers_the_actions_of_each_role(db: None, model: type[Any]) -> None:
    wanted = LIST_ACTIONS[model._meta.model_name]
    for permission, user in roles().items():
        request: HttpRequest = RequestFactory().get("/")
        request.user = user
        offered = set(admin.site._registry[model].get_actions(request)) - {"delete_selected"}
        assert offered == {name for name, needed in wanted.items() if needed in (permission, VIEW)}, permission


def test_only_who_may_have_people_sent_makes_tags(full: Connection) -> None:  # noqa: F811
    check(reverse("admin:mktg_integration_tag_add"), None, {SYNC})
    assert Tag.objects.exists()


# Personal data


SECRETS = ("Person0@Example.com", "Person1@Example.com", "Lead0@example.com", "person0@example.com", "Oslo")


def shown(client: Client) -> dict[str, list[str]]:
    """What of people's data stands on which page."""
    pages = [page for model in OURS for page in pages_of(model)] + [own_page(name) for name in BY_GET]
    found: dict[str, list[str]] = {}
    for page in pages:
        answer = client.get(page)
        if answer.status_code == 200:
            told = [secret for secret in SECRETS if secret in answer.text]
            found |= {page: told} if told else {}
    return found


def test_personal_data_is_on_no_page_of_whoever_may_not_see_it(full: Connection) -> None:  # noqa: F811
    assert Run.objects.filter(kind=RunKind.RECONCILE).exists()
    every = member(*(set(ALL) - {VIEW_PERSONAL_DATA}))
    assert shown(browser(every)) == {}


def test_personal_data_is_there_for_whoever_may(full: Connection) -> None:  # noqa: F811
    pages = shown(browser(member(VIEW_PERSONAL_DATA)))
    assert {secret for told in pages.values() for secret in told} == set(SECRETS)
