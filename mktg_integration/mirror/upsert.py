"""Many rows in one statement, passed as one JSON parameter; compiled for each database from the model's fields.

PostgreSQL unfolds the parameter with ``jsonb_to_recordset``, SQLite with ``json_each``, MariaDB and MySQL with
``JSON_TABLE``. A ``guard`` is a time column: a row that is there is changed only by one that is not older.
"""

# ruff: noqa: S608 (only constants and quoted names of tables and columns become part of a statement)

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from operator import eq, itemgetter
from typing import Any

from django.db import connections, models, router, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from pydantic_core import to_json

from mktg_integration import sql
from mktg_integration.models.keys import KeyField

PAGE = 1000
"""The most rows of one statement."""

_TIMES = 256
"""Times that are kept as the database takes them, for each column of a page."""

_Model = type[models.Model]
_Silent = tuple[tuple[str, str | None], ...]

_STATEMENTS = 256
"""Texts that are kept: one for each set of columns of a table, and of those that a page has alike."""

_MANY = 50
"""From so many rows on, a column that has one value for all of them is sent once."""


@dataclass(frozen=True)
class Statement:
    """Up to a page of rows, encoded: only the database's work is left."""

    using: str
    text: str
    parameters: list[Any]
    rows: int

    def run(self) -> int:
        """The number of rows as the database counts them: on MySQL not that of the rows written.

        Raises ``DatabaseError``; repeated by itself where the database gave way, outside a transaction.
        """

        def once() -> int:
            with connections[self.using].cursor() as cursor:
                cursor.execute(self.text, self.parameters)
                return int(cursor.rowcount)

        return sql.retrying(once, using=self.using)


def upsert(
    model: _Model,
    rows: Sequence[Mapping[str, Any]],
    *,
    guard: str = "",
    silent: Mapping[str, str | None] | None = None,
    keep: bool = False,
) -> int:
    """Insert ``rows``, or change those that are there. One statement for every ``PAGE`` rows.

    Each row maps the same columns (attnames, the primary key among them) to Python values; columns that are not given
    get the field's default when inserted and are left alone otherwise. Of two rows with one key the last one counts.
    Text is cut to its column, and what no database stores (NUL, lone surrogates, NaN) is replaced. ``silent`` names
    values that say nothing, by column (None stands for NULL, which says nothing in any of these columns): they are
    inserted, but change no row. With ``keep`` all rows that are there stay as they are. Raises ``ValueError`` for a
    primary key that its column cannot hold, ``DatabaseError``. Returns what ``Statement.run`` does.
    """
    return sum(statement.run() for statement in prepare(model, rows, guard=guard, silent=silent, keep=keep))


def prepare(
    model: _Model,
    rows: Sequence[Mapping[str, Any]],
    *,
    guard: str = "",
    silent: Mapping[str, str | None] | None = None,
    keep: bool = False,
    size: int = PAGE,
    using: str = "",
) -> Iterator[Statement]:
    """The statements of ``upsert``, each of up to ``size`` rows, encoded but not run; over the connection ``using``, by
    default the router's."""
    if not rows:
        return
    pk = _pk(model).attname
    using = using or router.db_for_write(model)
    connection = connections[using]
    # In the order of their keys, so that two writers never wait for each other in a circle.
    unique = [row for _, row in sorted({row[pk]: row for row in rows}.items())]
    shared = _shared(model, unique)
    columns = tuple(column for column in rows[0] if column not in shared)
    converters = [_converter(connection, model._meta.get_field(column)) for column in columns]
    text = _compiled(using, model, columns, shared, guard, tuple(sorted((silent or {}).items())), keep)
    others = _others(model, (*columns, *shared))
    defaults = [field.get_db_prep_save(field.get_default(), connection) for field in others]
    once = [_alone(connection, model._meta.get_field(column), unique[0][column]) for column in shared]
    for start in range(0, len(unique), size):
        page = unique[start : start + size]
        encoded = _encoded(connection, _converted(page, columns, converters))
        yield Statement(using, text, [*defaults, encoded, *once], len(page))


