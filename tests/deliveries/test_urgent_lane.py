"""An account that may do no more, or a mapping that is refused, holds back signups; not who wants to leave."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import shortcuts, tasks
from mktg_integration.models import ConnectionState, Lane, OutboxRow, WaitReason
from mktg_integration.push.drain import drain
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, person, send

SignUp = Callable[..., Any]


@pytest.fixture(params=[WaitReason.FORBIDDEN, WaitReason.REJECTIONS])
def waiting(request: pytest.FixtureRequest, connect: Connect, sign_up: SignUp) -> Any:
    """Kit knows Ada; then the connection waits, and Ada unsubscribes while Bob signs up."""
    kit = connect("kit")["kit"]
    ada = sign_up("ada")
    send(kit)
    until = timezone.now() + timedelta(hours=1)
    ConnectionState.objects.update(wait_reason=request.param, wait_detail="a full plan", wait_until=until)
    shortcuts.unsubscribe(ada, who="the person", how="link")
    sign_up("bob")
    return kit


def test_an_unsubscribe_goes_alone_and_the_wait_stays(waiting: Any, mktg_sandbox: Sandbox) -> None:
    report = drain(waiting.pk)
    assert person(mktg_sandbox, "kit", "ada@example.com")["state"] == "cancelled"
    assert report.done == 1
    waiting.state.refresh_from_db()
    assert report.waiting == waiting.state.wait_reason != ""
    assert waiting.state.wait_until > timezone.now()
    assert [row.lane for row in OutboxRow.objects.all()] == [Lane.LIVE]


def test_one_that_fails_comes_again_at_its_own_pace(waiting: Any, mktg_sandbox: Sandbox) -> None:
    until = ConnectionState.objects.get(pk=waiting.pk).wait_until
    mktg_sandbox.fail("kit", "status", status=403)
    drain(waiting.pk)
    row = OutboxRow.objects.get(lane=Lane.URGENT)
    assert row.attempts == 1
    assert row.due_at > timezone.now()
    assert not row.claim_token
    # Else the others would never get their turn.
    assert ConnectionState.objects.get(pk=waiting.pk).wait_until == until
    requests = len(mktg_sandbox.log.entries())
    drain(waiting.pk)
    assert len(mktg_sandbox.log.entries()) == requests


def test_the_schedule_asks_for_it(waiting: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Any, ...]] = []
    monkeypatch.setattr("mktg_integration.background.enqueue", lambda *ids, **_: asked.append(ids))
    tasks.drain_all()
    assert asked == [("mktg_integration.tasks.drain", waiting.pk)]
    asked.clear()
    OutboxRow.objects.filter(lane=Lane.URGENT).delete()
    tasks.drain_all()
    assert asked == []
