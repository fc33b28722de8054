"""Fixtures for all areas."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import pytest
from django.db import connection

from mktg_integration.models import Connection
from mktg_integration.signals import connection_needs_attention
from tests.browser.window import chromium, page, problems, window

__all__ = ["chromium", "page", "problems", "window"]


@pytest.fixture
def marketing(settings: Any) -> Iterator[Any]:
    """``marketing(PUSH=False)`` changes keys of the setting ``MKTG_INTEGRATION`` for one test."""

    def change(**keys: Any) -> None:
        settings.MKTG_INTEGRATION = {**settings.MKTG_INTEGRATION, **keys}

    return change


class Told(NamedTuple):
    """That a connection needs somebody: its name, why, and what more was said."""

    connection: str
    reason: str
    detail: str


@pytest.fixture
def attention() -> Iterator[list[Told]]:
    """What staff were told by the signal ``connection_needs_attention``."""
    told: list[Told] = []

    def hear(*, connection: Connection, reason: str, detail: str = "", **_: Any) -> None:
        told.append(Told(connection.name, reason, detail))

    connection_needs_attention.connect(hear)
    yield told
    connection_needs_attention.disconnect(hear)


@pytest.fixture
def database_url(transactional_db: None) -> str:
    """The address of the database that the tests use, as ``DATABASE_URL`` for a process that a test starts."""
    given = connection.settings_dict
    if connection.vendor == "sqlite":
        options = {key: value for key, value in given["OPTIONS"].items() if value is not None}
        return f"sqlite:///{given['NAME']}?{urlencode(options)}"
    scheme = "postgres" if connection.vendor == "postgresql" else "mysql"
    user = quote(given["USER"]) + (f":{quote(given['PASSWORD'])}" if given["PASSWORD"] else "")
    port = f":{given['PORT']}" if given["PORT"] else ""
    return f"{scheme}://{user}@{given['HOST']}{port}/{given['NAME']}"