def _shared(model: _Model, rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns that have one value for all rows."""
    if len(rows) < _MANY:
        return ()
    alike = (
        column
        for column, value in rows[0].items()
        if _compares(model._meta.get_field(column), value)
        and all(map(partial(eq, value), map(itemgetter(column), rows)))
    )
    return tuple(alike)


def _compares(field: Any, value: Any) -> bool:
    """Whether what equals ``value`` is stored as it is: in JSON 1 is not true, though Python's are equal."""
    return not field.primary_key and (value == {} or not isinstance(field, models.JSONField))


def _alone(connection: BaseDatabaseWrapper, field: Any, value: Any) -> Any:
    """A value as a parameter of its own: what the database stores, as in the JSON of the others."""
    converted = _converter(connection, field)(value)
    is_json = isinstance(field, models.JSONField) and not isinstance(converted, str)
    return _dump(converted) if is_json else _storable(converted)


def _converted(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], converters: Sequence[Callable[[Any], Any]]
) -> Iterator[tuple[Any, ...]]:
    """The rows' values: converted column by column, which is faster than row by row."""
    converted = [
        map(itemgetter(column), rows) if convert is _same else map(convert, map(itemgetter(column), rows))
        for column, convert in zip(columns, converters, strict=True)
    ]
    return zip(*converted, strict=True)


def _encoded(connection: BaseDatabaseWrapper, rows: Iterable[Sequence[Any]]) -> str:
    """The parameter of ``_SOURCES``: a list of lists, on PostgreSQL of objects with the keys ``c0``, ``c1``, …"""
    given: list[Any] = list(rows)
    if connection.vendor == "postgresql" and given:
        names = [f"c{n}" for n in range(len(given[0]))]
        given = [dict(zip(names, row, strict=True)) for row in given]
    return _dump(given)


def amend(model: _Model, columns: Sequence[str], values: Mapping[str, Sequence[Any]], *, unset: str = "") -> int:
    """Give ``columns`` these values, by primary key, in rows that are there. How many were changed.

    One statement for every ``PAGE`` rows, which SQLite runs row by row in one short transaction: its lock is held for
    the writing alone. ``unset``: only rows in which this column is NULL. Raises ``DatabaseError``.
    """
    using = router.db_for_write(model)
    connection, given = connections[using], sorted(values.items())
    pk, fields = _pk(model), [model._meta.get_field(column) for column in columns]
    text = _amendment(connection, model, fields, unset)
    changed = 0
    for start in range(0, len(given), PAGE):
        page = given[start : start + PAGE]
        if connection.vendor == "sqlite":
            rows = [(*map(partial(_stored, connection), fields, row), key) for key, row in page]
            changed += sql.retrying(partial(_run_many, using, text, rows), using=using)
        else:
            convert = [_converter(connection, field) for field in (pk, *fields)]
            made = [[convert[n](value) for n, value in enumerate((key, *row))] for key, row in page]
            changed += Statement(using, text, [_encoded(connection, made)], len(page)).run()
    return changed


def _amendment(connection: BaseDatabaseWrapper, model: _Model, fields: Sequence[Any], unset: str) -> str:
    vendor, quote = sql.vendor(connection), connection.ops.quote_name
    table, pk = quote(model._meta.db_table), _pk(model)
    key, *new = ["%s"] * (len(fields) + 1)
    source = ""
    if vendor != "sqlite":
        (key, *new), source = _SOURCES[vendor](connection, [pk, *fields])
    left = f"{table}." if vendor == "mysql" else ""
    sets = ", ".join(f"{left}{quote(field.column)} = {value}" for field, value in zip(fields, new, strict=True))
    same = f"{table}.{quote(pk.column)} = {key}"
    if unset:
        same += f" AND {table}.{quote(_column(model, unset))} IS NULL"
    if vendor == "mysql":
        return f"UPDATE {table} JOIN {source} ON {same} SET {sets}"
    return f"UPDATE {table} SET {sets}{f' FROM {source}' if source else ''} WHERE {same}"


