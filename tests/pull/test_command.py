"""``mktg_pull`` and what runs by the clock."""

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
from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection, Contact, PullCheckpoint, Run
from mktg_integration.pull import engine
from mktg_integration.sandbox.server import Sandbox
from mktg_integration.signals import run_finished
from tests.pull.conftest import Fill, people, tag, tagging
from tests.push.conftest import declared


def command(*arguments: str) -> str:
    out = StringIO()
    call_command("mktg_pull", *arguments, stdout=out)
    return out.getvalue()


def figures(*arguments: str) -> Any:
    return json.loads(command("--json", *arguments))


def test_it_tells_what_it_read(kit: Connection, fill: Fill) -> None:
    fill(subscribers=people(12), tags=[tag(1, "VIP")], taggings=[tagging(1, 3)])

    told = figures("--connection", "kit")

    assert told["ok"] is True
    kit_told = told["connections"]["kit"]
    assert (kit_told["status"], kit_told["streams"]["contacts"]["added"]) == ("done", 12)
    assert kit_told["streams"]["taggings"]["added"] == 1
    assert "contacts" in command()


def test_only_one_resource_and_what_it_needs(kit: Connection, fill: Fill) -> None:
    fill(subscribers=people(3), tags=[tag(1, "VIP")], taggings=[tagging(1, 3)])

    told = figures("--resource", "taggings")

    assert set(told["connections"]["kit"]["streams"]) == {"tags", "taggings"}


def test_a_resource_that_there_is_not_names_those_there_are(kit: Connection) -> None:
    with pytest.raises(CommandError, match=r"no resource subscribers here; it has: account, .*contacts"):
        command("--resource", "subscribers")


def test_a_dry_run_asks_nobody(kit: Connection, fill: Fill, mktg_sandbox: Sandbox) -> None:
    fill(subscribers=people(3))

    told = figures("--dry-run")

    assert told["connections"]["kit"]["contacts"]["read"] == "in full"
    assert len(mktg_sandbox.log.entries()) == 0
    assert not Contact.objects.exists()
    assert not Run.objects.exists()


def test_a_failure_ends_non_zero(kit: Connection, mktg_sandbox: Sandbox) -> None:
    mktg_sandbox.faults.add(service="kit", operation="GET /v4/tags", effect="status", status=403)

    with pytest.raises(CommandError, match="kit: failed: tags: kit: GET /v4/tags, status 403"):
        command("--resource", "tags")


def test_asking_about_deletions_ends_non_zero_and_can_be_confirmed(kit: Connection, fill: Fill) -> None:
    fill(subscribers=people(40))
    command("--resource", "contacts")
    fill(subscribers=people(20))
    with pytest.raises(CommandError, match="20 of 40 rows were not there any more"):
        command("--full", "--resource", "contacts")

    command("--confirm-deletions")

    assert Contact.objects.filter(deleted_at=None).count() == 20


def test_to_resume_needs_something_unfinished(kit: Connection, fill: Fill, mktg_sandbox: Sandbox) -> None:
    fill(subscribers=people(2500))
    command()
    assert "nothing" in command("--resume")

    mktg_sandbox.faults.add(service="kit", operation="GET /v4/subscribers", nth=2, effect="status", status=403)
    with pytest.raises(CommandError):
        command("--full")
    told = figures("--resume")["connections"]["kit"]

    assert told["status"] == "done"
    assert told["streams"]["contacts"]["resumed_at"] == 2
    assert told["streams"]["contacts"]["unchanged"] == 2500
    assert Run.objects.count() == 2


def test_a_connection_without_lists_is_passed_over(
    kit: Connection, mktg_sandbox: Sandbox, marketing: Callable[..., None]
) -> None:
    marketing(CONNECTIONS=declared(mktg_sandbox, "kit", "convertloop"))
    sync_declared()

    assert list(figures()["connections"]) == ["kit"]
    with pytest.raises(CommandError, match="ConvertLoop"):
        command("--connection", "convertloop")


def test_the_clock_queues_a_pull_for_what_can_be_read(
    kit: Connection, mktg_sandbox: Sandbox, marketing: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    marketing(CONNECTIONS=declared(mktg_sandbox, "kit", "convertloop"))
    sync_declared()
    queued: list[Any] = []
    monkeypatch.setattr(
        "mktg_integration.background.enqueue", lambda path, *ids, delay=0.0: queued.append((path, *ids))
    )

    tasks.pull_all()

    assert queued == [("mktg_integration.tasks.pull", kit.pk)]


def test_tasks_go_on_with_each_other(kit: Connection, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(subscribers=people(3500))
    queued: list[Any] = []
    monkeypatch.setattr(
        "mktg_integration.background.enqueue", lambda path, *ids, delay=0.0: queued.append((path, *ids))
    )
    monkeypatch.setattr(engine, "pull_seconds", lambda: 0.1)

    tasks.pull(kit.pk)
    while queued:
        path, run = queued.pop(0)
        assert path == "mktg_integration.tasks.pull_on"
        tasks.pull_on(run)

    assert Run.objects.get().status == "done"
    assert Contact.objects.count() == 3500


def test_a_connection_that_is_gone_is_no_error(db: None) -> None:
    tasks.pull(4711)
    tasks.pull_on(4711)


def test_a_pull_that_was_cut_off_is_told_to_have_failed(kit: Connection, fill: Fill) -> None:
    cut_off = Run.objects.create(connection=kit, kind="pull", started_at=timezone.now() - timedelta(hours=1))

    command("--resource", "tags")

    cut_off.refresh_from_db()
    assert (cut_off.status, cut_off.finished_at is not None) == ("failed", True)


def test_the_end_is_told_by_a_signal(kit: Connection) -> None:
    heard: list[str] = []

    def listen(run: Run, **_: Any) -> None:
        heard.append(run.status)

    run_finished.connect(listen)
    try:
        command("--resource", "tags")
    finally:
        run_finished.disconnect(listen)

    assert heard == ["done"]


def test_deletions_are_looked_for_each_day(kit: Connection, fill: Fill) -> None:
    fill(subscribers=people(40))
    command("--resource", "contacts")
    assert figures("--resource", "contacts")["connections"]["kit"]["streams"]["contacts"]["full"] is False

    PullCheckpoint.objects.update(full_at=timezone.now() - timedelta(hours=25))

    assert figures("--resource", "contacts")["connections"]["kit"]["streams"]["contacts"]["full"] is True
