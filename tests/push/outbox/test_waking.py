"""A burst of saves queues a handful of tasks, and the last save is never left waiting."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from mktg_integration.models import Connection, ConnectionState
from mktg_integration.push import outbox, wake

Queue = list[tuple[int, float]]


def woken_at(connection: Connection, **ago: float) -> None:
    ConnectionState.objects.filter(pk=connection.pk).update(woken_at=timezone.now() - timedelta(**ago))


def test_one_task_for_each_connection_however_often_it_is_woken(
    three: list[Connection], queue: Queue, marketing: Any
) -> None:
    marketing(LINGER_SECONDS=2.0)
    assert wake.wake() == 3
    assert wake.wake() == 0
    assert sorted(queue) == [(connection.pk, 2.0) for connection in three]


def test_looking_in_vain_costs_one_statement(kit: Connection, queue: Queue, django_assert_num_queries: Any) -> None:
    wake.wake()
    with django_assert_num_queries(1):
        wake.wake()


def test_a_drain_that_has_begun_is_woken_anew(kit: Connection, queue: Queue) -> None:
    wake.wake()
    assert wake.clear(kit.pk)
    assert not wake.clear(kit.pk)
    assert wake.wake() == 1


def test_a_wake_up_is_overdue_once_its_task_may_have_come(kit: Connection, queue: Queue) -> None:
    wake.wake()
    assert not wake.is_overdue(kit.pk)
    woken_at(kit, seconds=1)
    assert wake.is_overdue(kit.pk)
    wake.clear(kit.pk)
    assert not wake.is_overdue(kit.pk)


def test_a_wake_up_that_crashed_expires(kit: Connection, queue: Queue) -> None:
    woken_at(kit, seconds=59)
    assert wake.wake() == 0
    woken_at(kit, seconds=61)
    assert wake.wake() == 1


@pytest.mark.parametrize("off", [{"paused": True}, {"dry_run": True}, {"push_enabled": False}])
def test_a_connection_that_sends_nothing_is_not_woken(kit: Connection, queue: Queue, off: dict[str, bool]) -> None:
    Connection.objects.update(**off)
    assert wake.wake() == 0


def test_a_connection_that_waits_is_left_to_what_ends_its_wait(kit: Connection, queue: Queue) -> None:
    ConnectionState.objects.update(wait_until=timezone.now() + timedelta(minutes=1))
    assert wake.wake() == 0
    ConnectionState.objects.update(wait_until=timezone.now() - timedelta(seconds=1))
    assert wake.wake() == 1


def test_an_urgent_wake_up_does_not_linger(kit: Connection, queue: Queue, marketing: Any) -> None:
    marketing(LINGER_SECONDS=2.0)
    wake.wake()
    assert wake.wake(urgent=True) == 1, "the task that is queued starts too late for an unsubscribe"
    assert wake.wake(urgent=True) == 0
    assert wake.wake() == 0
    assert queue == [(kit.pk, 2.0), (kit.pk, 0.0)]


def test_a_process_looks_at_most_every_half_second(
    kit: Connection, queue: Queue, marketing: Any, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr("mktg_integration.push.wake.time.monotonic", lambda: clock[0])
    marketing(WAKE_SECONDS=0.5)
    wake._wake()
    wake.clear(kit.pk)
    clock[0] += 0.4
    with django_assert_num_queries(0):
        wake._wake()
    clock[0] += 0.2
    wake._wake()
    assert len(queue) == 2


def test_an_urgent_mark_is_not_throttled_by_a_common_one(kit: Connection, queue: Queue) -> None:
    wake._wake()
    wake._wake_urgently()
    assert [delay for _, delay in queue][1:] == [0.0]


def test_nothing_is_woken_before_the_commit_nor_after_a_rollback(
    kit: Connection, queue: Queue, django_capture_on_commit_callbacks: Any
) -> None:
    with django_capture_on_commit_callbacks(execute=True), transaction.atomic():
        wake.wake_on_commit()
        transaction.set_rollback(True)
    assert queue == []
    with django_capture_on_commit_callbacks(execute=True):
        wake.wake_on_commit()
        assert queue == []
    assert len(queue) == 1


def test_a_broken_queue_harms_no_save_and_tells_no_secret(
    kit: Connection, marketing: Any, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    marketing(TASK_ENGINE="tests.push.outbox.queue.fail")
    with caplog.at_level(logging.DEBUG), django_capture_on_commit_callbacks(execute=True):
        outbox.mark(["user:1"])
        wake.wake_on_commit()
    assert "could not be woken (BrokerError)" in caplog.text
    assert "password" not in caplog.text
    assert "example.com" not in caplog.text
    assert not wake.is_overdue(kit.pk), "the next save must try again"


def test_a_broken_database_harms_no_save(
    kit: Connection, caplog: Any, monkeypatch: pytest.MonkeyPatch, django_capture_on_commit_callbacks: Any
) -> None:
    def gone(**_: Any) -> None:
        raise DatabaseError("gone")

    monkeypatch.setattr(wake, "_set_woken", gone)
    with django_capture_on_commit_callbacks(execute=True):
        wake.wake_on_commit()
    assert "could not be woken (DatabaseError)" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("saves", [1_000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_ten_thousand_saves_queue_a_handful_of_tasks(
    queue: Queue, three: list[Connection], sign_up: Any, marketing: Any, saves: int
) -> None:
    """While drains come as they were asked for, each clearing its flag as it begins."""
    marketing(TASK_ENGINE="tests.push.outbox.queue.remember", LINGER_SECONDS=1.0, WAKE_SECONDS=0.5)
    user = sign_up("ann")
    begun = 0
    started = due = time.monotonic()
    for _ in range(saves):
        user.save()
        if len(queue) > begun and time.monotonic() >= due + 1.0:
            for connection_id, _ in queue[begun:]:
                wake.clear(connection_id)
            begun, due = len(queue), time.monotonic()
    wakes = 1 + (time.monotonic() - started) / 1.0
    assert 3 <= len(queue) <= 3 * wakes
