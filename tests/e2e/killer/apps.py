from __future__ import annotations

import functools
import importlib
import os
import signal
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
