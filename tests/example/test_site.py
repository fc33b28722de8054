"""Runs the tests in ``site`` under the example's own settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.example.processes import run


@pytest.mark.parametrize(
    "mode",
    [pytest.param("", id="tuned"), pytest.param("default", id="as-django-has-it", marks=pytest.mark.slow)],
)
def test_the_site_under_its_own_settings(tmp_path: Path, mode: str) -> None:
    done = run(
        "-m",
        "pytest",
        "tests/example/site",
        "-q",
        "-p",
        "no:cacheprovider",
        DJANGO_SETTINGS_MODULE="example_project.settings",
        DATABASE_URL=f"sqlite:///{tmp_path / 'example.sqlite3'}",
        EXAMPLE_SQLITE=mode,
    )
    assert done.returncode == 0, done.stdout + done.stderr
