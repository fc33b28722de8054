"""Bulk requests ("Bulk and async processing"): up to 100 items at once, more of them later.

The order of the results is deliberately not that of the request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator
from pydantic_core import PydanticCustomError

from ..wire import Response
from .core import Kit
from .errors import Refused
from .requests import Keys
from .router import answer

SYNCHRONOUS = 100
"""The most items that are worked on within the request."""

QUEUE_FULL = (
    "This request exceeds your queued bulk requests limit. "
    "Please wait while we process your existing requests and try again later."
)

_shuffle = random.Random(20260520)


def web_address(value: str | None) -> str | None:
    """A URL with a scheme and a host, for callbacks and webhooks."""
    if value is not None:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.netloc:
            raise PydanticCustomError("kit", "is not a valid URL")
    return value


WebAddress = Annotated[str, AfterValidator(web_address)]


def some(what: str) -> BeforeValidator:
    """For a list that must not be empty: the document's words for one that is, or that is no list."""

    def check(value: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise PydanticCustomError("whole", "No {what} included for processing", {"what": what})
        return value

    return BeforeValidator(check)


class BulkBody(Keys):
    """What every bulk request may hold."""

    callback_url: WebAddress | None = None


class Failure(Exception):  # noqa: N818  (an answer, not a fault of the program)
    """Why one item was not carried out; ``shown`` is the item as the answer repeats it."""

    def __init__(self, shown: dict[str, Any], error: str) -> None:
        super().__init__(error)
        self.shown = shown
        self.error = error


@dataclass(frozen=True)
class BulkKind:
    """One kind of bulk request: how each item is carried out, and the keys of the answer."""

    apply: Callable[[Kit, dict[str, Any]], dict[str, Any] | None]
    results: str | None
    """The answer's key of what was done; None where the answer holds failures only."""
    failed: str
    """The key of an item within ``failures``."""


_kinds: dict[str, BulkKind] = {}


def bulk_kind(
    name: str, *, results: str | None, failed: str
) -> Callable[[Callable[[Kit, dict[str, Any]], dict[str, Any] | None]], BulkKind]:
    """Register how one item of a kind is carried out; the function raises ``Failure``."""

    def register(apply: Callable[[Kit, dict[str, Any]], dict[str, Any] | None]) -> BulkKind:
        _kinds[name] = BulkKind(apply, results, failed)
        return _kinds[name]

    return register


def carry_out(kit: Kit, kind: str, items: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """Do the work now: the body of the synchronous answer, and of the callback of an asynchronous one."""
    rule = _kinds[kind]
    done: list[dict[str, Any]] = []
    failures: list[dict[str, Any]] = []
    for item in items:
        try:
            result = rule.apply(kit, item)
        except Failure as failure:
            failures.append({rule.failed: failure.shown, "errors": [failure.error]})
        else:
            if result is not None:
                done.append(result)
    answer = {} if rule.results is None else {rule.results: _unordered(done)}
    return {**answer, "failures": _unordered(failures)}


def respond(kit: Kit, kind: str, items: Iterable[BaseModel], body: BulkBody) -> Response:
    """Carry out up to 100 items and answer 200, or queue more and answer 202.

    Raises ``Refused`` (413) where the queue's quota would be exceeded.
    """
    work = [item.model_dump(exclude_unset=True) for item in items]
    if len(work) <= SYNCHRONOUS:
        return answer(200, carry_out(kit, kind, work))
    size = len(body.model_dump_json())
    if sum(job.size for job in kit.world.jobs) + size > kit.world.settings.bulk_queue_limit:
        raise Refused(413, QUEUE_FULL)
    kit.later(kind, work, size=size, callback_url=body.callback_url)
    return answer(202, {})


def _unordered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    shuffled = _shuffle.sample(rows, len(rows))
    # Chance may leave the order as it was, and no caller should be spared.
    return shuffled[1:] + shuffled[:1] if shuffled == rows else shuffled
