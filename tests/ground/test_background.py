"""The seam to the task engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule, Task

from mktg_integration import background, tasks
from mktg_integration.background import enqueue, q2
from mktg_integration.models import Connection, OutboxRow

DRAIN = "mktg_integration.tasks.drain"
HOUSEKEEPING = "mktg_integration.tasks.housekeeping"


def queued() -> list[tuple[Any, ...]]:
    return [(row.task["func"], *row.task["args"]) for row in OrmQ.objects.order_by("pk")]


@pytest.mark.django_db
def test_a_task_is_told_ids_alone() -> None:
    enqueue(DRAIN, 7)
    enqueue(DRAIN, "eight", 9)

    assert queued() == [(DRAIN, 7), (DRAIN, "eight", 9)]


@pytest.mark.django_db
def test_workers_see_a_delayed_task_only_when_its_time_has_come() -> None:
    enqueue(DRAIN, 7, delay=30.0)
    row = OrmQ.objects.get()

    assert row.lock - timezone.now() == pytest.approx(timedelta(seconds=30), abs=timedelta(seconds=5))
    assert not ORM().dequeue()
    OrmQ.objects.update(lock=timezone.now() - timedelta(seconds=1))
    assert len(ORM().dequeue()) == 1


@pytest.mark.django_db(transaction=True)
def test_a_task_goes_with_its_transaction() -> None:
    with transaction.atomic():
        enqueue(DRAIN, 7)
        transaction.set_rollback(True)
    assert queued() == []

    with transaction.atomic():
        enqueue(DRAIN, 8)
    assert queued() == [(DRAIN, 8)]


@pytest.mark.django_db
def test_in_sync_mode_a_task_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conf, "SYNC", True)
    monkeypatch.setattr(Conf, "SAVE_LIMIT", 250)

    enqueue(HOUSEKEEPING, delay=60.0)

    assert queued() == []
    assert Task.objects.get().success


@pytest.mark.django_db
def test_with_another_broker_a_delay_becomes_a_schedule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Conf, "BROKER_CLASS", "django_q.brokers.orm.ORM")
    assert not q2.uses_orm_broker()

    enqueue(DRAIN, 7, delay=60.0)
    enqueue(DRAIN, 8)

    schedule = Schedule.objects.get()
    assert (schedule.func, schedule.args, schedule.schedule_type) == (DRAIN, "(7,)", Schedule.ONCE)
    assert schedule.next_run > timezone.now() + timedelta(seconds=50)
    assert queued() == [(DRAIN, 8)]


@pytest.mark.parametrize(
    "path",
    ["os.system", "mktg_integration.tasks", "mktg_integration.tasks.", "mktg_integration.tasks.a.b", "tasks._private"],
)
def test_only_tasks_of_this_package_can_be_queued(path: str) -> None:
    with pytest.raises(ValueError, match="no task"):
        enqueue(path, 1)


# Celery, and an engine of the site's own


@pytest.fixture
def celery(marketing: Any) -> Any:
    """A Celery application that runs its tasks at once, as its workers would."""
    from celery import Celery

    application = Celery("site", set_as_current=True)
    application.conf.update(task_always_eager=True, task_eager_propagates=True, broker_url="memory://")
    application.finalize()
    marketing(TASK_ENGINE="celery")
    return application


def test_celery_runs_the_task(celery: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = []

    def drain(connection_id: int) -> None:
        ran.append(connection_id)

    drain.__module__ = tasks.__name__
    monkeypatch.setattr(tasks, "drain", drain)

    enqueue(DRAIN, 7, delay=5.0)

    assert ran == [7]


def test_celery_is_told_the_delay(celery: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from mktg_integration.background.celery import run

    sent: list[Any] = []
    monkeypatch.setattr(run, "apply_async", lambda args, **options: sent.append((args, options)))

    enqueue(DRAIN, 7, delay=5.0)
    enqueue(DRAIN, 7)

    assert sent == [((DRAIN, 7), {"countdown": 5.0}), ((DRAIN, 7), {"countdown": None})]


@pytest.mark.parametrize("path", ["os.getcwd", "mktg_integration.tasks.prune", "mktg_integration.tasks.timezone"])
def test_celery_calls_nothing_else_whatever_is_in_its_queue(celery: Any, path: str) -> None:
    from mktg_integration.background.celery import run

    with pytest.raises(ValueError, match="no task"):
        run.delay(path)


received: list[Any] = []


def own_engine(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    received.append((path, ids, delay))


def test_an_engine_of_the_sites_own(marketing: Any) -> None:
    received.clear()
    marketing(TASK_ENGINE="tests.ground.test_background.own_engine")

    enqueue(DRAIN, 7, delay=2.0)

    assert received == [(DRAIN, (7,), 2.0)]


# Tasks


@pytest.mark.django_db
def test_a_drain_of_a_deleted_connection_ends_quietly() -> None:
    tasks.drain(4711)


@pytest.mark.django_db
def test_drain_all_queues_what_has_something_due_and_does_not_wait(connect: Any, sign_up: Any) -> None:
    due, paused, waits, nothing = (connect(name) for name in ("due", "paused", "waits", "nothing"))
    sign_up("ada")
    Connection.objects.filter(pk=paused.pk).update(paused=True)
    waits.state.wait_until = timezone.now() + timedelta(minutes=5)
    waits.state.save()
    OutboxRow.objects.filter(connection=nothing).update(due_at=timezone.now() + timedelta(minutes=5))
    OrmQ.objects.all().delete()

    tasks.drain_all()

    assert queued() == [(DRAIN, due.pk)]


def test_all_periodic_tasks_exist() -> None:
    for task in background.PERIODIC:
        assert background.is_task(task.path)
        assert callable(getattr(tasks, task.path.rpartition(".")[2]))
