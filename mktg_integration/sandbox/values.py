"""Values that more than one service checks or writes in the same way: addresses, moments, JSON bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

# The HTML standard's pattern of an e-mail input, with a dot required in the domain. A deliverability or
# reserved-name check would refuse the made-up domains that tests are full of.
_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
    r"(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+"
)
# Errors of pydantic that mean a key or a type the document does not have, not merely a bad value.
_SHAPE_ERRORS = ("extra_forbidden", "_type")


def is_email(text: str) -> bool:
    return len(text) <= 254 and _EMAIL.fullmatch(text) is not None


def same_address(email: str) -> str:
    """What two spellings of one address have in common, as a key."""
    return email.strip().lower()


def iso_time(moment: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond: ``2026-11-21T02:34:00.000Z``."""
    text = datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def is_iso_time(text: str) -> bool:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def json_object(body: bytes) -> dict[str, Any]:
    """The body as a JSON object; raises ValueError saying what it is instead."""
    try:
        value = json.loads(body)
    except ValueError as error:
        raise ValueError("The request body is not valid JSON.") from error
    if not isinstance(value, dict):
        raise ValueError("The request body must be a JSON object.")  # noqa: TRY004 (bad input, not a bad call)
    return value


def place(location: Iterable[str | int]) -> str:
    """A pydantic location as a path: ``contacts[3].email``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def undocumented_shapes(errors: Iterable[Mapping[str, Any]]) -> str | None:
    """Those of pydantic's errors that are about keys and types, in words without the request's values."""
    found = [f"{place(error['loc'])}: {error['msg']}" for error in errors if error["type"].endswith(_SHAPE_ERRORS)]
    return "; ".join(found) or None
