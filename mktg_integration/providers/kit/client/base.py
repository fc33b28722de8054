"""What all resources of Kit's client share: one call with a typed answer, and lists that are read page by page."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from mktg_integration.exceptions import MalformedAnswerError
from mktg_integration.http import HttpAnswer, QueryValue, Session
from mktg_integration.providers.kit.schemas import Pagination

JSON = Any
M = TypeVar("M", bound=BaseModel)
T = TypeVar("T")
MAX_PER_PAGE = 1000
MAX_SYNCHRONOUS = 100
"""More items than this in one bulk request are processed later and answered with 202."""

_WRITTEN = (200, 201, 202)
_MOST_KEYS = 8


@dataclass(frozen=True, slots=True)
class Written(Generic[T]):
    """What an idempotent write answered. ``created``: True for 201, False for 200 (it was there), None for 202."""

    value: T
    status: int
    warnings: tuple[str, ...] = ()

    @property
    def created(self) -> bool | None:
        return {201: True, 200: False}.get(self.status)

    @property
    def is_pending(self) -> bool:
        """Part of the work (more than ten custom fields) is done later."""
        return self.status == 202


@dataclass(frozen=True, slots=True)
class KitPage(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    pagination: Pagination

    @property
    def next_cursor(self) -> str | None:
        """What ``after`` takes for the next page; None where this is the last."""
        return self.pagination.end_cursor if self.pagination.has_next_page else None


@dataclass(frozen=True)
class Listing(Generic[T]):
    """A list that has not been asked for yet: iterate over its items, over its ``pages()``, or take one ``page()``."""

    _fetch: Callable[[str | None, str | None], KitPage[T]]
    _endpoint: str

    def page(self, *, after: str | None = None, before: str | None = None) -> KitPage[T]:
        """One page (one request): the first, the one ``after`` a cursor, or the one ``before`` it."""
        return self._fetch(after, before)

    def pages(self, *, after: str | None = None) -> Iterator[KitPage[T]]:
        """All pages from ``after`` on, one request each; ``has_next_page`` decides whether there is another.

        Raises ``MalformedAnswerError`` where a cursor is missing or comes a second time.
        """
        seen = {after}
        while True:
            page = self._fetch(after, None)
            yield page
            if not page.pagination.has_next_page:
                return
            after = page.next_cursor
            if after is None or after in seen:
                what = "has a next page without end_cursor" if after is None else "repeats a cursor"
                raise MalformedAnswerError(f"kit: {self._endpoint} {what}")
            seen.add(after)

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items


class KitBase:
    """Makes Kit's calls over a ``Session``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def _request(
        self,
        method: str,
        template: str,
        *,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        json: JSON = None,
        form: Mapping[str, str] | None = None,
        expect: Collection[int] = (200,),
    ) -> HttpAnswer:
        return self._session.request(method, template, path=path, query=query, json=json, form=form, expect=expect)

    def _get(
        self,
        template: str,
        model: type[M],
        *,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, QueryValue] | None = None,
    ) -> M:
        answer = self._request("GET", template, path=path, query=query)
        return parsed(model, answer, f"GET {template}")

    def _send(
        self,
        method: str,
        template: str,
        model: type[M],
        *,
        path: Mapping[str, object] | None = None,
        json: JSON = None,
        expect: Collection[int] = _WRITTEN,
    ) -> tuple[M, int]:
        answer = self._request(method, template, path=path, json=json, expect=expect)
        return parsed(model, answer, f"{method} {template}"), answer.status

    def _drop(self, template: str, *, path: Mapping[str, object], json: JSON = None) -> None:
        self._request("DELETE", template, path=path, json={} if json is None else json, expect=(204,))

    def _list(
        self,
        template: str,
        model: type[M],
        items: Callable[[M], tuple[T, ...]],
        *,
        path: Mapping[str, object] | None = None,
        query: Mapping[str, QueryValue] | None = None,
        per_page: int | None = None,
        include_total_count: bool = False,
    ) -> Listing[T]:
        if per_page is not None and not 1 <= per_page <= MAX_PER_PAGE:
            raise ValueError(f"per_page must be from 1 to {MAX_PER_PAGE}")
        asked: dict[str, QueryValue] = {
            **(query or {}),
            "per_page": per_page,
            "include_total_count": True if include_total_count else None,
        }

        def fetch(after: str | None, before: str | None) -> KitPage[T]:
            page = self._get(template, model, path=path, query={**asked, "after": after, "before": before})
            pagination: Pagination = page.pagination  # type: ignore[attr-defined]
            return KitPage(items(page), pagination)

        return Listing(fetch, f"GET {template}")


def parsed(model: type[M], answer: HttpAnswer, endpoint: str) -> M:
    """The answer as ``model``. Raises ``MalformedAnswerError`` naming the keys that are not as documented."""
    return checked(model, answer.payload, endpoint)


def checked(model: type[M], payload: JSON, endpoint: str) -> M:
    """As ``parsed``, of a body that came otherwise."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        wrong = sorted(
            {
                f"{'.'.join('[]' if isinstance(part, int) else part for part in problem['loc']) or 'body'}"
                f" ({problem['type']})"
                for problem in error.errors(include_url=False, include_context=False, include_input=False)
            }
        )
        shown = ", ".join(wrong[:_MOST_KEYS]) + (", …" if len(wrong) > _MOST_KEYS else "")
        raise MalformedAnswerError(f"kit: {endpoint} is not as documented: {shown}") from None


def day(value: date | str | None) -> str | None:
    """A date filter's value, ``yyyy-mm-dd``; a date-time is taken in UTC.

    Raises ``ValueError`` for a date-time without a zone and for text of another form.
    """
    if value is None:
        return None
    if isinstance(value, datetime):
        return moment_utc(value).date().isoformat()
    return date.fromisoformat(value).isoformat() if isinstance(value, str) else value.isoformat()


def moment(value: datetime | str | None) -> str | None:
    """A time stamp in ISO 8601, UTC. Raises ``ValueError`` for one without a zone."""
    if value is None:
        return None
    given = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment_utc(given).isoformat().replace("+00:00", "Z")


def moment_utc(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("a date-time needs a time zone: make it aware")
    return value.astimezone(UTC)
