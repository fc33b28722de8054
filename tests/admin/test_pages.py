"""All pages of the admin: none asks a service, and none has a script or a style in its text."""

from __future__ import annotations

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Model
from django.test import Client
from django.urls import reverse

from mktg_integration.audit import Actor, record
from mktg_integration.models import (
    AccountSnapshot,
    AuditAction,
    Broadcast,
    Connection,
    Contact,
    DeadKind,
    DeadRow,
    EmailTemplate,
    Form,
    InboxRow,
    PullCheckpoint,
    Purchase,
    Run,
    RunKind,
    RunStatus,
    Segment,
    Sequence,
    ServiceAccount,
    Webhook,
    WebhookSubscription,
)
from tests.admin.test_lists import NOW, add_dead, everything  # noqa: F401 (a fixture)

HOME = reverse("admin:app_list", args=["mktg_integration"])
OURS = [model for model in admin.site._registry if model._meta.app_label == "mktg_integration"]
FOR_ONE_ROW = ["change", "history", "delete"]


@pytest.fixture
def full(everything: Connection) -> Connection:  # noqa: F811
    """A row of every table that has pages."""
    connection = everything
    mirrored: dict[str, Any] = {"connection": connection, "remote_id": "1", "seen_at": NOW}
    for model in (Form, Sequence, Segment, EmailTemplate):
        model.objects.create(key=f"{connection.pk}:1", name="One", **mirrored)
    Broadcast.objects.create(key=f"{connection.pk}:1", subject="News", **mirrored)
    Purchase.objects.create(key=f"{connection.pk}:1", email="person0@example.com", **mirrored)
    names = ("subscribers", "new_subscribers", "cancellations", "net_new_subscribers")
    figures: dict[str, Any] = dict.fromkeys((*names, "emails_sent", "emails_opened", "emails_clicked"), 1)
    account = ServiceAccount.objects.create(key=f"{connection.pk}:1", name="One", **mirrored)
    AccountSnapshot.objects.create(
        key=f"{connection.pk}:1", account=account, day=NOW.date(), days=1, **figures, **mirrored
    )
    Webhook.objects.create(key=f"{connection.pk}:1", event="tag_add", target_url="https://example.com/", **mirrored)
    PullCheckpoint.objects.create(key=f"{connection.pk}:tags", connection=connection, stream="tags")
    WebhookSubscription.objects.create(key=f"{connection.pk}:1", connection=connection, event="tag_add")
    InboxRow.objects.create(key="1", connection=connection, kind="webhook", received_at=NOW, due_at=NOW)
    Run.objects.create(
        connection=connection, kind=RunKind.RECONCILE, status=RunStatus.DONE, is_preview=True, started_at=NOW,
        finished_at=NOW, counts={"missing": 2}, examples={"missing": ["user:1"]},
    )  # fmt: skip
    add_dead(connection, 7, DeadKind.HELD)
    add_dead(connection, 8, DeadKind.NEEDS_PERSON)
    record(Actor(None, "command"), AuditAction.PAUSED, connection=connection, reason="holiday")
    return connection


def pages_of(model: type[Model]) -> Iterator[str]:
    """What Django's admin has of a table."""
    name = f"admin:mktg_integration_{model._meta.model_name}_"
    row = model._default_manager.first()
    yield reverse(f"{name}changelist")
    yield reverse(f"{name}add")
    if row is not None:
        yield from (reverse(f"{name}{page}", args=[row.pk]) for page in FOR_ONE_ROW)


def own_pages() -> list[str]:
    """What is ours beside those."""
    queries = {"deadrow_act": f"?key={DeadRow.objects.get(state=DeadKind.NEEDS_PERSON).pk}"}
    return [
        reverse(f"admin:mktg_integration_{name}", args=args) + queries.get(name, "") for name, args in named().items()
    ]


