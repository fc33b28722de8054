"""Reconciles as previews: nothing is sent until it is confirmed, a few people first or all of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from mktg_integration.exceptions import NotNowError
from mktg_integration.insight.reconciles import canaries, findings
from mktg_integration.insight.runs import standing
from mktg_integration.models import Connection, OutboxRow, Run, RunStatus, SyncState
from mktg_integration.operations import runs
from mktg_integration.push import outbox
from mktg_integration.push.reconcile import reconcile
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, send
from tests.runs.conftest import COMMAND, Queue, writes
from tests.runs.test_push import make_people

SignUp = Callable[..., Any]


def preview(connection: Connection, queue: Queue) -> Run:
    run = runs.start_reconcile(COMMAND, connection)
    queue.all()
    run.refresh_from_db()
    return run


def test_a_preview_sends_nothing_and_marks_nobody(kit: Connection, queue: Queue, mktg_sandbox: Sandbox) -> None:
    make_people(12)

    run = preview(kit, queue)

    assert (run.status, run.is_preview) == (RunStatus.DONE, True)
    assert (run.counts["missing"], run.counts["marked"], run.total) == (12, 0, 12)
    assert not OutboxRow.objects.exists()
    assert mktg_sandbox.log.entries() == []


def test_a_canary_of_ten_sends_exactly_ten_and_the_rest_follows(
    kit: Connection, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    make_people(25)
    seen = preview(kit, queue)

    canary = runs.confirm_reconcile(COMMAND, seen, limit=10)
    queue.all()
    send(kit)

    canary.refresh_from_db()
    assert canary.counts["marked"] == 10
    assert len(emails(mktg_sandbox, "kit")) == 10
    assert [person.state for person in canaries(canary)] == ["sent"] * 10
    assert not OutboxRow.objects.exists()

    rest = runs.confirm_reconcile(COMMAND, seen)
    queue.all()
    send(kit)
    rest.refresh_from_db()
    assert (rest.status, rest.counts["marked"]) == (RunStatus.DONE, 15)
    assert len(emails(mktg_sandbox, "kit")) == 25
    with pytest.raises(NotNowError, match="already confirmed"):
        runs.confirm_reconcile(COMMAND, seen)


def test_a_canary_is_of_no_more_than_its_people_where_some_must_leave(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    left = [sign_up(name) for name in ("ada", "bob", "cy")]
    send(kit)
    type(left[0].preference).objects.update(newsletter=False)
    seen = preview(kit, queue)
    assert seen.counts["different"] == 3

    canary = runs.confirm_reconcile(COMMAND, seen, limit=1)
    queue.one()

    canary.refresh_from_db()
    assert (canary.counts["marked"], OutboxRow.objects.count()) == (1, 1)


def test_a_changed_mapping_tells_how_many_people_and_which_fields(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    people = [sign_up(name, plan="gold") for name in ("ada", "bob")]
    send(kit)
    calls = len(mktg_sandbox.log.entries())
    get_user_model().objects.filter(pk=people[0].pk).update(first_name="Countess")
    type(people[0].preference).objects.update(plan="silver")

    run = preview(kit, queue)

    assert run.counts["different"] == 2
    assert sorted(run.counts["fields"].values()) == [1, 2]
    assert any("plan" in name for name in run.counts["fields"])
    different = next(found for found in findings(run, personal=True) if found.kind == "different")
    values = {field.push for example in different.examples for field in example.fields}
    assert {"Countess", "silver"} <= values
    assert len(mktg_sandbox.log.entries()) == calls


def test_examples_are_masked_for_who_may_not_see_people(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    ada = sign_up("ada")
    send(kit)
    get_user_model().objects.filter(pk=ada.pk).update(first_name="Countess", email="countess@example.com")

    found = findings(preview(kit, queue), personal=False)

    assert "ountess" not in str(found)
    assert any(example.fields for finding in found for example in finding.examples)


def test_a_discarded_preview_sends_nothing_any_more(kit: Connection, queue: Queue, mktg_sandbox: Sandbox) -> None:
    make_people(3)
    seen = preview(kit, queue)

    runs.discard_reconcile(COMMAND, seen)

    with pytest.raises(NotNowError, match="discarded"):
        runs.confirm_reconcile(COMMAND, seen)
    assert queue.tasks == []


def test_an_old_or_unfinished_preview_cannot_be_confirmed(kit: Connection, queue: Queue) -> None:
    make_people(1)
    begun = runs.start_reconcile(COMMAND, kit)
    with pytest.raises(NotNowError, match="no preview"):
        runs.confirm_reconcile(COMMAND, begun)
    queue.all()
    Run.objects.update(finished_at=timezone.now() - timedelta(days=2))
    begun.refresh_from_db()
    with pytest.raises(NotNowError, match="older than a day"):
        runs.confirm_reconcile(COMMAND, begun)


def test_where_far_more_differ_than_was_told_it_stops(
    kit: Connection, queue: Queue, mktg_sandbox: Sandbox, marketing: Any
) -> None:
    marketing(MASS_MINIMUM=5)
    make_people(2)
    seen = preview(kit, queue)
    model = get_user_model()
    model._default_manager.bulk_create([model(username=f"new{n}", email=f"new{n}@example.com") for n in range(20)])

    run = runs.confirm_reconcile(COMMAND, seen)
    queue.all()

    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "far more people differ than the 2" in run.detail
    assert writes(mktg_sandbox) == []


def test_over_a_dry_run_it_can_be_previewed_and_confirmed_and_nothing_is_sent(
    kit: Connection, queue: Queue, mktg_sandbox: Sandbox
) -> None:
    make_people(3)
    Connection.objects.filter(pk=kit.pk).update(dry_run=True)
    seen = preview(Connection.objects.get(pk=kit.pk), queue)
    assert seen.counts["missing"] == 3

    run = runs.confirm_reconcile(COMMAND, seen)
    queue.all()

    run.refresh_from_db()
    assert (run.status, run.counts["missing"], run.counts["marked"]) == (RunStatus.DONE, 3, 0)
    assert "dry run" in run.detail
    assert not OutboxRow.objects.exists()
    assert mktg_sandbox.log.entries() == []


def test_in_parts_it_finds_what_it_finds_in_one(
    kit: Connection, sign_up: SignUp, queue: Queue, mktg_sandbox: Sandbox, marketing: Any, monkeypatch: Any
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 4)
    for name in ("ada", "bob", "cy"):
        sign_up(name)
    send(kit)
    SyncState.objects.create(key=f"{kit.pk}:user:99999", connection=kit, subject="user:99999", sent={})
    make_people(20)
    whole = reconcile(kit, dry_run=True).counts()
    marketing(DRAIN_SECONDS=0.0)

    run = runs.start_reconcile(COMMAND, kit)
    parts = 0
    while queue.one():
        parts += 1
    run.refresh_from_db()

    assert parts > 5
    assert run.status == RunStatus.DONE
    assert {name: run.counts[name] for name in whole} == whole


def test_cancelled_between_pages_it_can_be_resumed(
    kit: Connection, queue: Queue, marketing: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 5)
    marketing(DRAIN_SECONDS=0.0)
    make_people(20)
    run = runs.start_reconcile(COMMAND, kit)
    queue.one()
    queue.one()

    runs.cancel(COMMAND, run)
    assert standing(run).state == "cancelling"
    queue.all()
    run.refresh_from_db()
    assert (run.status, run.counts["people"]) == (RunStatus.CANCELLED, 10)

    runs.resume(COMMAND, run)
    queue.all()
    run.refresh_from_db()
    assert (run.status, run.counts["people"], run.counts["missing"]) == (RunStatus.DONE, 20, 20)


def test_a_mapping_that_cannot_be_imported_fails_the_run(connect: Connect, queue: Queue) -> None:
    kit = connect("kit", options={"PROFILE": "tests.push.nowhere.mapping"}, TASK_ENGINE="tests.runs.conftest.enqueue")
    make_people(1)
    run = runs.start_reconcile(COMMAND, kit["kit"])

    queue.all()

    run.refresh_from_db()
    assert run.status == RunStatus.FAILED
    assert "tests.push.nowhere" in run.detail
