"""Personal data as those see it who may not: enough to tell two people apart, too little to know them by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.permissions import VIEW_PERSONAL_DATA, may

DOTS = "•••"


def sees_people(user: Any) -> bool:
    """Whether this user may see addresses, names and fields of people."""
    return may(user, VIEW_PERSONAL_DATA)


def masked(value: Any) -> Any:
    """``value`` without what tells of a person: an address keeps its first letters, a mapping its keys.

    What is empty stays empty, since that there is nothing tells of nobody.
    """
    if value in (None, "", (), [], {}):
        return value
    if isinstance(value, Mapping):
        return {key: masked(held) for key, held in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [DOTS]
    text = str(value)
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        return DOTS
    return f"{local[0]}{DOTS}@{domain[0]}{DOTS}"