def named() -> dict[str, list[Any]]:
    connection, run = Connection.objects.get(), Run.objects.filter(kind=RunKind.RECONCILE).get()
    contact = Contact.objects.exclude(subject="").first()
    assert contact is not None
    needs = DeadRow.objects.get(state=DeadKind.NEEDS_PERSON)
    return {
        "connection_act": [connection.pk],
        "connection_test": [connection.pk],
        "connection_disconnect": [connection.pk],
        "connection_mapping": [connection.pk],
        "run_start": [],
        "run_reconciles": [],
        "run_held": [connection.pk],
        "run_progress": [run.pk],
        "run_cancel": [run.pk],
        "run_resume": [run.pk],
        "run_confirm": [run.pk],
        "run_discard": [run.pk],
        "deadrow_act": ["discard"],
        "deadrow_address": [needs.pk],
        "contact_person": [contact.subject],
        "contact_person_act": [contact.subject, "subscribe"],
        "contact_act": [contact.pk, "forget"],
        "contact_refresh": [contact.pk],
    }


def test_every_page_is_known_here(full: Connection) -> None:
    known = set(named())
    for model in OURS:
        plain = {f"{model._meta.model_name}_{page}" for page in ("changelist", "add", *FOR_ONE_ROW)}
        found = {
            str(pattern.name).removeprefix("mktg_integration_")
            for pattern in admin.site._registry[model].get_urls()
            if getattr(pattern, "name", None)
        }
        assert found - plain - known == set(), "name the page here, so that the tests of all pages open it too"


def opened(client: Client) -> Iterator[tuple[str, Any]]:
    """Every page that can be opened, with its answer."""
    addresses = [HOME, *(page for model in OURS for page in pages_of(model)), *own_pages()]
    for address in addresses:
        answer = client.get(address)
        assert answer.status_code in (200, 302, 403, 405), address
        if answer.status_code == 200:
            yield address, answer


def test_no_page_asks_a_service(staff: Client, full: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise AssertionError("a page opened a connection")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    monkeypatch.setattr("socket.create_connection", refuse)
    monkeypatch.setattr("urllib3.connection.HTTPConnection.connect", refuse)
    monkeypatch.setattr("requests.Session.send", refuse)
    monkeypatch.setattr("mktg_integration.http.session.Session.request", refuse, raising=False)
    assert len(list(opened(staff))) > 2 * len(OURS)


class Inline(HTMLParser):
    """Notes what a strict Content Security Policy would refuse."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.found += [f"{name} of {tag}" for name in given if name.startswith("on") or name == "style"]
        self.found += [f"{name} of {tag}" for name, value in attrs if (value or "").startswith("javascript:")]
        is_data = given.get("type") in ("application/json", "text/template")
        self.inside = tag if tag == "style" or (tag == "script" and "src" not in given and not is_data) else ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        # Django's own, on a list without actions.
        if self.inside and data.strip() and "#changelist table thead th:first-child" not in data:
            self.found.append(f"{self.inside}: {data.strip()[:60]}")


def test_no_page_has_a_script_or_a_style_in_its_text(staff: Client, full: Connection) -> None:
    User.objects.create_user("ada", "ada@example.com")
    refused = {}
    for address, answer in opened(staff):
        if "html" not in answer.headers["Content-Type"]:
            continue
        reader = Inline()
        reader.feed(answer.text)
        if reader.found:
            refused[address] = reader.found
    assert refused == {}


def test_the_pages_of_results_have_none_either(staff: Client, full: Connection) -> None:
    for name, given in [("connection_mapping", {"user_id": "1"})]:
        reader = Inline()
        reader.feed(staff.post(reverse(f"admin:mktg_integration_{name}", args=[full.pk]), given).text)
        assert reader.found == []


def test_the_reader_of_pages_sees_what_it_should() -> None:
    reader = Inline()
    reader.feed('<p style="x" onclick="y"><a href="javascript:z">a</a><script>let a</script><style>b {}</style>')
    assert len(reader.found) == 5
