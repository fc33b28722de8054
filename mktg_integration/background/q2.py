"""django-q2 as the task engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.locmem import LocMemCache
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.status import Stat
from django_q.tasks import async_task, schedule

from mktg_integration.background import PERIODIC

GROUP = "mktg_integration"


class DelayedOrm(ORM):  # type: ignore[misc]
    """The ORM broker with a delay: a row's ``lock`` is the time from which workers see it."""

    def __init__(self, delay: float) -> None:
        super().__init__()
        self.delay = timedelta(seconds=delay)

    @staticmethod
    def get_connection(list_key: str | None = None) -> Any:
        # django-q2's own closes the thread's database connections here: right for its workers, wrong for a request.
        return OrmQ.objects.using(Conf.ORM)

    def enqueue(self, task: str) -> int:
        row = self.get_connection().create(key=self.list_key, payload=task, lock=timezone.now() + self.delay)
        return int(row.pk)


def enqueue(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    if Conf.SYNC:
        async_task(path, *ids, group=GROUP)
    elif uses_orm_broker():
        async_task(path, *ids, group=GROUP, broker=DelayedOrm(delay))
    elif delay > 0:
        # Brokers that cannot hold a message back. django-q2 looks at its schedules every half minute.
        schedule(path, *ids, schedule_type=Schedule.ONCE, next_run=timezone.now() + timedelta(seconds=delay))
    else:
        async_task(path, *ids, group=GROUP)


def uses_orm_broker() -> bool:
    """Whether the site's queue is the table of django-q2, in django-q2's own order of preference."""
    return bool(Conf.ORM) and not (Conf.BROKER_CLASS or Conf.IRON_MQ or Conf.SQS)


# What runs by the clock


def install_schedules() -> list[str]:
    """Create the periodic tasks' schedules, or correct them; the names of those that were missing or different."""
    changed = missing_schedules()
    for task in PERIODIC:
        if task.name in changed:
            values = {"func": task.path, "schedule_type": Schedule.MINUTES, "minutes": task.minutes, "repeats": -1}
            Schedule.objects.update_or_create(name=task.name, defaults=values)
    return changed


def remove_schedules() -> list[str]:
    """The names of those that were there."""
    found = Schedule.objects.filter(name__in=[task.name for task in PERIODIC])
    names = sorted(found.values_list("name", flat=True))
    found.delete()
    return names


def missing_schedules() -> list[str]:
    """Names of periodic tasks that have no schedule, or one that would not run them as they should be."""
    good = set(
        Schedule.objects.filter(schedule_type=Schedule.MINUTES, repeats=-1).values_list("name", "func", "minutes")
    )
    return [task.name for task in PERIODIC if tuple(task) not in good]


# Who works


def workers() -> int | None:
    """How many worker processes report themselves, of all clusters. None where no other process's report can be seen:
    the cluster reports to a cache, which may be one of this process alone."""
    if isinstance(caches[Conf.CACHE], LocMemCache | DummyCache):
        return None
    return sum(len(stat.workers) for stat in Stat.get_all())


def queued() -> int:
    """How many tasks wait in the queue, of all kinds."""
    return int(get_broker().queue_size() or 0)
