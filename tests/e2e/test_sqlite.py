"""The example site on SQLite as Django sets it up: no write-ahead log, deferred transactions, 5 seconds' patience.

Visitors sign up over HTTP, 20 at the same time, while two clusters drain: none gets an error, and no row is lost.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from django.db import connection

from example_project.demo.processes import MANAGE, Children, free_port
from example_project.demo.visitors import SignupError, Visitor, sign_up, visitors
from example_project.environment import CREDENTIALS
from mktg_integration.sandbox.server import Sandbox
from tests.e2e import services
from tests.e2e.processes import wait_until
from tests.e2e.services import SERVICES

AT_A_TIME = 20
WAVES = 3
WAVE_SECONDS = 2.0
"""From one wave to the next, so that it meets the drains of the one before."""
PEOPLE = WAVES * AT_A_TIME


class RunningSite:
    """``example_project`` behind its threaded WSGI server, and two clusters, on one SQLite file."""

    def __init__(self, folder: Path, sandbox: Sandbox) -> None:
        port = str(free_port())
        self.url = f"http://127.0.0.1:{port}"
        self.children = Children(folder, self._environment(folder, port, sandbox))

    @staticmethod
    def _environment(folder: Path, port: str, sandbox: Sandbox) -> dict[str, str]:
        left_out = {*CREDENTIALS, "KIT_BASE_URL", "CONVERSION_BASE_URL", "CONVERTLOOP_BASE_URL", "PUBLIC_URL"}
        return {
            **{name: value for name, value in os.environ.items() if name not in left_out},
            "DATABASE_URL": f"sqlite:///{folder / 'site.sqlite3'}",
            "DJANGO_SETTINGS_MODULE": "example_project.settings",
            "EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend",
            "EXAMPLE_SQLITE": "default",
            "PORT": port,
            "PYTHONUNBUFFERED": "1",
            "SANDBOX_URL": sandbox.url,
        }

    def start(self) -> None:
        self.children.run("prepare", str(MANAGE), "migrate", "--verbosity", "0")
        for name in ("cluster 1", "cluster 2"):
            self.children.start(name, str(MANAGE), "qcluster")
        self.children.start("site", str(MANAGE), "runserver", "--noreload", "--skip-checks")
        assert wait_until(self._answers, 60) is not None, self.log("site")

    def _answers(self) -> bool:
        self.children.check()
        try:
            return requests.get(f"{self.url}/login/", timeout=5).ok
        except requests.ConnectionError:
            return False

    def log(self, name: str) -> str:
        return self.children.log(name).read_text(errors="replace")


@pytest.fixture
def example(tmp_path: Path, mktg_sandbox: Sandbox) -> Iterator[RunningSite]:
    running = RunningSite(tmp_path, mktg_sandbox)
    with running.children:
        running.start()
        yield running


def failure_of(site: str, visitor: Visitor) -> str:
    """What went wrong with a signup; empty where nothing did."""
    try:
        sign_up(site, visitor)
    except SignupError as error:
        return str(error)
    return ""


@pytest.mark.slow
@pytest.mark.skipif(connection.vendor != "sqlite", reason="it brings its own SQLite file, whatever the suite uses")
def test_nobody_meets_a_locked_database(example: RunningSite, mktg_sandbox: Sandbox) -> None:
    people = visitors(PEOPLE)

    answers: Counter[str] = Counter()
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        for start in range(0, PEOPLE, AT_A_TIME):
            wave = people[start : start + AT_A_TIME]
            answers.update(pool.map(lambda person: failure_of(example.url, person), wave))
            time.sleep(WAVE_SECONDS)

    assert answers == {"": PEOPLE}, example.log("site")
    expected = sorted(person.email for person in people)

    def all_arrived() -> bool:
        return all(len(mktg_sandbox.people(name)) >= PEOPLE for name in SERVICES)

    assert wait_until(all_arrived, 90) is not None, example.log("cluster 1") + example.log("cluster 2")
    for name in SERVICES:
        assert sorted(row["email"] for row in mktg_sandbox.people(name)) == expected
    assert services.made(mktg_sandbox) == dict.fromkeys(SERVICES, PEOPLE)
    # Nor was one met out of sight: a mark that was not made, a task that failed.
    told = [line for name in ("site", "cluster 1", "cluster 2") for line in example.log(name).splitlines()]
    assert [line for line in told if "locked" in line or "could not be" in line] == []
    services.check_manners(mktg_sandbox)
