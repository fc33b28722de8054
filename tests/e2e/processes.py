"""The processes of a site: ``qcluster`` and commands, on a given database, with given settings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Site:
    """The site whose processes are started here. ``keys`` are those of ``MKTG_INTEGRATION``."""

    def __init__(self, database_url: str, keys: Mapping[str, Any]) -> None:
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
            "DATABASE_URL": database_url,
            "MKTG_E2E": json.dumps(keys),
            "PYTHONPATH": str(ROOT),
        }
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the site)

    def close(self) -> None:
        self._log.close()

    def output(self) -> str:
        """The end of what its processes have printed."""
        # Read at an offset: the processes write through the same open file, whose position must stay at its end.
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), 20_000, max(0, size - 20_000)).decode(errors="replace")

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "django", *command],
            env={**self.environment, **environment},
            cwd=ROOT,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str, **environment: str) -> int:
        """The exit status of a command; negative where a signal ended it."""
        return self.start(*command, **environment).wait(timeout=120)

    @contextmanager
    def clusters(self, count: int, **environment: str) -> Iterator[list[subprocess.Popen[bytes]]]:
        """So many ``qcluster`` processes, killed with all their workers at the end; the list may be changed."""
        started = [self.start("qcluster", **environment) for _ in range(count)]
        try:
            yield started
        finally:
            for process in started:
                kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """``kill -9`` of a process and all its children."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_until(true: Callable[[], bool], seconds: float) -> float | None:
    """The seconds that it took until ``true()``, or None where it did not within ``seconds``."""
    start = time.monotonic()
    while not true():
        if time.monotonic() - start > seconds:
            return None
        time.sleep(0.1)
    return time.monotonic() - start
