"""The commands that do what a run does, in the foreground."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.base import OutputWrapper

from mktg_integration.models import Connection, OutboxRow, Run, RunStatus
from mktg_integration.operations import runs
from mktg_integration.push import outbox, pages
from mktg_integration.push import reconcile as reconciling
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import Fill, people
from tests.push.conftest import emails
from tests.runs.conftest import COMMAND, Queue
from tests.runs.test_push import make_people


def figures(*arguments: str) -> Any:
    out = StringIO()
    call_command(*arguments, "--json", stdout=out)
    return json.loads(out.getvalue())["connections"]["kit"]


def test_a_canary_by_the_command(kit: Connection, mktg_sandbox: Sandbox) -> None:
    make_people(12)

    told = figures("mktg_reconcile", "--limit", "3")

    assert (told["marked"], told["status"], OutboxRow.objects.count()) == (3, "done", 3)
    call_command("mktg_push", stdout=StringIO())
    assert len(emails(mktg_sandbox, "kit")) == 3


def test_a_canary_of_nobody_is_refused(kit: Connection) -> None:
    with pytest.raises(CommandError, match="--limit"):
        call_command("mktg_reconcile", "--limit", "0")


def test_a_reconcile_that_staff_cancelled_ends_non_zero(kit: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "PAGE", 5)
    make_people(20)
    compare = reconciling._Reconcile._compare

    def then_cancel(self: Any, subjects: Any) -> None:
        compare(self, subjects)
        if not Run.objects.get().cancel_requested:
            runs.cancel(COMMAND, Run.objects.get())

    monkeypatch.setattr(reconciling._Reconcile, "_compare", then_cancel)

    with pytest.raises(CommandError, match="kit: cancelled"):
        call_command("mktg_reconcile", stdout=StringIO())

    assert (Run.objects.get().status, OutboxRow.objects.count()) == (RunStatus.CANCELLED, 5)


def test_a_pull_that_staff_cancelled_ends_non_zero_and_can_be_resumed(
    kit: Connection, fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.runs.test_pull import after_pages

    fill(subscribers=people(2500))
    with monkeypatch.context() as once:
        after_pages(once, 1, lambda: runs.cancel(COMMAND, Run.objects.get()))
        with pytest.raises(CommandError, match="kit: cancelled"):
            call_command("mktg_pull", "--resource", "contacts", stdout=StringIO())

    told = figures("mktg_pull", "--resume")

    assert (told["status"], told["added"], told["streams"]["contacts"]["resumed_at"]) == ("done", 2500, 2)


def test_a_reconcile_over_a_dry_run_says_that_it_marked_nobody(kit: Connection) -> None:
    make_people(2)
    Connection.objects.update(dry_run=True)
    out = StringIO()

    call_command("mktg_reconcile", stdout=out)

    assert "0 people marked" in out.getvalue()
    assert "dry run: nobody was marked and nothing is sent" in out.getvalue()
    assert not OutboxRow.objects.exists()


def test_everybody_is_marked_page_by_page_and_not_held_in_memory(
    kit: Connection, monkeypatch: pytest.MonkeyPatch, mktg_sandbox: Sandbox
) -> None:
    monkeypatch.setattr(outbox, "PAGE", 10)
    make_people(25)
    happened: list[str] = []
    mark = outbox.mark

    def reading() -> Any:
        for page in pages.everybody():
            happened.append("read")
            yield page

    def marking(*arguments: Any, **keys: Any) -> None:
        happened.append("marked")
        mark(*arguments, **keys)

    monkeypatch.setattr("mktg_integration.management.commands.mktg_push.everybody", reading)
    monkeypatch.setattr(outbox, "mark", marking)

    call_command("mktg_push", "--all", stdout=StringIO())

    assert happened == ["read", "marked"] * 3
    assert len(emails(mktg_sandbox, "kit")) == 25


def test_progress_is_shown_on_a_terminal_and_to_no_machine(
    kit: Connection, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("tqdm")
    make_people(2)
    shown = StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    monkeypatch.setattr(OutputWrapper, "isatty", lambda self: True)

    call_command("mktg_reconcile", "--dry-run", stdout=StringIO())
    assert "2/2" in shown.getvalue()

    shown.truncate(0)
    figures("mktg_reconcile", "--dry-run")
    assert shown.getvalue() == ""
