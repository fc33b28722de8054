"""A site for measuring: the test suite's settings on a database of its own, and a sandbox beside it.

The database is that of ``DATABASE_URL`` (its ``TEST`` database, made and dropped), by default an SQLite file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode, urlsplit

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")

import django

django.setup()

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection
from django.test.utils import override_settings
from django.utils import timezone

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.sandbox.server import Sandbox
from tests.e2e.processes import Site
from tests.settings import DATABASE_URL


@contextmanager
def database() -> Iterator[str]:
    """A fresh database with all tables; its vendor."""
    connection.creation.create_test_db(verbosity=0, autoclobber=True, serialize=False)
    try:
        yield connection.vendor
    finally:
        connection.creation.destroy_test_db(connection.settings_dict["NAME"], verbosity=0)


@contextmanager
def connected(declared: dict[str, dict[str, Any]], **keys: Any) -> Iterator[dict[str, Connection]]:
    """The connections of these settings, by name."""
    changed = {**settings.MKTG_INTEGRATION, "CONNECTIONS": declared, **keys}
    with override_settings(MKTG_INTEGRATION=changed):
        sync_declared()
        yield {row.name: row for row in Connection.objects.select_related("state")}


def make_users(count: int, *, fields: bool = False, groups: tuple[str, ...] = (), start: int = 0) -> None:
    """Users who asked for the newsletter, without marking any of them."""
    from tests.testapp.models import Preference

    users = get_user_model()
    made = users.objects.bulk_create(
        users(username=f"user{n}", email=f"user{n}@example.com", first_name=f"Name{n}")
        for n in range(start, start + count)
    )
    now = timezone.now()
    Preference._default_manager.bulk_create(
        Preference(user=user, newsletter=True, asked_at=now, plan="gold" if fields else "") for user in made
    )
    through = users.groups.through
    for name in groups:
        group, _ = Group.objects.get_or_create(name=name)
        through.objects.bulk_create(through(user_id=user.pk, group_id=group.pk) for user in made)


@contextmanager
def site_of(keys: dict[str, Any]) -> Iterator[Site]:
    """The site whose processes share this one's database; ``keys`` are those of ``MKTG_INTEGRATION``."""
    site = Site(database_url(), keys)
    try:
        yield site
    finally:
        site.close()


def database_url() -> str:
    """The address of the database in use, for other processes."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}?{urlencode(connection.settings_dict['OPTIONS'])}"
    return urlsplit(DATABASE_URL)._replace(path=f"/{name}").geturl()


@contextmanager
def counting_statements() -> Iterator[Counter[str]]:
    """Statements by their first words; savepoints count, BEGIN and COMMIT do not."""
    counted: Counter[str] = Counter()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        counted[" ".join(sql.split()[:6])] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield counted


__all__ = ["Sandbox", "connected", "counting_statements", "database", "database_url", "make_users", "site_of"]
