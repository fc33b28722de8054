"""Tables as CSV: page after page, so that a million rows take no more memory than a thousand, and harmless to open."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import Model, Prefetch, QuerySet

from mktg_integration import audit
from mktg_integration.audit import Actor
from mktg_integration.insight import ids
from mktg_integration.models import AuditAction, AuditEntry, Connection, Contact, DeadRow, Run

PAGE: Final = 1000
_BOM = "\ufeff"
"""Without it spreadsheets take UTF-8 for something else."""

# What makes a spreadsheet compute: at the start of a cell, and behind what it may take for the start of another one.
# Their full-width forms count too, and what a spreadsheet leaves out before them.
_FORMULA = re.compile("(^|[;\t\r\n])([\\s\u200b\u200c\u200d\u2060\ufeff\x00]*)([=+\\-@\uff1d\uff0b\uff0d\uff20])")
_BLANK_START = re.compile("^[\t\r\n]")


class Column(NamedTuple):
    """``read`` gives the value of a row. ``personal``: only for whoever may see personal data."""

    name: str
    read: Callable[[Any], Any]
    personal: bool = False


def _field(name: str, *, personal: bool = False) -> Column:
    return Column(name, lambda row: getattr(row, name), personal)


def _of(name: str, path: str, *, personal: bool = False) -> Column:
    def read(row: Any) -> Any:
        for part in path.split("."):
            row = getattr(row, part, None)
        return row

    return Column(name, read, personal)


_CONNECTION = _of("connection", "connection.name")

COLUMNS: Final[Mapping[type[Model], Sequence[Column]]] = {
    Contact: (
        _CONNECTION,
        # Empty where the service knows people by their address alone.
        Column("remote_id", lambda row: row.remote_id if ids.is_plain(row.remote_id) else ""),
        _field("email", personal=True),
        _field("first_name", personal=True),
        _field("values", personal=True),
        _field("status"),
        _field("subject"),
        _field("remote_created_at"),
        _field("last_pushed_at"),
        _field("seen_at"),
        _field("deleted_at"),
    ),
    DeadRow: (
        _CONNECTION,
        _field("kind"),
        _field("subject"),
        _field("state"),
        _field("code"),
        _field("reason"),
        _field("status"),
        _field("request_id"),
        _field("attempts"),
        _field("marked_at"),
        _field("died_at"),
    ),
    AuditEntry: (
        _field("at"),
        _field("action"),
        _of("actor", "actor.pk"),
        _of("actor_name", "actor", personal=True),
        _field("via"),
        _field("connection_name"),
        _field("subject"),
        _field("detail"),
    ),
    Run: (
        _field("id"),
        _CONNECTION,
        _field("kind"),
        _field("status"),
        _field("started_at"),
        _field("finished_at"),
        _field("total"),
        _field("counts"),
        _field("detail"),
    ),
}
"""What can be exported. No payload, no credential, nothing encrypted is among them."""
_JOINED: Final[Mapping[type[Model], tuple[str, ...]]] = {AuditEntry: ("actor",)}
_LEFT_OUT: Final[Mapping[type[Model], tuple[str, ...]]] = {
    Contact: ("raw", "company_values"),
    DeadRow: ("payload",),
    Run: ("errors", "examples"),
}


def csv_lines(actor: Actor, rows: QuerySet[Any], *, personal: bool) -> Iterator[str]:
    """These rows as the lines of a CSV file, by their primary keys; ``personal`` columns only if asked for.

    Who exported is written down before the first line. The callers ask for the permissions. Raises ``KeyError`` for a
    table that is not exported.
    """
    columns = [column for column in COLUMNS[rows.model] if personal or not column.personal]
    audit.record(actor, AuditAction.EXPORTED, table=rows.model._meta.model_name, personal=personal)
    return _lines(rows, columns)


def _lines(rows: QuerySet[Any], columns: Sequence[Column]) -> Iterator[str]:
    yield _BOM + _line([column.name for column in columns])
    for page in _pages(rows):
        yield "".join(_line([column.read(row) for column in columns]) for row in page)


def _pages(rows: QuerySet[Any]) -> Iterator[Sequence[Any]]:
    """By the primary key: no cursor stays open, and no database driver keeps more than a page."""
    model = rows.model
    rows = rows.prefetch_related(None).select_related(None).order_by("pk").defer(*_LEFT_OUT.get(model, ()))
    if joined := _JOINED.get(model):
        rows = rows.select_related(*joined)
    if any(field.name == "connection" for field in model._meta.fields) and model is not AuditEntry:
        # Without its credentials, which a wrong key could not read.
        rows = rows.prefetch_related(Prefetch("connection", Connection.objects.defer("credentials")))
    page = list(rows[:PAGE])
    while page:
        yield page
        page = list(rows.filter(pk__gt=page[-1].pk)[:PAGE]) if len(page) == PAGE else []


def _line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer, quoting=csv.QUOTE_ALL).writerow([cell(value) for value in values])
    return buffer.getvalue()


def cell(value: Any) -> str:
    """``value`` as text that no spreadsheet takes for a formula: an apostrophe goes before what would begin one."""
    if value is None:
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    text = json.dumps(value, ensure_ascii=False, sort_keys=True) if isinstance(value, dict | list) else str(value)
    text = _FORMULA.sub(r"\1\2'\3", text)
    return f"'{text}" if _BLANK_START.match(text) else text
