"""The demo end to end, on the database that the tests run on."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db import connection

from tests.example.processes import manage

pytestmark = pytest.mark.slow


@pytest.fixture
def fresh_database(tmp_path: Path, database_url: str) -> Iterator[str]:
    """The address of an empty database of the same kind as that of the tests."""
    if connection.vendor == "sqlite":
        yield f"sqlite:///{tmp_path / 'demo.sqlite3'}"
        return
    name = f"mktg_demo_{os.getpid()}"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
    try:
        yield f"{database_url.rpartition('/')[0]}/{name}"
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name}")


def test_everyone_arrives_exactly_once_at_all_three(tmp_path: Path, fresh_database: str) -> None:
    # A real account's credentials in the environment must not be used, or nobody would arrive at the sandbox.
    done = manage(
        tmp_path, "demo", "--once", "--json", DATABASE_URL=fresh_database, KIT_API_KEY="real", CONVERSION_API_KEY="real"
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["complete"] is True
    assert figures["seconds"]["in_all"] < 60
    assert set(figures["services"]) == {"kit", "conversion", "convertloop"}
    for service in figures["services"].values():
        assert service["people"] == service["right"] == figures["users"] == 25
        assert service["undocumented"] == service["rate_limited"] == 0
        assert service["calls"] >= service["least_possible"]


def test_on_sqlite_as_django_has_it(tmp_path: Path) -> None:
    done = manage(tmp_path, "demo", "--once", "--json", "--users", "40", EXAMPLE_SQLITE="default")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["complete"] is True
