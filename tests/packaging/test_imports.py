"""What can be imported without what: the sandbox without Django, a provider without settings, the app without extras.

Which part may import which is in ``tests/test_architecture.py``.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mktg_integration.providers.registry import BUILT_IN
from tests.example.processes import run

PACKAGE = Path(__file__).resolve().parent.parent.parent / "mktg_integration"
# All that stands above the providers, but for their own folder and the sandbox's.
ENGINES = ["push", "pull", "inbound", "oauth", "mirror", "models", "admin", "api", "tasks.py", "shortcuts.py"]


def test_the_engines_know_no_provider_by_name() -> None:
    paths = [path for name in ENGINES for path in [PACKAGE / name, *(PACKAGE / name).rglob("*.py")] if path.is_file()]
    assert paths
    named = [
        f"{path.relative_to(PACKAGE)} names {provider}"
        for path in paths
        for provider in BUILT_IN
        if re.search(rf"mktg_integration\.providers\.{provider}\b", path.read_text())
    ]
    assert named == []


@pytest.mark.parametrize(
    "module",
    ["mktg_integration.sandbox.pytest_plugin", "mktg_integration.sandbox.server", "mktg_integration.sandbox.cli"],
)
def test_the_sandbox_runs_without_django(module: str) -> None:
    done = run("-c", f"import sys, {module}; print('django' in sys.modules)")
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.parametrize("provider", ["kit", "conversion", "convertloop"])
def test_a_provider_can_be_imported_without_settings(provider: str) -> None:
    done = run("-c", f"import mktg_integration.providers.{provider}")
    assert done.returncode == 0, done.stderr


def test_no_extra_is_needed_to_import_the_app() -> None:
    blocked = ["celery", "tqdm", "prometheus_client", "drf_spectacular", "pytest", "psycopg", "MySQLdb"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import django; django.setup()\n"
        "import mktg_integration.tasks, mktg_integration.shortcuts, mktg_integration.admin, mktg_integration.urls"
    )
    done = run("-c", code, DJANGO_SETTINGS_MODULE="tests.settings")
    assert done.returncode == 0, done.stderr
