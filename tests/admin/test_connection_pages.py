"""What staff do with one connection: its buttons, its test, disconnecting it, and trying its mapping on somebody."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mktg_integration.connections import sync_declared
from mktg_integration.mirror import optouts
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import (
    AuditEntry,
    Connection,
    CustomField,
    OAuthToken,
    OptOut,
    OptOutKind,
    OutboxRow,
    Run,
    RunKind,
    SyncState,
    WebhookSubscription,
)
from mktg_integration.profile import Consent, Profile
from mktg_integration.providers.base import Snapshot
from mktg_integration.push import snapshots
from mktg_integration.push.outbox import mark
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.admin.test_lists import add_row

TASKS = "mktg_integration.tasks."


def address(connection: Connection, name: str) -> str:
    return reverse(f"admin:mktg_integration_connection_{name}", args=[connection.pk])


def press(client: Client, connection: Connection, button: str) -> list[str]:
    """Press a button; what the admin said of it."""
    answer = client.post(address(connection, "act"), {"act": button, "back": "page"})
    assert answer.status_code == 302
    return [str(message) for message in get_messages(answer.wsgi_request)]


def profile(user: User, connection: Connection) -> Profile | None:
    """The mapping of these tests."""
    if user.username == "nobody":
        return None
    if user.username == "broken":
        raise KeyError(user.email)
    return Profile(
        email=user.email,
        first_name=user.first_name,
        fields={"City": "Oslo", "Plan": ""},
        tags={"Member"},
        consent=Consent.granted(how="form"),
    )


@pytest.fixture
def kit(tasks: Any, db: None, mktg_sandbox: Sandbox, marketing: Any) -> Connection:
    """A declared connection to the sandbox's Kit, with the mapping of these tests."""
    with mktg_sandbox.locked("kit") as service:
        service.settings.newer_endpoints = True  # type: ignore[attr-defined]
    given = {"PROVIDER": "kit", "BASE_URL": mktg_sandbox.kit_url, "ACCESS_TOKEN": credentials.KIT_ACCESS_TOKEN}
    marketing(CONNECTIONS={"kit": given}, PROFILE=f"{__name__}.profile", PUBLIC_URL="http://testserver")
    sync_declared()
    return Connection.objects.get(name="kit")


# Buttons


@pytest.mark.parametrize(
    ("button", "before", "after", "asked"),
    [
        ("pause", {}, {"paused": True}, []),
        ("resume", {"paused": True}, {"paused": False}, [("drain", 1)]),
        ("dry_run_on", {}, {"dry_run": True}, []),
        ("dry_run_off", {"dry_run": True}, {"dry_run": False}, [("drain", 1)]),
    ],
)
def test_a_switch_is_pressed_and_written_down(
    staff: Client, connection: Connection, tasks: list[Any], button: str, before: Any, after: Any, asked: list[Any]
) -> None:
    Connection.objects.update(**before)
    press(staff, connection, button)
    connection.refresh_from_db()
    assert {name: getattr(connection, name) for name in after} == after
    assert [path for path, _ids in tasks] == [TASKS + name for name, _ in asked]
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.via, entry.connection_name) == (User.objects.get(username="root"), "admin", "crm")


@pytest.mark.parametrize(
    ("button", "kind"),
    [("push", RunKind.PUSH), ("push_everybody", RunKind.PUSH), ("reconcile", RunKind.RECONCILE)],
)
def test_a_run_is_started_and_its_page_opened(
    staff: Client, connection: Connection, button: str, kind: RunKind
) -> None:
    answer = staff.post(address(connection, "act"), {"act": button})
    run = Run.objects.get()
    assert run.kind == kind
    assert answer["Location"] == reverse("admin:mktg_integration_run_change", args=[run.pk])


def test_a_button_that_cannot_be_done_says_why(staff: Client, connection: Connection, tasks: list[Any]) -> None:
    Connection.objects.update(dry_run=True)
    assert "dry run" in press(staff, connection, "push")[-1]
    assert "tells nothing by itself" in press(staff, connection, "register_webhooks")[-1]
    assert not tasks
    assert not AuditEntry.objects.exists()


def test_an_unknown_button_is_nowhere(staff: Client, connection: Connection) -> None:
    assert staff.post(address(connection, "act"), {"act": "explode"}).status_code == 404
    assert staff.get(address(connection, "act")).status_code == 405


def test_buttons_need_the_token_of_the_form(staff: Client, connection: Connection) -> None:
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(User.objects.get(username="root"))
    for name in ("act", "test", "disconnect", "mapping"):
        assert browser.post(address(connection, name), {"act": "pause"}).status_code == 403, name
    connection.refresh_from_db()
    assert not connection.paused