def _column(model: _Model, name: str) -> str:
    field: Any = model._meta.get_field(name)
    return str(field.column)


def _stored(connection: BaseDatabaseWrapper, field: Any, value: Any) -> Any:
    return field.get_db_prep_save(value, connection)


def _run_many(using: str, text: str, rows: Sequence[Sequence[Any]]) -> int:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.executemany(text, rows)
        return int(cursor.rowcount)


# The statement


def _others(model: _Model, told: tuple[str, ...]) -> list[Any]:
    """The fields that no row gives: they get their defaults."""
    return [field for field in model._meta.concrete_fields if field.attname not in told]


@lru_cache(_STATEMENTS)
def _compiled(
    using: str,
    model: _Model,
    columns: tuple[str, ...],
    shared: tuple[str, ...],
    guard: str,
    silent: _Silent,
    keep: bool,
) -> str:
    connection, says_nothing = connections[using], dict(silent)
    vendor, quote = sql.vendor(connection), connection.ops.quote_name
    table = quote(model._meta.db_table)
    told = (*columns, *shared)
    fields: list[Any] = [model._meta.get_field(column) for column in told]
    others = _others(model, told)
    given, source = _SOURCES[vendor](connection, fields[: len(columns)])
    if shared:
        once = [_constant(connection, field) for field in fields[len(columns) :]]
        source += f", (SELECT {', '.join(f'{value} AS s{n}' for n, value in enumerate(once))}) AS s"
        given += [f"s.s{n}" for n in range(len(shared))]
    constants = [_constant(connection, field) for field in others]
    names = ", ".join(quote(field.column) for field in [*others, *fields])
    insert = f"INSERT INTO {table} ({names}) SELECT {', '.join(constants + given)} FROM {source}"
    new = dict(zip(told, given, strict=True)) if vendor == "mysql" else {c: f"EXCLUDED.{quote(c)}" for c in told}
    pk = _pk(model)
    if keep:
        same = f"ON DUPLICATE KEY UPDATE {table}.{quote(pk.column)} = {table}.{quote(pk.column)}"
        nothing = f"WHERE TRUE ON CONFLICT ({quote(pk.column)}) DO NOTHING"
        return f"{insert} {same if vendor == 'mysql' else nothing}"
    # The guard last: MySQL assigns from left to right, and must compare with the time that was there.
    changed = sorted((column for column in told if column != pk.attname), key=lambda column: column == guard)
    sets = {
        column: _unless_silent(table, quote(column), new[column], says_nothing[column])
        if column in says_nothing
        else new[column]
        for column in changed
    }
    newer = f"{new[guard]} >= {table}.{quote(guard)}" if guard else ""
    if vendor == "mysql":
        if guard:
            sets = {column: f"IF({newer}, {value}, {table}.{quote(column)})" for column, value in sets.items()}
        changes = ", ".join(f"{table}.{quote(column)} = {value}" for column, value in sets.items())
        return f"{insert} ON DUPLICATE KEY UPDATE {changes}"
    changes = ", ".join(f"{quote(column)} = {value}" for column, value in sets.items())
    conflict = f"ON CONFLICT ({quote(pk.column)}) DO UPDATE SET {changes}"
    # SQLite takes the ON of ON CONFLICT for a join's unless there is a WHERE.
    return f"{insert} WHERE TRUE {conflict}" + (f" WHERE {newer}" if guard else "")


def _constant(connection: BaseDatabaseWrapper, field: Any) -> str:
    """A parameter of the field's type."""
    return f"CAST(%s AS {field.db_type(connection)})" if connection.vendor == "postgresql" else "%s"


