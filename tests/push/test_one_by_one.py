"""Contacts of a service without a list (Conversion): asked for one by one, by the schedule and by the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from mktg_integration import tasks
from mktg_integration.audit import Actor
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import Connection, Contact, PullCheckpoint, PullPage
from mktg_integration.operations.contacts import read_anew
from mktg_integration.pull import refresh
from mktg_integration.pull.lease import take_lease
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, send

BY_EMAIL = "GET /v1/contacts/by-email/{email}"
NAMES = ("ada", "bob", "cy", "dan")


@pytest.fixture
def crm(connect: Connect, sign_up: Callable[..., Any]) -> Connection:
    connection = connect("conversion")["conversion"]
    for name in NAMES:
        sign_up(name)
    send(connection)
    let_a_day_pass()
    return connection


def let_a_day_pass() -> None:
    """Since anything was told of anybody, and since the last pass began."""
    ago = timezone.now() - timedelta(days=1, seconds=1)
    Contact.objects.update(seen_at=ago)
    PullCheckpoint.objects.update(started_at=ago)


@pytest.fixture
def queued(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int | str, ...]]]:
    """What was handed to the task engine."""
    calls: list[tuple[str, tuple[int | str, ...]]] = []
    monkeypatch.setattr("mktg_integration.background.enqueue", lambda path, *ids, **_: calls.append((path, ids)))
    return calls


def unsubscribe(sandbox: Sandbox, *names: str) -> None:
    """At the service."""
    world = sandbox.dump()
    for contact in world["conversion"]["contacts"]:
        if contact["email"].removesuffix("@example.com") in names:
            contact["subscription_status"] = "UNSUBSCRIBED"
    sandbox.load(world)


def lose(sandbox: Sandbox, *names: str) -> None:
    world = sandbox.dump()
    world["conversion"]["contacts"] = [
        contact
        for contact in world["conversion"]["contacts"]
        if contact["email"].removesuffix("@example.com") not in names
    ]
    sandbox.load(world)


def reads(sandbox: Sandbox) -> int:
    return sum(entry.operation == BY_EMAIL for entry in sandbox.log.entries("conversion"))


def out() -> list[str]:
    return sorted(Contact.objects.filter(status="unsubscribed").values_list("email", flat=True))


# By the schedule


def test_the_schedule_finds_out_who_unsubscribed(crm: Connection, mktg_sandbox: Sandbox, queued: list[Any]) -> None:
    unsubscribe(mktg_sandbox, "bob")

    tasks.refresh_all()
    assert queued == [("mktg_integration.tasks.refresh_contacts", (crm.pk,))]
    tasks.refresh_contacts(crm.pk)

    assert out() == ["bob@example.com"]
    queued.clear()
    tasks.refresh_all()
    assert queued == [], "once a day is enough"


def test_who_was_told_of_today_is_not_asked_for(
    crm: Connection, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    sign_up("eve")
    send(crm)
    before = reads(mktg_sandbox)
    refresh.go_on(crm, seconds=10, per_second=1000)
    assert reads(mktg_sandbox) - before == len(NAMES)


def test_after_a_day_another_pass_begins(crm: Connection, mktg_sandbox: Sandbox) -> None:
    tasks.refresh_contacts(crm.pk)
    let_a_day_pass()
    unsubscribe(mktg_sandbox, "cy")
    assert refresh.due_passes() == [crm]
    tasks.refresh_contacts(crm.pk)
    assert out() == ["cy@example.com"]


def test_a_pass_goes_on_where_its_last_part_ended(
    crm: Connection, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = reads(mktg_sandbox)
    monkeypatch.setattr(refresh, "PAGE", 1)
    for done in (1, 2, 3, 4):
        refresh.go_on(crm, seconds=0.5, per_second=1.5)
        assert reads(mktg_sandbox) - before == done
        assert PullPage.objects.count() == 1
    refresh.go_on(crm, seconds=10, per_second=1000)
    assert reads(mktg_sandbox) - before == 4, "nobody was asked for twice"
    assert not PullPage.objects.exists()
    assert refresh.due_passes() == []


def test_an_outage_leaves_the_rest_for_the_next_part(crm: Connection, mktg_sandbox: Sandbox) -> None:
    mktg_sandbox.fail("conversion", operation=BY_EMAIL, skip=1, times=1, effect="status", status=503)
    unsubscribe(mktg_sandbox, *NAMES)
    refresh.go_on(crm, seconds=10, per_second=1000)
    assert len(out()) == 1
    assert refresh.due_passes() == [crm]
    refresh.go_on(crm, seconds=10, per_second=1000)
    assert len(out()) == 4


def test_one_contact_that_cannot_be_read_stops_nobody_else(crm: Connection, mktg_sandbox: Sandbox) -> None:
    mktg_sandbox.fail("conversion", operation=BY_EMAIL, skip=1, times=1, effect="status", status=400)
    done = refresh.refresh_contacts(crm, per_second=1000)
    assert (done.read, done.failed) == (3, 1)


def test_a_key_without_the_right_to_read_is_asked_once_a_day(crm: Connection, mktg_sandbox: Sandbox) -> None:
    mktg_sandbox.fail("conversion", operation=BY_EMAIL, effect="status", status=403)
    before = reads(mktg_sandbox)
    refresh.go_on(crm, seconds=10)
    assert reads(mktg_sandbox) - before == 1
    assert refresh.due_passes() == []


def test_an_account_that_has_nobody_of_ours_may_be_another_one(
    connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    crm = connect("conversion")["conversion"]
    people = [sign_up(f"p{number}").username for number in range(12)]
    send(crm)
    let_a_day_pass()
    lose(mktg_sandbox, *people)

    refresh.go_on(crm, seconds=10, per_second=1000)

    assert Contact.objects.filter(deleted_at=None).count() == 12
    assert "is it the same account?" in caplog.text
    call_command("mktg_pull", "--full", "--confirm-deletions", stdout=StringIO())
    assert not Contact.objects.filter(deleted_at=None).exists()


def test_not_beside_a_pull(crm: Connection, mktg_sandbox: Sandbox) -> None:
    lease = take_lease(crm.pk)
    assert lease is not None
    assert refresh.go_on(crm, seconds=10) is None


def test_only_where_there_is_no_list(connect: Connect, mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> None:
    connect("kit", "convertloop")
    assert refresh.due_passes() == []


def test_one_contact_by_a_task(crm: Connection, mktg_sandbox: Sandbox) -> None:
    unsubscribe(mktg_sandbox, "ada", "bob")
    tasks.refresh_contact(crm.pk, Contact.objects.get(email="ada@example.com").pk)
    assert out() == ["ada@example.com"]


# By the command


def pull(*arguments: str) -> Any:
    said = StringIO()
    call_command("mktg_pull", "--json", *arguments, stdout=said)
    return json.loads(said.getvalue())["connections"]


def test_a_contact_by_its_address(crm: Connection, mktg_sandbox: Sandbox) -> None:
    unsubscribe(mktg_sandbox, "ada", "bob")
    before = reads(mktg_sandbox)
    assert pull("--contact", "Ada@Example.com") == {"conversion": {"read": 1, "changed": 1, "gone": 0, "failed": 0}}
    assert out() == ["ada@example.com"]
    assert reads(mktg_sandbox) - before == 1


def test_of_every_service_that_knows_it(connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox) -> None:
    for connection in connect("kit", "conversion").values():
        sign_up("ada" if connection.name == "conversion" else "nobody")
        send(connection)
    assert set(pull("--contact", "ada@example.com")) >= {"conversion"}


@pytest.mark.parametrize("dry_run", [[], ["--dry-run"]], ids=["read", "dry run"])
def test_a_service_that_cannot_read_is_passed_by(
    dry_run: list[str], connect: Connect, sign_up: Callable[..., Any]
) -> None:
    connected = connect("kit", "convertloop")
    sign_up("ada")
    for connection in connected.values():
        send(connection)
    asked = ["--contact", "ada@example.com", *dry_run]
    assert set(pull(*asked)) == {"kit"}
    said = StringIO()
    call_command("mktg_pull", *asked, stdout=said)
    assert "convertloop: ConvertLoop has no way to read a contact" in said.getvalue()


def test_credentials_that_cannot_read_are_passed_by(crm: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise UnsupportedError("READ_STATUS is off")

    monkeypatch.setattr("mktg_integration.providers.conversion.reading.look_up", refuse)
    assert "READ_STATUS is off" in pull("--contact", "ada@example.com")["conversion"]["skipped"]
    with pytest.raises(CommandError, match="READ_STATUS is off"):
        pull("--contact", "ada@example.com", "--connection", "conversion")


def test_a_service_named_that_cannot_read_is_an_error(connect: Connect, sign_up: Callable[..., Any]) -> None:
    connection = connect("convertloop")["convertloop"]
    sign_up("ada")
    send(connection)
    with pytest.raises(CommandError, match="no way to read a contact"):
        pull("--contact", "ada@example.com", "--connection", "convertloop")


def test_nobody_is_an_error(crm: Connection) -> None:
    with pytest.raises(CommandError, match="no connection knows"):
        pull("--contact", "stranger@example.com")


def test_all_of_them(crm: Connection, mktg_sandbox: Sandbox) -> None:
    assert pull("--full", "--dry-run") == {"conversion": {"would_read": 4}}
    assert pull("--full")["conversion"]["read"] == 4


# By staff


def test_staff_have_a_contact_read_anew(crm: Connection, queued: list[Any]) -> None:
    ada = Contact.objects.select_related("connection").get(email="ada@example.com")
    assert read_anew(Actor(None, "admin"), [ada]) == 1
    assert queued == [("mktg_integration.tasks.refresh_contact", (crm.pk, ada.pk))]


def test_of_a_service_that_tells_nothing_it_is_refused(
    connect: Connect, sign_up: Callable[..., Any], queued: list[Any]
) -> None:
    connection = connect("convertloop")["convertloop"]
    sign_up("ada")
    send(connection)
    queued.clear()
    with pytest.raises(UnsupportedError, match="what was last sent"):
        read_anew(Actor(None, "admin"), Contact.objects.select_related("connection"))
    assert queued == []
