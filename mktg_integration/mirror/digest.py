"""What tells an answer that says something new from one that says the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from operator import itemgetter
from typing import Any

from pydantic_core import to_json

_SHAPES = 256
"""Sets of keys that are remembered: an account's contacts have few."""


def digest(told: Mapping[str, Any]) -> str:
    """Of columns by name, always given in one order. In the objects within them the order of keys makes no difference.

    32 hexadecimal digits. Floats from 1e16 on are written as the installed pydantic writes them: another version may
    make such rows news once.
    """
    canonical = [_canonical(value) if value and type(value) in _CONTAINERS else value for value in told.values()]
    try:
        encoded = to_json(canonical, fallback=str)
    except ValueError:
        # Half a character.
        encoded = json.dumps(canonical, separators=(",", ":"), default=str).encode()
    return hashlib.blake2b(encoded, digest_size=16).hexdigest()


_CONTAINERS = frozenset({dict, list, tuple})


def _canonical(value: Any) -> Any:
    """Objects become lists, of their keys' names and then of their values in the order of the keys. Most objects of a
    page have the same keys, which are sorted once."""
    canonical, parts = [], value
    if type(value) is dict:
        names, in_order = _shape(tuple(value))
        canonical, parts = [names], in_order(value)
    for part in parts:
        canonical.append(_canonical(part) if part and type(part) in _CONTAINERS else part)
    return canonical


@lru_cache(_SHAPES)
def _shape(keys: tuple[str, ...]) -> tuple[tuple[str, ...], Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """The keys in their order, and what takes their values from an object."""
    ordered = tuple(sorted(keys))
    if len(ordered) == 1:
        return ordered, lambda value: (value[ordered[0]],)
    return ordered, itemgetter(*ordered)
