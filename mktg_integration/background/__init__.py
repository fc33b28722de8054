"""The one seam to the task engine: ``enqueue("mktg_integration.tasks.drain", connection.pk)``."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from mktg_integration.conf import settings

TASKS = "mktg_integration.tasks."

Engine = Callable[[str, tuple[int | str, ...], float], None]
"""``(path, ids, delay)``: have the function at ``path`` called with ``ids``, in ``delay`` seconds or later."""


class Periodic(NamedTuple):
    """A task that runs by the clock."""

    name: str
    path: str
    minutes: int


PERIODIC = (
    Periodic("mktg_integration: drain", "mktg_integration.tasks.drain_all", 1),
    Periodic("mktg_integration: pull", "mktg_integration.tasks.pull_all", 15),
    Periodic("mktg_integration: inbox", "mktg_integration.tasks.apply_all", 1),
    Periodic("mktg_integration: contacts", "mktg_integration.tasks.refresh_all", 1),
    Periodic("mktg_integration: tokens", "mktg_integration.tasks.refresh_tokens", 5),
    Periodic("mktg_integration: figures", "mktg_integration.tasks.measure_all", 60),
    Periodic("mktg_integration: housekeeping", "mktg_integration.tasks.housekeeping", 24 * 60),
)
"""What ``mktg_schedule`` installs."""


def enqueue(path: str, *ids: int | str, delay: float = 0.0) -> None:
    """Have a task run in the background, no sooner than ``delay`` seconds from now (DESIGN: background work).

    ``path`` is a dotted path in ``mktg_integration.tasks``; ``ids`` are all that the task is told. Inside a transaction
    the task is queued with it where the engine's queue is in the same database (django-q2's ORM broker); with other
    engines call this on commit. Raises ``ValueError`` for any other path, and what the engine raises.
    """
    if not is_task(path):
        raise ValueError(f"{path!r} is no task of this package: give a path that starts with {TASKS}")
    _engine()(path, ids, delay)


def is_task(path: str) -> bool:
    """Whether a queue may make us call ``path``."""
    name = path.removeprefix(TASKS)
    return path.startswith(TASKS) and name.isidentifier() and not name.startswith("_")


def _engine() -> Engine:
    # Imported when used: a site without django-q2 or without Celery never loads it.
    if settings.TASK_ENGINE == "django-q2":
        from mktg_integration.background.q2 import enqueue as q2

        return q2
    if settings.TASK_ENGINE == "celery":
        from mktg_integration.background.celery import enqueue as celery

        return celery
    engine: Engine = settings.import_path(settings.TASK_ENGINE, 'MKTG_INTEGRATION["TASK_ENGINE"]')
    return engine
