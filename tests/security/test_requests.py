"""Requests that are forged, repeated, made up or far too large."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mktg_integration import preference_links
from mktg_integration.models import AuditEntry, Connection, Contact, Run, RunKind
from tests.security.conftest import ADDRESS, Browser

API = "/marketing/api/v1/"
JSON = "application/json"


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's browser, whose requests are checked as in production."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(User.objects.create_superuser("root"))
    return client


def verified(user: Any) -> bool:
    return True


@pytest.fixture
def customer(marketing: Callable[..., None], db: None) -> Client:
    """Somebody who is no staff, and whose address is shown to be theirs."""
    marketing(EMAIL_VERIFIED=f"{__name__}.verified")
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_user("ada", email=ADDRESS))
    return client


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("connection_act", {"pk": 1}), ("connection_test", {"pk": 1}), ("connection_disconnect", {"pk": 1}),
        ("connection_mapping", {"pk": 1}), ("run_start", {}), ("run_cancel", {"run_id": 1}),
        ("run_resume", {"run_id": 1}), ("run_confirm", {"run_id": 1}), ("run_discard", {"run_id": 1}),
        ("run_held", {"connection_id": 1}), ("contact_person_act", {"subject": "user:1", "act": "forget"}),
        ("contact_act", {"object_id": "1:1", "act": "forget"}), ("deadrow_act", {"name": "discard"}),
        ("deadrow_address", {"key": "1:profile:user:1"}),
    ],
)  # fmt: skip
def test_no_other_site_presses_a_button_of_the_admin(root: Client, name: str, kwargs: dict[str, Any]) -> None:
    assert root.post(reverse(f"admin:mktg_integration_{name}", kwargs=kwargs), {"sure": "on"}).status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "connections/"), ("POST", "connections/1/pause/"), ("DELETE", "connections/1/"),
     ("POST", "runs/1/cancel/"),
     ("POST", "rejected/discard/"), ("POST", "events/"), ("POST", "purchases/"), ("PATCH", "me/"),
     ("POST", "oauth/kit/start/"), ("POST", "contacts/1:1/forget/"), ("DELETE", "connections/1/webhooks/")],
)  # fmt: skip
def test_no_other_site_writes_by_the_api(root: Client, method: str, path: str) -> None:
    answer = root.generic(method, API + path, "{}", content_type=JSON)
    assert answer.status_code == 403
    assert "CSRF" in answer.json()["detail"]


@pytest.mark.parametrize("body", ["[" * 50_000, '{"topics":' * 50_000, '{"subscribed": ' + "9" * 5000 + "}"])
def test_a_body_that_is_nested_without_end_is_refused(customer: Client, body: str) -> None:
    answer = customer.patch(f"{API}me/", body, content_type=JSON)
    assert answer.status_code == 400
    assert answer.json()["status"] == 400


def test_a_body_that_is_far_too_large_is_refused(customer: Client, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10_000
    answer = customer.patch(f"{API}me/", json.dumps({"topics": {"x": "y" * 20_000}}), content_type=JSON)
    assert answer.status_code in (400, 413)
    assert answer.json()["code"] == "too_much"


@pytest.mark.parametrize("number", ["9" * 20, "9" * 5000, "1e400", "-1", "²", "x", "1.5", "\x00"])
def test_a_number_that_no_column_holds_is_a_bad_request(root: Client, number: str, db: None) -> None:
    root.raise_request_exception = False
    for path in (
        f"{API}audit/?actor=", f"{API}audit/?connection=", f"{API}runs/?connection=", f"{API}contacts/?connection=",
        f"{API}outbox/?connection=", f"{API}rejected/?connection=", f"{API}contacts/?page_size=",
        "/admin/mktg_integration/deadrow/?connection__id__exact=",
        "/admin/mktg_integration/deadrow/?state__exact=held&connection__id__exact=",
        "/admin/mktg_integration/contact/?status__exact=active&connection__id__exact=",
        "/admin/mktg_integration/outboxrow/?lane__exact=1&connection__id__exact=",
        "/admin/mktg_integration/auditentry/?connection__id__exact=",
        "/admin/mktg_integration/deadrow/act/discard/?state=held&code=x&connection=",
        "/admin/mktg_integration/run/?p=", "/admin/mktg_integration/tag/?connection=",
        "/admin/mktg_integration/tag/?connection__id__exact=", "/admin/mktg_integration/dailyfigures/?connection=",
        "/admin/mktg_integration/connection/?state__exact=", "/admin/mktg_integration/inboxrow/?q=",
    ):  # fmt: skip
        answer = root.get(path + number.replace("\x00", "%00"))
        assert answer.status_code in (200, 302, 400, 404), (path, number)


@pytest.mark.parametrize("person", ["user:" + "9" * 25, "lead:" + "9" * 25, "user:x", "user:-1", "lead:²"])
def test_nobody_has_a_number_that_no_column_holds(staff: Client, nameless: Connection, person: str) -> None:
    staff.raise_request_exception = False
    page = reverse("admin:mktg_integration_contact_person", args=[person])
    assert staff.get(page).status_code in (200, 404)
    for act in ("sync", "tag", "unsubscribe", "forget"):
        answer = staff.post(f"{page}{act}/", {"name": "VIP", "sure": "on"})
        assert answer.status_code == 302, act


def test_answers_with_people_in_them_are_kept_by_no_cache(root: Client, ada: Contact, customer: Client) -> None:
    for path in (f"{API}contacts/", f"{API}contacts/search/", f"{API}audit/", f"{API}connections/"):
        answer = root.get(path)
        assert "no-store" in answer.headers["Cache-Control"], path
    assert "no-store" in customer.get(f"{API}me/").headers["Cache-Control"]


def test_nobody_writes_what_is_not_theirs_to_write(root: Client, nameless: Connection, viewer: Browser) -> None:
    client = viewer("connect_accounts", "change_connection")
    body = {
        "source": "settings", "account_key": "kit:1", "account_label": "x", "bound_url": "x", "undeclared": True,
        "paused": True, "dry_run": True, "id": 77, "created_at": "2000-01-01T00:00:00Z",
    }  # fmt: skip
    before = Connection.objects.values().get()
    assert client.patch(f"{API}connections/{nameless.pk}/", json.dumps(body), content_type=JSON).status_code == 200
    assert Connection.objects.values().get() == before


@pytest.mark.parametrize(
    "path", ["outbox/x/", "rejected/x/", "runs/1/", "audit/1/", "contacts/1:1/", "tags/1:1/", "purchases/1:1/"]
)
def test_what_is_only_told_is_not_written(root: Client, path: str) -> None:
    client = Client()
    client.force_login(User.objects.get(username="root"))
    for method in ("PUT", "PATCH", "DELETE"):
        assert client.generic(method, API + path, "{}", content_type=JSON).status_code in (404, 405)


def test_a_preference_link_is_in_no_log(client: Client, caplog: pytest.LogCaptureFixture, db: None) -> None:
    """Whoever reads the log could choose for the person."""
    user = User.objects.create_user("ada", email=ADDRESS)
    token = preference_links.make(f"user:{user.pk}", ADDRESS)
    page = reverse("mktg_integration:preferences", args=[token])
    with caplog.at_level("DEBUG"):
        assert client.post(page, {"action": "nonsense"}).status_code == 400
        assert client.put(page).status_code == 405
        for _ in range(40):
            last = client.get(page)
        assert last.status_code == 429
    assert token not in caplog.text


def test_looking_at_a_preference_link_changes_nothing(client: Client, db: None) -> None:
    from mktg_integration.models import ExplicitActs, OptOut

    user = User.objects.create_user("ada", email=ADDRESS)
    page = reverse("mktg_integration:preferences", args=[preference_links.make(f"user:{user.pk}", ADDRESS)])
    query = {"List-Unsubscribe": "One-Click", "action": "leave"}
    for look in (client.get, client.head, client.options):
        look(page, query)
    assert not ExplicitActs.objects.exists()
    assert not OptOut.objects.exists()
    assert not AuditEntry.objects.exists()
    assert ADDRESS not in client.get(page).text


def test_a_link_is_for_nobody_else(client: Client, db: None) -> None:
    user = User.objects.create_user("ada", email=ADDRESS)
    other = User.objects.create_user("eve", email="eve@example.com")
    token = preference_links.make(f"user:{other.pk}", other.email)
    body, _, signature = token.partition("~")
    mine, _, mine_signature = preference_links.make(f"user:{user.pk}", ADDRESS).partition("~")
    for made_up in (f"{mine}~{signature}", f"{body}~{mine_signature}", body, f"{token}x", "~" * 50, "x" * 5000):
        page = reverse("mktg_integration:preferences", args=[made_up])
        assert client.post(page, {"action": "leave"}).status_code == 404
    # Signed by this site for something else.
    from django.core.signing import TimestampSigner

    forged = TimestampSigner(salt="another", sep="~").sign_object([f"user:{user.pk}", "x"])
    assert preference_links.read(forged) is None


def test_the_admins_home_and_a_run_say_nothing_to_who_may_not_look(db: None, nameless: Connection) -> None:
    Run.objects.create(connection=nameless, kind=RunKind.PUSH, started_at=nameless.created_at, detail="very private")
    client = Client()
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    assert "loop" not in client.get("/admin/").text
    assert client.get(f"{API}runs/").status_code == 403


def test_every_press_of_a_button_that_changes_something_is_written_down(
    viewer: Browser, connection: Connection
) -> None:
    """Also those that Django's own pages carry: tags that are made and renamed, deliveries that are applied again."""
    from django.utils import timezone

    from mktg_integration.models import InboxRow, InboxState, Tag

    kit = Connection.objects.create(name="news", provider="kit")
    now = timezone.now()
    tag = Tag.objects.create(
        key=f"{kit.pk}:1", connection=kit, remote_id="1", name="VIP", name_key="vip", seen_at=now
    )  # fmt: skip
    row = InboxRow.objects.create(key=f"{kit.pk}:1", connection=kit, kind="webhook", received_at=now, due_at=now,
                                  state=InboxState.APPLIED)  # fmt: skip
    client = viewer("sync_people")
    client.post(reverse("admin:mktg_integration_tag_add"), {"connection": kit.pk, "name": "New"})
    rename = {"action": "rename", "_selected_action": [tag.pk], "new_name": "Very important"}
    client.post(reverse("admin:mktg_integration_tag_changelist"), rename)
    again = {"action": "apply_again", "_selected_action": [row.pk]}
    client.post(reverse("admin:mktg_integration_inboxrow_changelist"), again)
    told = [(one.action, one.connection_name, one.detail) for one in AuditEntry.objects.order_by("pk")]
    assert told == [
        ("changed", "news", {"tag": "New", "created": True}),
        ("changed", "news", {"tag": "Very important", "before": "VIP"}),
        ("replayed", "news", {"table": "inboxrow", "count": 1}),
    ]
