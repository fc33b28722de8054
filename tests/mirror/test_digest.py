"""The digest of what was told: the same for the same, whatever the order of an object's keys."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktg_integration.mirror.digest import digest

leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
told = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


def shuffled(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict):
        pairs = [(key, shuffled(inner, chance)) for key, inner in value.items()]
        chance.shuffle(pairs)
        return dict(pairs)
    return [shuffled(inner, chance) for inner in value] if isinstance(value, list) else value


@given(told, st.randoms(use_true_random=False))
def test_the_order_of_keys_makes_no_difference(value: Any, chance: random.Random) -> None:
    assert digest({"raw": value}) == digest({"raw": shuffled(value, chance)})


TOLD = {
    "email": "ada@example.com",
    "values": {"first_name": "Ada", "fields.plan": None},
    "raw": {"id": 1, "fields": {"plan": None}, "tags": [{"id": 1, "name": "VIP"}]},
    "remote_created_at": datetime(2026, 1, 1, tzinfo=UTC),
    "total": Decimal("9.90"),
}


@pytest.mark.parametrize(
    "change",
    [
        {"email": "ada@example.org"},
        {"values": {"first_name": "Ada", "fields.plan": ""}},
        {"values": {"first_name": "Ada", "fields.city": None}},
        {"values": {"first_name": "Ada"}},
        {"raw": {"id": 1, "fields": {"plan": None}, "tags": [{"id": 1, "name": "vip"}]}},
        {"raw": {"id": 1, "fields": {"plan": None}, "tags": [{"name": 1, "id": "VIP"}]}},
        {"raw": {"id": "1", "fields": {"plan": None}, "tags": [{"id": 1, "name": "VIP"}]}},
        {"remote_created_at": datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)},
        {"total": Decimal("9.91")},
    ],
)
def test_whatever_changes_changes_it(change: dict[str, Any]) -> None:
    assert digest(TOLD | change) != digest(TOLD)


def test_it_is_the_same_in_every_process_and_version() -> None:
    """Another one would make every row of a site's mirror news with its next upgrade."""
    assert digest(TOLD) == "19a0eebd85f6eeb4c12600ba9f860e90"


def test_half_a_character_and_what_json_does_not_have() -> None:
    assert digest({"raw": {"name": "\ud800"}}) != digest({"raw": {"name": "\ud801"}})
    assert digest({"raw": {"score": float("nan")}}) != digest({"raw": {"score": 1.0}})
    assert digest({"raw": {"when": {1, 2}}})
