"""Pushes that were asked for: of what is due, and of everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from mktg_integration.exceptions import NotNowError
from mktg_integration.insight.runs import errors, standing
from mktg_integration.models import Connection, DeadRow, Lane, OutboxRow, Run, RunStatus, SyncState
from mktg_integration.operations import runs
from mktg_integration.push import claims, outbox, pages
from mktg_integration.push import drain as draining
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import emails, send
from tests.runs.conftest import COMMAND, Queue, writes

SignUp = Callable[..., Any]


def told(run: Run) -> dict[str, int]:
    run.refresh_from_db()
    return {name: run.counts[name] for name in ("marked", "sent", "rejected", "postponed")}


def make_people(number: int) -> None:
    """Users of whom no signal told."""
    model = get_user_model()
    names = [f"user{n:04}" for n in range(number)]
    model._default_manager.bulk_create([model(username=name, email=f"{name}@example.com") for name in names])


def test_what_is_due_is_sent_and_counted(kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox) -> None:
    for name in ("ada", "bob"):
        sign_up(name)
    run = runs.start_push(COMMAND, kit)
    assert standing(run).state == "queued"

    queue.all()

    assert told(run) == {"marked": 0, "sent": 2, "rejected": 0, "postponed": 0}
    assert (standing(run).state, standing(run).share) == ("done", 100)
    assert emails(mktg_sandbox, "kit") == ["ada@example.com", "bob@example.com"]


def test_everybody_is_marked_as_a_backfill_in_pages_and_sent(
    kit: Connection, queue: Queue, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    make_people(25)

    run = runs.start_push(COMMAND, kit, everybody=True)
    queue.all()

    assert told(run) == {"marked": 25, "sent": 25, "rejected": 0, "postponed": 0}
    assert run.total == 25
    assert SyncState.objects.filter(connection=kit).count() == 25


def test_marking_goes_on_in_the_next_task_after_its_last_page(
    kit: Connection, queue: Queue, monkeypatch: pytest.MonkeyPatch, marketing: Any
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    marketing(DRAIN_SECONDS=0.0)
    make_people(25)
    marked: list[int] = []
    mark = outbox.mark

    def watched(subjects: Any, **rest: Any) -> None:
        marked.append(len(subjects))
        mark(subjects, **rest)

    monkeypatch.setattr(outbox, "mark", watched)

    run = runs.start_push(COMMAND, kit, everybody=True)
    queue.one()

    assert standing(Run.objects.get(pk=run.pk)).stage == "marking people"
    assert (marked, OutboxRow.objects.count()) == ([10], 10)
    queue.one()
    queue.one()
    assert marked == [10, 10, 5], "nobody is marked a second time"


def test_cancelled_while_marking_it_takes_back_whom_it_marked_and_nobody_else(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    ada = sign_up("ada")
    assert OutboxRow.objects.get().lane == Lane.LIVE
    make_people(25)
    run = runs.start_push(COMMAND, kit, everybody=True)
    mark = outbox.mark

    def then_cancel(subjects: Any, **rest: Any) -> None:
        mark(subjects, **rest)
        if OutboxRow.objects.count() > 15:
            monkeypatch.setattr(outbox, "mark", mark)
            sign_up("eve")
            runs.cancel(COMMAND, run)

    monkeypatch.setattr(outbox, "mark", then_cancel)
    queue.all()

    run.refresh_from_db()
    assert (run.status, run.counts["marked"]) == (RunStatus.CANCELLED, 20)
    eve = get_user_model().objects.get(username="eve")
    assert set(OutboxRow.objects.values_list("subject", flat=True)) == {f"user:{ada.pk}", f"user:{eve.pk}"}
    assert writes(mktg_sandbox) == []


def test_cancelled_while_sending_it_ends_after_the_batch(
    kit: Connection, queue: Queue, mktg_sandbox: Sandbox, marketing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    marketing(CLAIM_SIZE=10)
    make_people(30)
    run = runs.start_push(COMMAND, kit, everybody=True)
    look_well = draining._Drain._look_well

    def then_cancel(self: Any) -> None:
        look_well(self)
        if not Run.objects.get(pk=run.pk).cancel_requested:
            runs.cancel(COMMAND, run)

    monkeypatch.setattr(draining._Drain, "_look_well", then_cancel)
    queue.all()

    assert told(run) == {"marked": 30, "sent": 10, "rejected": 0, "postponed": 0}
    assert run.status == RunStatus.CANCELLED
    assert len(emails(mktg_sandbox, "kit")) == 10
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize("pages_marked", [0, 1, 3])
def test_resumed_after_a_cancel_it_reaches_everybody(
    kit: Connection,
    queue: Queue,
    mktg_sandbox: Sandbox,
    marketing: Any,
    monkeypatch: pytest.MonkeyPatch,
    pages_marked: int,
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    make_people(25)
    run = runs.start_push(COMMAND, kit, everybody=True)
    marketing(DRAIN_SECONDS=0.0)
    for _ in range(pages_marked):
        queue.one()
    runs.cancel(COMMAND, run)
    queue.all()
    run.refresh_from_db()
    assert run.status == RunStatus.CANCELLED
    assert not OutboxRow.objects.exists()

    marketing(DRAIN_SECONDS=45.0)
    runs.resume(COMMAND, run)
    queue.all()

    assert told(run)["marked"] == 25
    assert run.status == RunStatus.DONE
    assert len(emails(mktg_sandbox, "kit")) == 25


def test_a_rejection_is_kept_with_its_remedy(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    bad = sign_up("bad", email="no-address")
    run = runs.start_push(COMMAND, kit)

    queue.all()

    assert told(run)["rejected"] == 1
    error = errors(run)[0]
    assert (error.about, error.code) == (f"user:{bad.pk}", "invalid_profile")
    assert error.remedy
    assert "no-address" not in str(run.errors)
    assert DeadRow.objects.count() == 1


def test_a_connection_that_sends_nothing_starts_no_push(kit: Connection, queue: Queue) -> None:
    for change, said in (("dry_run", "dry run"), ("paused", "paused")):
        Connection.objects.filter(pk=kit.pk).update(**{change: True})
        with pytest.raises(NotNowError, match=said):
            runs.start_push(COMMAND, Connection.objects.get(pk=kit.pk))
        Connection.objects.filter(pk=kit.pk).update(**{change: False})
    assert not Run.objects.exists()


def test_an_outage_lets_the_run_wait_and_it_goes_on_by_itself(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    sign_up("ada")
    mktg_sandbox.faults.add(service="kit", effect="status", status=503)
    run = runs.start_push(COMMAND, kit)

    queue.one()

    run.refresh_from_db()
    assert (run.status, run.finished_at) == (RunStatus.WAITING, None)
    assert standing(run).detail
    assert queue.paths().count("push_run") == 1
    mktg_sandbox.faults.clear()
    kit.state.__class__.objects.filter(connection=kit).update(wait_until=None)
    OutboxRow.objects.update(due_at=kit.state.leavers_since or run.started_at)
    queue.all()
    run.refresh_from_db()
    assert run.status == RunStatus.DONE
    assert emails(mktg_sandbox, "kit") == ["ada@example.com"]


def test_what_another_drain_sent_meanwhile_counts(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    for name in ("ada", "bob"):
        sign_up(name)
    run = runs.start_push(COMMAND, kit)
    lease = claims.take_lease(kit.pk)
    assert lease is not None

    queue.one()
    run.refresh_from_db()
    assert (run.status, queue.paths()) == (RunStatus.RUNNING, ["push_run"]), "another is at it: it looks again"
    lease.release()
    send(kit)
    queue.all()

    assert told(run)["sent"] == 2
    assert run.status == RunStatus.DONE


def test_everybody_is_read_page_by_page(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    make_people(25)

    found = list(pages.everybody())

    assert [len(page.subjects) for page in found] == [10, 10, 5]
    again = [subject for page in pages.everybody("user", found[0].last) for subject in page.subjects]
    assert again == [subject for page in found[1:] for subject in page.subjects]
