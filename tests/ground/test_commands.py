"""The commands: what staff and machines see, and how they end."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.models import OrmQ, Schedule

from mktg_integration.background import PERIODIC
from mktg_integration.exceptions import Action
from mktg_integration.heartbeat import beat
from mktg_integration.models import (
    Connection,
    DeadKind,
    DeadRow,
    Kind,
    Lane,
    Lead,
    OutboxRow,
    RateSlot,
    Run,
    RunKind,
    WaitReason,
)
from mktg_integration.rates import SharedSlots
from tests.ground.conftest import Run as RunCommand
from tests.ground.paper import Book

pytestmark = pytest.mark.django_db


def text_of(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out)
    return out.getvalue()


def test_an_unknown_connection_is_answered_with_the_names_there_are(connect: Any) -> None:
    connect("news")
    connect("shop")

    with pytest.raises(CommandError, match="no connection is named 'nwes'; there are: news, shop"):
        call_command("mktg_status", "--connection", "nwes")


def test_json_is_one_object_and_nothing_else(connect: Any) -> None:
    connect("news")

    assert json.loads(text_of("mktg_replay", "--json")) == {"found": [], "ok": True, "replayed": 0}


# mktg_push


def test_push_delivers_all_that_is_due(connect: Any, sign_up: Any, book: Book, run: RunCommand) -> None:
    connect("news")
    for name in ("ada", "bob", "cy"):
        sign_up(name)

    told = run("mktg_push")

    assert told["error"] == ""
    assert sorted(book.addresses) == ["ada@example.com", "bob@example.com", "cy@example.com"]
    assert told["connections"]["news"] | {"left": 0} == {
        "claimed": 3,
        "done": 3,
        "calls": 3,
        "rejected": 0,
        "postponed": 0,
        "released": 0,
        "reasons": {},
        "waiting": "",
        "detail": "",
        "left": 0,
    }


def test_push_of_one_connection_leaves_the_others(connect: Any, sign_up: Any, run: RunCommand) -> None:
    connect("news")
    shop = connect("shop")
    sign_up("ada")

    assert list(run("mktg_push", "--connection", "news")["connections"]) == ["news"]

    assert [row.connection_id for row in OutboxRow.objects.all()] == [shop.pk]


def test_push_waits_for_the_rate(connect: Any, sign_up: Any, book: Book, run: RunCommand) -> None:
    book.rate = (2, 0.5)
    connect("news")
    for name in ("ada", "bob", "cy", "dot", "eve"):
        sign_up(name)

    assert run("mktg_push")["connections"]["news"]["done"] == 5


def test_push_ends_non_zero_when_something_is_rejected(connect: Any, sign_up: Any, book: Book, run: RunCommand) -> None:
    connect("news")
    book.refused = {"bob@example.com"}
    for name in ("ada", "bob"):
        sign_up(name)

    told = run("mktg_push")

    assert told["ok"] is False
    assert "1 rejected" in told["error"]
    assert told["connections"]["news"]["reasons"] == {"no_ink": 1}
    assert book.addresses == ["ada@example.com"]


@pytest.mark.parametrize(
    ("fails", "reason"), [(Action.RETRY, "outage"), (Action.RECONNECT, "reconnect"), (Action.FORBIDDEN, "forbidden")]
)
def test_push_ends_non_zero_when_a_connection_waits(
    connect: Any, sign_up: Any, book: Book, run: RunCommand, fails: Action, reason: str
) -> None:
    connect("news")
    book.fails = fails
    sign_up("ada")

    told = run("mktg_push")

    assert f"news waits ({reason})" in told["error"]
    assert told["connections"]["news"]["left"] == 1
    assert "ada" not in told["error"]

    book.fails = None
    assert run("mktg_push")["error"] == "", "a person who looks on may try at once"
    assert book.addresses == ["ada@example.com"]


def test_push_of_all_marks_every_user_and_lead_as_a_backfill(
    connect: Any, sign_up: Any, run: RunCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ada", "bob", "cy"):
        sign_up(name)
    Lead.objects.create(email="lead@example.com", email_key="lead@example.com")
    connect("news")
    monkeypatch.setattr("mktg_integration.push.outbox.PAGE", 2)
    assert not OutboxRow.objects.exists()

    assert run("mktg_push", "--all", "--dry-run")["marked"] == 4
    assert not OutboxRow.objects.exists()

    lanes: list[int] = []
    monkeypatch.setattr(
        "mktg_integration.management.commands.mktg_push.drain",
        lambda *args, **kwargs: lanes.extend(OutboxRow.objects.values_list("lane", flat=True)) or _waits(),
    )
    assert run("mktg_push", "--all")["marked"] == 4
    assert lanes == [Lane.BACKFILL] * 4


def _waits() -> Any:
    from mktg_integration.push.drain import DrainReport

    return DrainReport(waiting="paused")


def test_a_dry_run_tells_the_first_calls_and_makes_none(
    connect: Any, sign_up: Any, book: Book, run: RunCommand
) -> None:
    connect("news")
    for name in ("ada", "bob"):
        sign_up(name)

    told = run("mktg_push", "--dry-run")

    assert told["connections"]["news"] == {"due": 2, "first_calls": {"write": 2}, "refused": {}}
    assert book.addresses == []
    assert OutboxRow.objects.filter(claim_token="").count() == 2


def test_a_dry_run_for_all_tells_the_first_calls_of_people_who_are_not_marked_yet(
    connect: Any, sign_up: Any, book: Book, run: RunCommand
) -> None:
    sign_up("ada")
    Lead.objects.create(email="lead@example.com", email_key="lead@example.com")
    connect("news")
    sign_up("bob")
    assert OutboxRow.objects.count() == 1

    told = run("mktg_push", "--all", "--dry-run")

    assert told["connections"]["news"] == {"due": 3, "first_calls": {"write": 3}, "refused": {}}
    assert book.addresses == []
    assert OutboxRow.objects.count() == 1
    assert "news: 3 due; the first calls would be:\n" in text_of("mktg_push", "--all", "--dry-run")


def test_a_dry_run_with_nothing_to_send_says_so(connect: Any, sign_up: Any, run: RunCommand) -> None:
    off = connect("news")
    assert "news: nothing is due, so nothing would be sent\n" in text_of("mktg_push", "--dry-run")
    sign_up("ada")
    run("mktg_push")
    assert "news: 1 due; nothing would be sent\n" in text_of("mktg_push", "--all", "--dry-run")
    Connection.objects.filter(pk=off.pk).update(push_enabled=False)
    assert "nothing would be sent" in text_of("mktg_push", "--all", "--dry-run")


# mktg_status


@pytest.fixture
def schedules(run: RunCommand, db: None) -> None:
    run("mktg_schedule")


def test_status_of_a_connection_that_works(connect: Any, sign_up: Any, schedules: None, run: RunCommand) -> None:
    connect("news")
    assert run("mktg_status")["connections"][0]["health"] == "new"
    sign_up("ada")
    run("mktg_push")
    sign_up("bob")
    beat()
    OutboxRow.objects.update(due_at=timezone.now() - timedelta(minutes=10))

    told = run("mktg_status")

    assert told["error"] == ""
    (news,) = told["connections"]
    assert news["health"] == "healthy"
    assert news["due"] == {"live": 1}
    assert news["oldest_seconds"] == pytest.approx(600, abs=60)


def test_status_tells_what_needs_a_person_and_why(
    connect: Any, sign_up: Any, book: Book, schedules: None, run: RunCommand
) -> None:
    connect("news")
    book.fails = Action.RECONNECT
    sign_up("ada")
    run("mktg_push")

    told = run("mktg_status")

    assert "news needs a person (reconnect)" in told["error"]
    assert told["connections"][0]["health"] == "reconnect"
    assert "POST /page" in text_without_error("mktg_status")


def text_without_error(name: str) -> str:
    out = StringIO()
    with pytest.raises(CommandError):
        call_command(name, stdout=out)
    return out.getvalue()


def test_status_counts_what_was_rejected_by_its_reason(
    connect: Any, sign_up: Any, book: Book, schedules: None, run: RunCommand
) -> None:
    connect("news")
    book.refused = {"ada@example.com", "bob@example.com"}
    for name in ("ada", "bob", "cy"):
        sign_up(name)
    run("mktg_push")

    assert run("mktg_status")["connections"][0]["dead"] == {"rejected": {"no_ink": 2}}


def test_status_of_other_states(connect: Any, run: RunCommand) -> None:
    def health() -> str:
        return str(run("mktg_status")["connections"][0]["health"])

    connect("news")
    Connection.objects.update(paused=True)
    assert health() == "paused"
    Connection.objects.update(push_enabled=False)
    assert health() == "off"

    Connection.objects.update(push_enabled=True, paused=False)
    state = Connection.objects.get().state
    state.wait_reason, state.wait_until = WaitReason.RATE, timezone.now() + timedelta(minutes=1)
    state.save()
    assert health() == "waiting"

    state.wait_until, state.last_failure_at = timezone.now() - timedelta(minutes=1), timezone.now()
    state.save()
    assert health() == "degraded"


def test_status_costs_the_same_however_much_is_due(
    connect: Any, sign_up: Any, schedules: None, run: RunCommand
) -> None:
    connect("news")
    run("mktg_status")

    def statements() -> int:
        with CaptureQueriesContext(database) as found:
            run("mktg_status")
        return len(found)

    few = statements()
    for number in range(20):
        sign_up(f"ada{number}")
    OutboxRow.objects.filter(pk__endswith="5").update(due_at=timezone.now() + timedelta(hours=1))

    told = run("mktg_status")["connections"][0]
    assert (told["due"]["live"], told["later"]) == (18, 2)
    assert statements() == few


def test_status_tells_when_no_schedule_is_there(run: RunCommand) -> None:
    told = run("mktg_status")

    assert "run mktg_schedule" in told["error"]
    assert len(told["background"]["missing_schedules"]) == len(PERIODIC)


def test_status_counts_the_workers_that_report_themselves(
    schedules: None, run: RunCommand, settings: Any, tmp_path: Any
) -> None:
    assert run("mktg_status")["background"]["workers"] is None, "no other process's report can be seen"

    settings.CACHES = {
        "default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": tmp_path}
    }
    assert run("mktg_status")["background"]["workers"] == 0
    caches["default"].clear()


# mktg_replay


@pytest.fixture
def rejected(connect: Any, sign_up: Any, book: Book, run: RunCommand) -> Connection:
    connection: Connection = connect("news")
    book.refused = {"ada@example.com", "bob@example.com"}
    for name in ("ada", "bob"):
        sign_up(name)
    run("mktg_push")
    assert DeadRow.objects.count() == 2
    book.refused = set()
    return connection


def test_replay_sends_again_what_was_rejected(rejected: Connection, book: Book, run: RunCommand) -> None:
    told = run("mktg_replay")

    assert told["found"] == [{"connection": "news", "code": "no_ink", "count": 2}]
    assert told["replayed"] == 2
    assert run("mktg_push")["connections"]["news"]["done"] == 2
    assert sorted(book.addresses) == ["ada@example.com", "bob@example.com"]
    assert not DeadRow.objects.exists()


def test_replay_of_some(rejected: Connection, run: RunCommand) -> None:
    ada = get_user_model().objects.get(username="ada")

    assert run("mktg_replay", "--code", "another")["replayed"] == 0
    assert run("mktg_replay", "--subject", f"user:{ada.pk}")["replayed"] == 1
    assert OutboxRow.objects.get().subject == f"user:{ada.pk}"


def test_a_dry_run_replays_nothing(rejected: Connection, run: RunCommand) -> None:
    told = run("mktg_replay", "--dry-run")

    assert told["found"][0]["count"] == 2
    assert told["replayed"] == 0
    assert DeadRow.objects.count() == 2


def test_a_person_who_was_marked_anew_keeps_that_mark(rejected: Connection, run: RunCommand) -> None:
    get_user_model().objects.get(username="ada").save()
    version = OutboxRow.objects.get().version

    run("mktg_replay")

    assert OutboxRow.objects.count() == 2
    assert OutboxRow.objects.filter(version=version).exists()
    assert not DeadRow.objects.exists()


def test_an_occurrence_keeps_what_it_tells(connect: Any, run: RunCommand) -> None:
    connection = connect("news")
    DeadRow.objects.create(
        key="a",
        connection=connection,
        kind=Kind.ERASURE,
        subject="user:1",
        payload={"email": "ada@example.com"},
        lane=Lane.URGENT,
        state=DeadKind.NEEDS_PERSON,
        code="no_way",
        marked_at=timezone.now(),
        died_at=timezone.now(),
    )

    run("mktg_replay")

    row = OutboxRow.objects.get()
    assert (row.payload, row.lane, row.kind) == ({"email": "ada@example.com"}, Lane.URGENT, Kind.ERASURE)


def test_what_waits_for_a_confirmation_is_replayed_by_it_alone(rejected: Connection, run: RunCommand) -> None:
    DeadRow.objects.update(state=DeadKind.HELD, code="mass_unsubscribe")

    assert run("mktg_replay")["replayed"] == 0
    rejected.state.refresh_from_db()
    assert rejected.state.leavers_confirmed_until is None

    assert run("mktg_replay", "--held")["replayed"] == 2
    rejected.state.refresh_from_db()
    assert rejected.state.leavers_confirmed_until is not None
    assert rejected.state.leavers_confirmed_until > timezone.now()


@pytest.mark.django_db(transaction=True)
def test_replay_wakes_the_drain(rejected: Connection, run: RunCommand) -> None:
    OrmQ.objects.all().delete()
    rejected.state.woken_at = None
    rejected.state.save()

    run("mktg_replay")

    assert [row.task["args"] for row in OrmQ.objects.all()] == [(rejected.pk,)]


# mktg_schedule


def test_schedules_are_installed_once_and_corrected(run: RunCommand) -> None:
    assert len(run("mktg_schedule", "--dry-run")["installed"]) == len(PERIODIC)
    assert not Schedule.objects.exists()

    assert len(run("mktg_schedule")["installed"]) == len(PERIODIC)
    assert run("mktg_schedule")["installed"] == []
    installed = dict(Schedule.objects.values_list("func", "minutes"))
    assert installed == {task.path: task.minutes for task in PERIODIC}
    assert installed["mktg_integration.tasks.drain_all"] == 1

    Schedule.objects.filter(func="mktg_integration.tasks.drain_all").update(minutes=30)
    assert run("mktg_schedule")["installed"] == ["mktg_integration: drain"]
    assert Schedule.objects.count() == len(PERIODIC)


def test_schedules_are_removed(run: RunCommand) -> None:
    run("mktg_schedule")
    Schedule.objects.create(name="the site's own", func="x.y")

    assert len(run("mktg_schedule", "--remove", "--dry-run")["removed"]) == len(PERIODIC)
    assert len(run("mktg_schedule", "--remove")["removed"]) == len(PERIODIC)
    assert [schedule.name for schedule in Schedule.objects.all()] == ["the site's own"]


def test_with_celery_the_lines_for_its_beat_are_told(marketing: Any, run: RunCommand) -> None:
    marketing(TASK_ENGINE="celery")

    beat = run("mktg_schedule")["beat_schedule"]

    assert beat["mktg_integration: drain"] == {
        "task": "mktg_integration.run",
        "schedule": 60.0,
        "args": ["mktg_integration.tasks.drain_all"],
    }
    assert "app.conf.beat_schedule.update({" in text_of("mktg_schedule")
    assert not Schedule.objects.exists()


# mktg_prune


def runs(connection: Connection, *ages: int) -> None:
    for days in ages:
        Run.objects.create(connection=connection, kind=RunKind.PUSH, started_at=timezone.now() - timedelta(days=days))


def test_prune_removes_old_runs_and_keeps_the_last(connect: Any, run: RunCommand) -> None:
    news, shop = connect("news"), connect("shop")
    runs(news, 400, 100, 10)
    runs(shop, 300, 200)

    assert run("mktg_prune", "--dry-run")["runs"] == 3
    assert Run.objects.count() == 5

    assert run("mktg_prune", "--connection", "news")["runs"] == 2
    assert run("mktg_prune")["runs"] == 1
    assert [one.started_at < timezone.now() - timedelta(days=90) for one in shop.runs.all()] == [True]


def test_prune_removes_the_rate_slots_of_credentials_that_are_used_no_more(run: RunCommand) -> None:
    for bucket in ("old", "new"):
        slots = SharedSlots(bucket, 2, 60.0, hold_seconds=30.0)
        slots.return_unused(slots.take(2))
    RateSlot.objects.filter(bucket="old").update(free_at=timezone.now() - timedelta(days=2))

    assert run("mktg_prune")["rate_slots"] == 2
    assert set(RateSlot.objects.values_list("bucket", flat=True)) == {"new"}
