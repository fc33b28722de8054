"""Real processes on the tests' database: ``qcluster`` and commands, beside a sandbox over real HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import MAPPING, declared, define_conversion_fields
from tests.push.conftest import sign_up as sign_up

ROOT = Path(__file__).resolve().parents[2]
SHORT = {"LEASE_SECONDS": 4.0, "CALL_SECONDS": 1.5, "CONNECT_SECONDS": 1.0, "DRAIN_SECONDS": 15.0}


class Site:
    """The site whose processes the test starts. ``keys`` are those of ``MKTG_INTEGRATION``."""

    def __init__(self, database_url: str, keys: dict[str, Any]) -> None:
        self.environment = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
            "DATABASE_URL": database_url,
            "MKTG_E2E": json.dumps(keys),
            "PYTHONPATH": str(ROOT),
        }
        self.log = tempfile.TemporaryFile()  # noqa: SIM115 (closed with the site)

    def output(self) -> str:
        """What its processes have printed."""
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def start(self, *command: str, **environment: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "django", *command],
            env={**self.environment, **environment},
            cwd=ROOT,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, *command: str, **environment: str) -> int:
        """The exit status of a command; negative where a signal ended it."""
        return self.start(*command, **environment).wait(timeout=120)

    @contextmanager
    def clusters(self, count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
        """So many ``qcluster`` processes, killed with all their workers at the end."""
        started = [self.start("qcluster") for _ in range(count)]
        try:
            yield started
        finally:
            for process in started:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


@pytest.fixture
def site(
    database_url: str, mktg_sandbox: Sandbox, marketing: Callable[..., None]
) -> Iterator[Callable[..., tuple[Site, dict[str, Connection]]]]:
    """``site("kit", "conversion", LINGER_SECONDS=0.5)`` declares the connections for this process and its children."""

    def make(*names: str, **keys: Any) -> tuple[Site, dict[str, Connection]]:
        define_conversion_fields(mktg_sandbox)
        given = {"CONNECTIONS": declared(mktg_sandbox, *names), "PROFILE": MAPPING, **SHORT, **keys}
        marketing(**given)
        sync_declared()
        sites.append(Site(database_url, given))
        return sites[-1], {row.name: row for row in Connection.objects.select_related("state")}

    sites: list[Site] = []
    yield make
    for made in sites:
        made.log.close()


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> float:
    """The seconds that it took until ``true()``; fails naming ``what`` after ``seconds``."""
    start = time.monotonic()
    while not true():
        if time.monotonic() - start > seconds:
            pytest.fail(f"not within {seconds} s: {what}")
        time.sleep(0.1)
    return time.monotonic() - start
