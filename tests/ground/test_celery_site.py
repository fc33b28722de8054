"""A site that runs Celery and has not installed django-q2's app."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

SITE = """
import sys
from celery import Celery
from django.conf import settings
from tests import settings as base

given = {name: getattr(base, name) for name in dir(base) if name.isupper()}
given["INSTALLED_APPS"] = [app for app in base.INSTALLED_APPS if app != "django_q"]
given["MKTG_INTEGRATION"] = {**base.MKTG_INTEGRATION, "TASK_ENGINE": "celery"}
settings.configure(**given)

import django
django.setup()
from django.core.management import call_command

application = Celery("site", broker="memory://")
application.autodiscover_tasks(["mktg_integration"], force=True)
application.finalize()
assert "mktg_integration.run" in application.tasks, "a worker finds the task"

call_command("check")
call_command("migrate", verbosity=0)
call_command("mktg_schedule")

application.conf.update(task_always_eager=True, task_eager_propagates=True)
from mktg_integration.background import enqueue
enqueue("mktg_integration.tasks.drain_all")
enqueue("mktg_integration.tasks.housekeeping")
assert not [name for name in sys.modules if name.startswith("django_q")], "nothing of django-q2 is loaded"
"""


def test_the_app_works_without_django_q2(tmp_path: Path) -> None:
    environment = {**os.environ, "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SITE],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert "mktg_integration.tasks.drain_all" in done.stdout
