"""What a page must be before anything of it is written."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, get_args

from mktg_integration.exceptions import MalformedAnswerError
from mktg_integration.providers.base import Page, StreamSpec
from mktg_integration.records import Record


def check_page(service: str, spec: StreamSpec, page: Page) -> None:
    """Raise ``MalformedAnswerError`` naming the field where a record is of another kind, a time has no zone or is one
    that no calendar reaches, or a number is too large for any column."""
    allowed = (spec.record, *spec.extra)
    for record in page.records:
        kind: type[Any] = type(record)
        if kind not in allowed:
            raise MalformedAnswerError(f"{service}: {spec.name}: a page holds a {kind.__name__}")
        for name in _TIMES[kind]:
            value = getattr(record, name)
            if value is not None and value.tzinfo is None:
                raise MalformedAnswerError(f"{service}: {spec.name}: {name} is a time without a zone")
            if value is not None and not _EARLIEST <= value.year <= _LATEST:
                raise MalformedAnswerError(f"{service}: {spec.name}: {name} is a time that no calendar reaches")
        for name in _NUMBERS[kind]:
            value = getattr(record, name)
            if value is not None and not -_MOST <= value <= _MOST:
                raise MalformedAnswerError(f"{service}: {spec.name}: {name} is too large a number")


_EARLIEST, _LATEST = 1001, 9998
"""Years, all of which every database has in every time zone."""
_MOST = 2**63 - 1


def _named(*types: str) -> dict[type[Any], tuple[str, ...]]:
    """By kind of record, the names of its fields of these types."""
    return {
        kind: tuple(one.name for one in fields(kind) if set(str(one.type).split(" | ")) & set(types))
        for kind in get_args(Record)
    }


_TIMES = _named(datetime.__name__)
_NUMBERS = _named(int.__name__)
