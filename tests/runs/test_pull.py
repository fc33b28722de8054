"""Pulls that were asked for: queued, at work, cancelled, cut off and gone on with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import running, tasks
from mktg_integration.exceptions import NotNowError, UnsupportedError
from mktg_integration.insight.runs import standing
from mktg_integration.models import AuditAction, AuditEntry, Connection, Contact, PullState, Run, RunStatus
from mktg_integration.operations import runs
from mktg_integration.pull import engine, stream
from mktg_integration.pull.lease import take_lease
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import Fill, people
from tests.runs.conftest import COMMAND, Queue


def mirrored() -> list[tuple[str, str, str]]:
    return sorted(Contact.objects.filter(deleted_at=None).values_list("remote_id", "email", "digest"))


def after_pages(monkeypatch: pytest.MonkeyPatch, number: int, act: Any) -> None:
    """Have ``act()`` called once the pull has written so many pages."""
    write = stream.StreamPull._write
    written: list[int] = []

    def watched(self: stream.StreamPull, fetched: Any) -> bool:
        news = write(self, fetched)
        written.append(1)
        if len(written) == number:
            act()
        return news

    monkeypatch.setattr(stream.StreamPull, "_write", watched)


def test_the_run_is_there_before_the_work_and_tells_what_was_read(kit: Connection, fill: Fill, queue: Queue) -> None:
    fill(subscribers=people(1200))

    run = runs.start_pull(COMMAND, kit, ["contacts"])

    assert standing(run).state == "queued"
    assert queue.paths() == ["pull_on"]
    queue.all()
    run.refresh_from_db()
    told = standing(run)
    assert (told.state, told.share, told.done) == ("done", 100, 1200)
    assert {count.name: count.count for count in told.counts}["added"] == 1200
    assert AuditEntry.objects.get(action=AuditAction.RUN_STARTED).detail["run"] == run.pk


def test_a_second_start_names_the_run_that_is_at_work(kit: Connection, queue: Queue) -> None:
    run = runs.start_pull(COMMAND, kit)

    with pytest.raises(NotNowError, match=rf"pull of kit is at work already: run {run.pk}"):
        runs.start_pull(COMMAND, kit)

    assert Run.objects.count() == 1


def test_a_resource_that_there_is_not_makes_no_run(kit: Connection, queue: Queue) -> None:
    with pytest.raises(UnsupportedError, match="no resource nonsense"):
        runs.start_pull(COMMAND, kit, ["nonsense"])
    assert not Run.objects.exists()


def test_cancelled_between_pages_it_keeps_them_and_resumed_it_ends_with_the_same_mirror(
    kit: Connection, fill: Fill, queue: Queue, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(subscribers=people(4500))
    run = runs.start_pull(COMMAND, kit, ["contacts"], full=True)
    after_pages(monkeypatch, 2, lambda: runs.cancel(COMMAND, run))

    queue.all()

    run.refresh_from_db()
    assert (run.status, run.counts["added"], Contact.objects.count()) == ("cancelled", 2000, 2000)
    asked_before = len(mktg_sandbox.log.entries())
    runs.resume(COMMAND, run)
    queue.all()
    run.refresh_from_db()
    assert (run.status, run.counts["added"]) == ("done", 4500)
    assert len(mktg_sandbox.log.entries()) - asked_before <= 3, "the pages that were there were not asked for again"
    resumed = mirrored()
    Contact.objects.all().delete()
    runs.start_pull(COMMAND, kit, ["contacts"], full=True)
    queue.all()
    assert resumed == mirrored(), "a pull that nobody cut short makes the same mirror"


def test_a_run_that_no_worker_has_begun_is_cancelled_at_once(kit: Connection, fill: Fill, queue: Queue) -> None:
    fill(subscribers=people(10))
    run = runs.start_pull(COMMAND, kit)

    runs.cancel(COMMAND, run)

    run.refresh_from_db()
    assert (run.status, run.finished_at is not None) == ("cancelled", True)
    queue.all()
    assert not Contact.objects.exists()
    with pytest.raises(NotNowError, match="has ended already"):
        runs.cancel(COMMAND, run)


def test_a_run_whose_process_died_looks_failed_and_can_be_resumed(
    kit: Connection, fill: Fill, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(subscribers=people(2500))
    run = runs.start_pull(COMMAND, kit, ["contacts"])

    class KilledError(BaseException):
        pass

    def die() -> None:
        raise KilledError

    with monkeypatch.context() as killed:
        after_pages(killed, 1, die)
        # A killed process writes nothing any more.
        killed.setattr(running.RunWriter, "end", lambda *_, **__: False)
        with pytest.raises(KilledError):
            queue.all()
    PullState.objects.update(lease_token="", lease_until=None)
    run.refresh_from_db()
    assert standing(run).state == "running"
    Run.objects.update(moved_at=timezone.now() - running.stalled_after() - timedelta(seconds=1))
    run.refresh_from_db()

    told = standing(run)
    assert (told.state, told.may_resume, "failed" in told.label) == ("stalled", True, True)
    runs.resume(COMMAND, run)
    queue.all()

    run.refresh_from_db()
    assert (run.status, Contact.objects.count()) == ("done", 2500)


def test_a_new_start_tells_of_one_that_was_cut_off_that_it_failed(kit: Connection, queue: Queue) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    cut_off = Run.objects.create(connection=kit, kind="pull", started_at=long_ago, moved_at=long_ago)

    runs.start_pull(COMMAND, kit)

    cut_off.refresh_from_db()
    assert (cut_off.status, cut_off.finished_at is not None) == ("failed", True)


def test_what_runs_by_the_clock_leaves_one_that_was_asked_for_alone(kit: Connection, queue: Queue) -> None:
    run = runs.start_pull(COMMAND, kit)

    tasks.pull(kit.pk)

    assert list(Run.objects.values_list("pk", flat=True)) == [run.pk]


def test_it_waits_for_another_pull_that_is_at_work(kit: Connection, fill: Fill, queue: Queue) -> None:
    fill(subscribers=people(3))
    run = runs.start_pull(COMMAND, kit, ["contacts"])
    lease = take_lease(kit.pk)
    assert lease is not None

    queue.one()
    assert queue.paths() == ["pull_on"]
    lease.release()
    queue.all()

    run.refresh_from_db()
    assert (run.status, run.counts["added"]) == ("done", 3)


def test_parts_go_on_with_each_other_and_tell_the_whole(
    kit: Connection, fill: Fill, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(subscribers=people(3500))
    monkeypatch.setattr(engine, "pull_seconds", lambda: 0.05)
    run = runs.start_pull(COMMAND, kit, ["contacts"])

    queue.one()
    run.refresh_from_db()
    assert (run.status, run.finished_at) == ("running", None)
    assert queue.paths() == ["pull_on"]
    queue.all()

    run.refresh_from_db()
    assert (run.status, run.counts["added"]) == ("done", 3500)


def test_a_task_that_comes_twice_does_not_write_beside_the_other(kit: Connection, queue: Queue) -> None:
    run = runs.start_pull(COMMAND, kit)
    first, second = (running.RunWriter(Run.objects.get(pk=run.pk)) for _ in range(2))
    assert first.begin()

    assert not second.begin(), "it was read before the other began"
    assert running.RunWriter(Run.objects.get(pk=run.pk)).begin()
    with pytest.raises(running.TakenOver):
        first.moved({"added": 1})
    assert not first.end(RunStatus.DONE), "whoever lost it does not end it"


def test_a_refusal_is_kept_with_what_the_service_said(kit: Connection, queue: Queue, mktg_sandbox: Sandbox) -> None:
    mktg_sandbox.faults.add(service="kit", operation="GET /v4/tags", effect="status", status=403)
    run = runs.start_pull(COMMAND, kit, ["tags"])

    queue.all()

    run.refresh_from_db()
    assert run.status == "failed"
    assert [(error["about"], error["status"]) for error in run.errors] == [("tags", 403)]


def test_a_connection_that_cannot_be_opened_ends_the_run(kit: Connection, queue: Queue, marketing: Any) -> None:
    run = runs.start_pull(COMMAND, kit)
    marketing(CONNECTIONS={"kit": {"PROVIDER": "kit", "BASE_URL": "https://api.kit.com"}})

    queue.all()

    run.refresh_from_db()
    assert run.status == "failed"
    assert run.detail


def test_the_progress_costs_no_statement_a_page(
    kit: Connection, fill: Fill, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connection as database
    from django.test.utils import CaptureQueriesContext

    monkeypatch.setattr(running, "SECONDS", 3600.0)
    fill(subscribers=people(4000))
    run = runs.start_pull(COMMAND, kit, ["contacts"])
    with CaptureQueriesContext(database) as captured:
        queue.all()
    of_runs = [query["sql"] for query in captured if "mktg_integration_run" in query["sql"]]
    run.refresh_from_db()
    assert run.counts["pages"] == 4
    assert len(of_runs) <= 6, of_runs
