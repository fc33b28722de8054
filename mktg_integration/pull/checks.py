"""What a page must be before anything of it is written."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any, get_args

from mktg_integration.exceptions import MalformedAnswerError
from mktg_integration.providers.base import Page, StreamSpec
from mktg_integration.records import Record


def check_page(service: str, spec: StreamSpec, page: Page) -> None:
    """Raise ``MalformedAnswerError`` naming the field where a record is of another kind or a time has no zone."""
    allowed = (spec.record, *spec.extra)
    for record in page.records:
        kind: type[Any] = type(record)
        if kind not in allowed:
            raise MalformedAnswerError(f"{service}: {spec.name}: a page holds a {kind.__name__}")
        for name in _TIMES[kind]:
            value = getattr(record, name)
            if value is not None and value.tzinfo is None:
                raise MalformedAnswerError(f"{service}: {spec.name}: {name} is a time without a zone")


_TIMES: dict[type[Any], tuple[str, ...]] = {
    kind: tuple(one.name for one in fields(kind) if datetime.__name__ in str(one.type)) for kind in get_args(Record)
}
"""By kind of record, the names of its times."""