def test_the_page_offers_what_fits(staff: Client, connection: Connection) -> None:
    page = staff.get(address(connection, "change")).text
    assert 'value="pause"' in page
    assert 'value="resume"' not in page
    Connection.objects.update(paused=True)
    page = staff.get(address(connection, "change")).text
    assert 'value="resume"' in page
    assert 'value="push"' not in page


@pytest.mark.parametrize("button", ["register_webhooks", "repair_webhooks", "remove_webhooks"])
def test_webhooks_are_a_tasks_work(staff: Client, kit: Connection, tasks: list[Any], button: str) -> None:
    press(staff, kit, button)
    assert tasks == [(TASKS + button, (kit.pk,))]
    assert AuditEntry.objects.get().action == "webhooks"


def test_a_webhook_that_is_missing_is_shown(staff: Client, kit: Connection) -> None:
    WebhookSubscription.objects.create(key=f"{kit.pk}:a", connection=kit, event="tag_add")
    page = staff.get(address(kit, "change")).text
    assert "tag_add" in page
    assert "<strong>missing</strong>" in page


# The test


def results(client: Client, connection: Connection) -> dict[str, bool | None]:
    page = client.post(address(connection, "test"))
    assert page.status_code == 200
    return {step.name: step.ok for step in page.context["steps"]}


def test_a_connection_is_tested_step_by_step(staff: Client, kit: Connection) -> None:
    User.objects.create_user("ada", "ada@example.com")
    assert results(staff, kit) == {
        "Clock": True,
        "Address": True,
        "Credentials": True,
        "Account": True,
        "Custom fields": None,
        "Webhooks": None,
    }
    kit.refresh_from_db()
    assert kit.account_label


def test_a_wrong_key_is_found_and_the_test_ends_there(staff: Client, kit: Connection, marketing: Any) -> None:
    given = {**kit.declared, "ACCESS_TOKEN": "wrong"}
    marketing(CONNECTIONS={"kit": given})
    assert results(staff, kit) == {"Clock": True, "Address": True, "Credentials": False}


def test_the_key_of_another_account_is_found(staff: Client, kit: Connection) -> None:
    Connection.objects.filter(pk=kit.pk).update(account_key="kit:of another account")
    assert results(staff, kit)["Account"] is False
    kit.refresh_from_db()
    assert kit.account_key == "kit:of another account"


def test_a_webhook_that_is_gone_there_is_found(staff: Client, kit: Connection) -> None:
    WebhookSubscription.objects.create(
        key=f"{kit.pk}:a", connection=kit, event="subscriber.subscriber_activate", remote_id="gone"
    )
    assert results(staff, kit)["Webhooks"] is False


def test_a_service_that_is_down_is_told(staff: Client, kit: Connection, marketing: Any) -> None:
    marketing(CONNECTIONS={"kit": {**kit.declared, "BASE_URL": "http://127.0.0.1:9"}}, CONNECT_SECONDS=0.5)
    page = staff.post(address(kit, "test"))
    assert [step.name for step in page.context["steps"] if step.ok is False] == ["Service"]
    assert "The service does not answer" in page.text


def test_opening_the_tests_page_tests_nothing(staff: Client, kit: Connection, mktg_sandbox: Sandbox) -> None:
    before = len(mktg_sandbox.log.entries("kit"))
    assert "Test now" in staff.get(address(kit, "test")).text
    assert len(mktg_sandbox.log.entries("kit")) == before


# Disconnecting


def test_disconnecting_says_first_what_stops(staff: Client, connection: Connection, tasks: list[Any]) -> None:
    add_row(connection, 1)
    page = staff.get(address(connection, "disconnect"))
    for told in ("Nothing is sent to the service any more", "are not passed on", "The outbox (1)"):
        assert told in page.text, told
    assert not tasks


@pytest.mark.parametrize(("ticked", "deletes"), [({}, 0), ({"delete_mirror": "1"}, 1)])
def test_an_account_is_disconnected(
    staff: Client, connection: Connection, tasks: list[Any], ticked: dict[str, str], deletes: int
) -> None:
    staff.post(address(connection, "disconnect"), ticked)
    assert tasks == [(TASKS + "disconnect", (connection.pk, deletes))]
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.detail) == ("disconnected", {"delete_mirror": bool(deletes)})


