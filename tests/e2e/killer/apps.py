from __future__ import annotations

import functools
import importlib
import os
import random
import signal
import threading
from pathlib import Path
from typing import Any

from django.apps import AppConfig


class KillerConfig(AppConfig):
    name = "tests.e2e.killer"
    label = "e2e_killer"

    def ready(self) -> None:
        step = os.environ.get("MKTG_E2E_KILL")
        if step:
            when, path, marker = step.split("|")
            _arm(when, path, Path(marker))
        workers = os.environ.get("MKTG_E2E_KILL_WORKERS")
        if workers:
            times, up_to, folder = workers.split("|")
            _Lottery(int(times), float(up_to), Path(folder)).arm()


def _arm(when: str, path: str, marker: Path) -> None:
    module_name, _, attribute = path.partition(":")
    owner: Any = importlib.import_module(module_name)
    *parents, name = attribute.split(".")
    for parent in parents:
        owner = getattr(owner, parent)
    original = getattr(owner, name)

    @functools.wraps(original)
    def killed(*args: Any, **kwargs: Any) -> Any:
        if when == "before":
            _kill_once(marker)
        result = original(*args, **kwargs)
        if when == "after":
            _kill_once(marker)
        return result

    setattr(owner, name, killed)


def _kill_once(marker: Path) -> None:
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return
    os.kill(os.getpid(), signal.SIGKILL)


class _Lottery:
    """Each task that a worker begins is killed with its worker after a random time, ``times`` in all; one that ends
    earlier escapes. An idle worker is spared: it holds the lock of django-q2's queue, which would die with it."""

    def __init__(self, times: int, up_to: float, folder: Path) -> None:
        self.times = times
        self.up_to = up_to
        self.folder = folder
        self._lock = threading.Lock()
        self._task: str | None = None

    def arm(self) -> None:
        from django_q.signals import post_execute_in_worker, pre_execute

        pre_execute.connect(self._begun, weak=False)
        post_execute_in_worker.connect(self._ended, weak=False)

    def _begun(self, task: dict[str, Any], **_: Any) -> None:
        with self._lock:
            self._task = task["id"]
        timer = threading.Timer(random.uniform(0.0, self.up_to), self._kill, [task["id"]])
        timer.daemon = True
        timer.start()

    def _ended(self, **_: Any) -> None:
        with self._lock:
            self._task = None

    def _kill(self, task: str) -> None:
        with self._lock:
            if self._task == task:
                for number in range(self.times):
                    _kill_once(self.folder / str(number))