def _unless_silent(table: str, column: str, new: str, silent: str | None) -> str:
    says_nothing = f"{new} IS NULL" + (f" OR {new} = '{silent}'" if silent is not None else "")
    return f"CASE WHEN {says_nothing} THEN {table}.{column} ELSE {new} END"


def _postgresql(connection: BaseDatabaseWrapper, fields: Sequence[Any]) -> tuple[list[str], str]:
    columns = ", ".join(f"c{n} {field.db_type(connection)}" for n, field in enumerate(fields))
    return [f"j.c{n}" for n in range(len(fields))], f"jsonb_to_recordset(%s::jsonb) AS j({columns})"


def _sqlite(connection: BaseDatabaseWrapper, fields: Sequence[Any]) -> tuple[list[str], str]:
    return [f"json_extract(j.value, '$[{n}]')" for n in range(len(fields))], "json_each(%s) AS j"


def _mysql(connection: BaseDatabaseWrapper, fields: Sequence[Any]) -> tuple[list[str], str]:
    columns = ", ".join(f"c{n} {_mysql_type(connection, field)} PATH '$[{n}]'" for n, field in enumerate(fields))
    return [f"j.c{n}" for n in range(len(fields))], f"JSON_TABLE(%s, '$[*]' COLUMNS ({columns})) AS j"


def _mysql_type(connection: BaseDatabaseWrapper, field: Any) -> str:
    declared = str(field.db_type(connection))
    if declared in ("json", "longtext", "uuid"):
        return "longtext"
    return "tinyint" if declared == "bool" else declared.replace(" UNSIGNED", "")


_SOURCES: dict[str, Callable[[BaseDatabaseWrapper, Sequence[Any]], tuple[list[str], str]]] = {
    "postgresql": _postgresql,
    "sqlite": _sqlite,
    "mysql": _mysql,
}


# The values


def _pk(model: _Model) -> Any:
    pk = model._meta.pk
    assert pk is not None  # noqa: S101 (every concrete model has one)
    return pk


def _converter(connection: BaseDatabaseWrapper, field: Any) -> Callable[[Any], Any]:
    """What makes of a Python value what the JSON parameter holds of it."""
    is_key = field.primary_key
    while isinstance(field, models.ForeignKey):
        field = field.target_field
    if type(field) is models.JSONField:
        return _same if connection.vendor == "postgresql" else _dump
    if isinstance(field, models.DateTimeField):
        # Most rows of a page have the same times.
        return lru_cache(_TIMES)(_isoformat if connection.vendor == "postgresql" else partial(_adapted, connection))
    if type(field) in (models.CharField, KeyField):
        return partial(_checked if is_key else _cut, field.max_length or 0)
    if isinstance(field, models.IntegerField | models.BooleanField):
        return _same
    return lambda value: _plain(field.get_db_prep_save(value, connection))


def _same(value: Any) -> Any:
    return value


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _isoformat(value: datetime | None) -> str | None:
    return value.isoformat() if value is not None else None


def _adapted(connection: BaseDatabaseWrapper, value: datetime | None) -> str | None:
    if value is None:
        return None
    adapted = connection.ops.adapt_datetimefield_value(value)
    return str(adapted) if adapted is not None else None


def _cut(length: int, value: str | None) -> str | None:
    return value if value is None or len(value) <= length else value[:length]


def _checked(length: int, value: str) -> str:
    if not value or len(value) > length:
        raise ValueError(f"a primary key must have 1 to {length} characters")
    return value


def _dump(value: Any) -> str:
    """As JSON that every database takes."""
    try:
        text = to_json(value, inf_nan_mode="null", fallback=str).decode()
    except ValueError:
        # Half a character.
        return _dump(_storable(value))
    if "\\u0000" in text and (clean := _storable(value)) != value:
        return _dump(clean)
    return text


def _storable(value: Any) -> Any:
    """``value`` without NUL, lone surrogates, NaN and infinities."""
    if isinstance(value, str):
        return value.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {_storable(str(key)): _storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(item) for item in value]
    return value
