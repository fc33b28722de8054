"""Celery as the task engine, for a site that already runs it (extra ``celery``)."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from django.utils.module_loading import import_string

from mktg_integration.background import TASKS, is_task


@shared_task(name="mktg_integration.run", ignore_result=True, acks_late=True)  # type: ignore[untyped-decorator]
def run(path: str, *ids: int | str) -> None:
    """Run one of this package's tasks. Acknowledged late: a killed worker's task runs again, and all are idempotent.

    Raises ``ValueError`` for any other path, so that who can write to the queue cannot have anything called.
    """
    task: Any = import_string(path) if is_task(path) else None
    # What that module merely imports is no task either.
    if getattr(task, "__module__", "") != TASKS.rstrip("."):
        raise ValueError(f"{path!r} is no task of mktg_integration")
    task(*ids)


def enqueue(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    run.apply_async((path, *ids), countdown=delay or None)
