"""Field values and options of a connection in plain JSON forms, for services that keep JSON types as they are."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from mktg_integration.exceptions import ConfigurationError, ProfileError
from mktg_integration.profile import FieldValue
from mktg_integration.providers.base import Account

JSON = Any


def json_value(name: str, value: FieldValue) -> JSON:
    """A field's value as JSON has it: dates as ISO 8601 text (UTC), decimals as numbers, ``""`` as ``None``.

    Raises ``ProfileError`` naming the field where the value has no JSON form.
    """
    if value is None or value == "":
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "")
    if isinstance(value, bool | int):
        return value
    if isinstance(value, datetime):
        return utc_text(name, value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float | Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise ProfileError(f"field {name!r} is not a finite number: map it to a number or leave it empty")
        return int(number) if isinstance(value, Decimal) and number.is_integer() else number
    raise ProfileError(f"field {name!r} has a {type(value).__name__}: map it to text, number or date")


def utc_text(name: str, value: datetime) -> str:
    """ISO 8601 in UTC, to the second. Raises ``ProfileError`` for a date-time without a time zone."""
    if value.tzinfo is None:
        raise ProfileError(f"field {name!r} is a date-time without a time zone: make it aware")
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def is_same(one: JSON, other: JSON) -> bool:
    """Equal as JSON: ``True`` is not ``1``."""
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def flag(account: Account, name: str, *, default: bool) -> bool:
    """A yes-or-no option. Raises ``ConfigurationError`` naming it."""
    value = account.options.get(name, default)
    if not isinstance(value, bool):
        raise ConfigurationError(f"{account.name}: {name} must be True or False")
    return value


def text(account: Account, name: str, *, default: str = "") -> str:
    """A text option. Raises ``ConfigurationError`` naming it."""
    value = account.options.get(name, default)
    if not isinstance(value, str):
        raise ConfigurationError(f"{account.name}: {name} must be text")
    return value.strip()


def whole_number(account: Account, name: str, *, default: int, most: int) -> int:
    """An option from 1 to ``most``. Raises ``ConfigurationError`` naming it."""
    value = account.options.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationError(f"{account.name}: {name} must be a whole number from 1 to {most}")
    return value


def require_credentials(credentials: Any, names: tuple[str, ...], *, label: str, where: str) -> None:
    """Raise ``ConfigurationError`` naming the keys that are missing."""
    missing = [name for name in names if not credentials.get(name)]
    if missing:
        raise ConfigurationError(f"{label} needs {' and '.join(missing)} ({where})")
