"""What the mirror knows of a page's rows before they are written: one short statement."""

# ruff: noqa: S608 (only constants and quoted names of tables and columns become part of a statement)

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from pydantic_core import from_json, to_json

from mktg_integration import sql
from mktg_integration.models import Contact
from mktg_integration.models.mirror import Mirrored


class Before(NamedTuple):
    """How a row was before it was written. ``is_later``: it was told of since. ``status`` is empty for what is no
    contact."""

    digest: str
    is_later: bool
    gone: bool
    status: str


def read_before(model: type[Mirrored], keys: Sequence[str], *, as_of: datetime) -> dict[str, Before]:
    """By key, the rows that are there, compared with what is true as of ``as_of``. No statement without keys.

    Times are compared by the database, and SQLite answers with one row: it gives the interpreter's lock away for each
    row, and the thread that fetches would take it. Raises ``DatabaseError``.
    """
    if not keys:
        return {}
    connection = connections[router.db_for_write(model)]
    moment = connection.ops.adapt_datetimefield_value(as_of)
    with connection.cursor() as cursor:
        cursor.execute(*_statement(connection, model, keys, moment))
        rows = cursor.fetchall()
    if connection.vendor == "sqlite":
        rows = from_json(rows[0][0])
    return {key: Before(digest, bool(later), bool(gone), status) for key, digest, later, gone, status in rows}


def _statement(
    connection: BaseDatabaseWrapper, model: type[Mirrored], keys: Sequence[str], moment: Any
) -> tuple[str, list[Any]]:
    quote, vendor = connection.ops.quote_name, sql.vendor(connection)
    status = quote("status") if model is Contact else "''"
    columns = f"{quote('key')}, {quote('digest')}, {quote('seen_at')} > %s, {quote('deleted_at')} IS NOT NULL, {status}"
    table = quote(model._meta.db_table)
    if vendor == "sqlite":
        there = f"{quote('key')} IN (SELECT value FROM json_each(%s))"
        return f"SELECT json_group_array(json_array({columns})) FROM {table} WHERE {there}", [
            moment,
            to_json(keys).decode(),
        ]
    if vendor == "postgresql":
        return f"SELECT {columns} FROM {table} WHERE {quote('key')} = ANY(%s)", [moment, list(keys)]
    places = ", ".join(["%s"] * len(keys))
    return f"SELECT {columns} FROM {table} WHERE {quote('key')} IN ({places})", [moment, *keys]
