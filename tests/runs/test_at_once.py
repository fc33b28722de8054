"""Two people press the same button at the same moment."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from threading import Barrier, BrokenBarrierError, Thread
from typing import Any

import pytest
from django.db import connection as database

from mktg_integration.exceptions import NotNowError
from mktg_integration.models import Connection, Run, RunStatus
from mktg_integration.operations import runs
from mktg_integration.running import at_work
from tests.runs.conftest import COMMAND, Queue
from tests.runs.test_push import make_people

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def both_look_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody goes on before the other has looked whether a run is at work, or is kept from looking."""
    looked = Barrier(2)

    def look(*given: Any) -> Run | None:
        found = at_work(*given)
        with suppress(BrokenBarrierError):
            looked.wait(timeout=1)
        return found

    monkeypatch.setattr(runs, "at_work", look)


def at_once(work: Callable[[], Run]) -> list[str]:
    """What became of two who do it."""
    told: list[str] = []

    def press() -> None:
        try:
            work()
            told.append("started")
        except NotNowError:
            told.append("refused")
        finally:
            database.close()

    threads = [Thread(target=press) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return sorted(told)


@pytest.fixture
def kept_apart() -> None:
    if not database.features.has_select_for_update:
        pytest.skip("threads of a test share this database's one connection")


@pytest.mark.usefixtures("kept_apart", "both_look_first")
def test_one_run_is_started(kit: Connection) -> None:
    assert at_once(lambda: runs.start_pull(COMMAND, kit)) == ["refused", "started"]
    assert Run.objects.count() == 1


@pytest.mark.usefixtures("kept_apart")
def test_a_preview_is_confirmed_once(kit: Connection, queue: Queue, request: pytest.FixtureRequest) -> None:
    make_people(3)
    seen = runs.start_reconcile(COMMAND, kit)
    queue.all()
    request.getfixturevalue("both_look_first")

    told = at_once(lambda: runs.confirm_reconcile(COMMAND, Run.objects.get(pk=seen.pk)))

    assert told == ["refused", "started"]
    assert Run.objects.filter(is_preview=False).count() == 1


@pytest.mark.usefixtures("kept_apart", "both_look_first")
def test_one_of_two_cancelled_runs_is_resumed(kit: Connection) -> None:
    first, second = (
        Run.objects.create(
            connection=kit,
            kind="pull",
            status=RunStatus.CANCELLED,
            started_at=kit.created_at,
            counts={"asked": {}},
        )
        for _ in range(2)
    )
    left = [first.pk, second.pk]

    told = at_once(lambda: runs.resume(COMMAND, Run.objects.get(pk=left.pop())))

    assert told == ["refused", "started"]