def test_a_copy_of_the_database_cuts_nobody_off(
    staff: Client, connection: Connection, tasks: list[Any], marketing: Any
) -> None:
    Connection.objects.update(bound_url="https://production.example")
    marketing(PUBLIC_URL="https://staging.example")
    staff.post(address(connection, "disconnect"))
    assert not tasks
    assert 'value="confirm_site"' in staff.get(address(connection, "change")).text


def test_who_is_disconnected_is_not_disconnected_again(staff: Client, connection: Connection, tasks: list[Any]) -> None:
    OAuthToken.objects.create(connection=connection, disconnected_at=timezone.now())
    Connection.objects.update(push_enabled=False)
    staff.post(address(connection, "disconnect"))
    assert not tasks


# The mapping


def sample_of(client: Client, connection: Connection, user_id: Any) -> Any:
    return client.post(address(connection, "mapping"), {"user_id": user_id})


def test_the_mapping_is_tried_on_a_user_field_by_field(staff: Client, kit: Connection, mktg_sandbox: Sandbox) -> None:
    user = User.objects.create_user("ada", "ada@example.com", first_name="Ada")
    before, rows = len(mktg_sandbox.log.entries("kit")), OutboxRow.objects.count()
    sample = sample_of(staff, kit, user.pk).context["sample"]
    told = {field.name: (field.given, field.held) for field in sample.fields}
    assert sample.goes
    assert told["email"] == ("ada@example.com", "ada@example.com")
    assert told["City"] == ("Oslo", "Oslo")
    assert told["Plan"] == ("", None)
    assert told["tags"] == ("Member", "member")
    assert (len(mktg_sandbox.log.entries("kit")), OutboxRow.objects.count()) == (before, rows)


def test_trying_the_mapping_writes_nothing(staff: Client, kit: Connection) -> None:
    """A push would carry an old no over to the new address; the sample only looks."""
    user = User.objects.create_user("ada", "new@example.com")
    optouts.opt_out("old@example.com", kind=OptOutKind.UNSUBSCRIBED, source="kit", scope=None)
    sent = snapshots.dump(Snapshot(email="old@example.com"))
    SyncState.objects.create(
        key=f"{kit.pk}:user:{user.pk}",
        connection=kit,
        subject=f"user:{user.pk}",
        email_key="old@example.com",
        sent=sent,
    )
    sample = sample_of(staff, kit, user.pk).context["sample"]
    assert {field.name: str(field.held) for field in sample.fields}["consent"] == "refused"
    assert OptOut.objects.count() == 1


@pytest.mark.parametrize(
    ("username", "why"),
    [("nobody", "The mapping leaves this user out."), ("broken", "the mapping raised KeyError")],
)
def test_who_does_not_go_there_is_told_why(staff: Client, kit: Connection, username: str, why: str) -> None:
    user = User.objects.create_user(username, f"{username}@example.com")
    sample = sample_of(staff, kit, user.pk).context["sample"]
    assert not sample.goes
    assert why in sample.why
    assert f"{username}@example.com" not in sample.why


@pytest.mark.parametrize("user_id", ["", "0", "ada", "9" * 40])
def test_a_user_that_is_not_there_is_said_so(staff: Client, kit: Connection, user_id: str) -> None:
    assert "There is no user with this id." in sample_of(staff, kit, user_id).text


def test_fields_that_the_account_lacks_are_named(staff: Client, kit: Connection) -> None:
    User.objects.create_user("ada", "ada@example.com")
    assert "have not been read yet" in staff.get(address(kit, "mapping")).text
    for number, name in enumerate(["plan", "city"]):
        CustomField.objects.create(
            key=remote_key(kit.pk, str(number)), connection=kit, remote_id=str(number), field_key=name, label=name,
            seen_at=timezone.now(),
        )  # fmt: skip
    assert staff.get(address(kit, "mapping")).context["fields"].missing == ()
    CustomField.objects.filter(field_key="city").delete()
    page = staff.get(address(kit, "mapping"))
    assert page.context["fields"].missing == ("city",)
    assert "They are created with the first push" in page.text


def test_what_is_left_to_send_is_given_up_with_a_reason(staff: Client, connection: Connection) -> None:
    mark(["user:1"])
    page = address(connection, "disconnect")
    assert "Give up the outbox" not in staff.get(page).text
    Connection.objects.update(push_enabled=False)
    assert "Give up the outbox" in staff.get(page).text

    staff.post(page, {"give_up": "1", "reason": ""})
    assert OutboxRow.objects.count() == 1
    staff.post(page, {"give_up": "1", "reason": "the account is closed"})

    assert not OutboxRow.objects.exists()
    assert AuditEntry.objects.get().action == "discarded"
