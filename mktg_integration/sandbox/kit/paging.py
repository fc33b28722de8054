"""Cursor pagination ("Pagination"), over any ordered keys, without a copy of the collection."""

from __future__ import annotations

import base64
import binascii
import json
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

from pydantic import Field

from .errors import invalid
from .requests import Keys

T = TypeVar("T")
Key = int | tuple[str, int]

DEFAULT_SIZE = 500
LARGEST_SIZE = 1000


class PageQuery(Keys):
    """What every list takes."""

    after: str | None = None
    before: str | None = None
    include_total_count: bool = False
    per_page: Annotated[int, Field(ge=1, le=LARGEST_SIZE)] = DEFAULT_SIZE


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page's rows, and the ``pagination`` object that goes with them."""

    rows: list[T]
    pagination: dict[str, Any]


def paginate(
    keys: Sequence[Any], fetch: Callable[[Any], T | None], query: PageQuery, *, descending: bool = True
) -> Page[T]:
    """The page that a query asks for.

    ``keys`` are ascending, all integers or all (text, integer); ``fetch`` gives a key's row, or None where the
    list does not show it.
    """
    if query.after is not None and query.before is not None:
        raise invalid("Only one of after and before can be used")
    order = _Order(keys, descending)
    wanted = query.per_page + 1
    if query.before is not None:
        end = order.start_of(_decode(query.before, keys))
        found = _collect(order, fetch, range(end - 1, -1, -1), wanted)
        earlier = len(found) == wanted
        found = found[: query.per_page][::-1]
        later = bool(_collect(order, fetch, range(end, len(keys)), 1))
    else:
        start = 0 if query.after is None else order.end_of(_decode(query.after, keys))
        found = _collect(order, fetch, range(start, len(keys)), wanted)
        later = len(found) == wanted
        found = found[: query.per_page]
        earlier = bool(_collect(order, fetch, range(start - 1, -1, -1), 1))
    pagination: dict[str, Any] = {
        "has_previous_page": earlier,
        "has_next_page": later,
        "start_cursor": _encode(found[0][0]) if found else None,
        "end_cursor": _encode(found[-1][0]) if found else None,
        "per_page": query.per_page,
    }
    if query.include_total_count:
        pagination["total_count"] = sum(fetch(key) is not None for key in keys)
    return Page([row for _, row in found], pagination)


@dataclass(frozen=True)
class _Order:
    """Positions of a list over ascending keys, whichever way it is sorted."""

    keys: Sequence[Any]
    descending: bool

    def key(self, position: int) -> Key:
        key: Key = self.keys[len(self.keys) - 1 - position if self.descending else position]
        return key

    def start_of(self, key: Key) -> int:
        """The position of a key, or of what follows it where it is gone."""
        if self.descending:
            return len(self.keys) - bisect_right(self.keys, key)
        return bisect_left(self.keys, key)

    def end_of(self, key: Key) -> int:
        """The position after a key."""
        if self.descending:
            return len(self.keys) - bisect_left(self.keys, key)
        return bisect_right(self.keys, key)


def _collect(order: _Order, fetch: Callable[[Any], T | None], positions: range, wanted: int) -> list[tuple[Key, T]]:
    found: list[tuple[Key, T]] = []
    for position in positions:
        key = order.key(position)
        row = fetch(key)
        if row is not None:
            found.append((key, row))
            if len(found) == wanted:
                break
    return found


def _encode(key: Key) -> str:
    """``WzE0XQ==`` for 14, as the document's cursors are."""
    parts = list(key) if isinstance(key, tuple) else [key]
    return base64.b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode()


def _decode(cursor: str, keys: Sequence[Any]) -> Key:
    try:
        parts = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError):
        raise invalid("Cursor is invalid") from None
    match parts:
        case [int(key)] if not keys or isinstance(keys[0], int):
            return key
        case [str(text), int(key)] if not keys or isinstance(keys[0], tuple):
            return (text, key)
    raise invalid("Cursor is invalid")
