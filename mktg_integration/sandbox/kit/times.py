"""Times and dates as Kit writes them: UTC, ISO 8601, whole seconds ("Dates")."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def iso(seconds: float) -> str:
    """``2023-02-17T11:43:55Z`` for seconds since the epoch."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse(text: str) -> float:
    """Seconds since the epoch; a time without a zone is UTC.

    Raises ValueError where it is not ISO 8601.
    """
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _day(text: str) -> str:
    if not _is_day(text):
        raise PydanticCustomError("kit", "date is incorrectly formatted. Use YYYY-MM-DD.")
    return text


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return _DAY.fullmatch(text) is not None


Day = Annotated[str, AfterValidator(_day)]
"""A date of the query, ``yyyy-mm-dd``."""


def within(at: str, after: str | None, before: str | None) -> bool:
    """Whether a time falls after one date and before another, both days themselves excluded."""
    day = at[:10]
    return (after is None or day > after) and (before is None or day < before)
