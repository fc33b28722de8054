"""django-q2 as the task engine."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django_q.brokers.orm import ORM
from django_q.conf import Conf
from django_q.models import OrmQ, Schedule
from django_q.tasks import async_task, schedule

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
