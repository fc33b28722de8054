"""The rate as a drain keeps it: few statements for many calls."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mktg_integration.push.pace import Paced
from mktg_integration.rates import PreparedSlots, SharedSlots

pytestmark = pytest.mark.django_db


def make_calls(slots: Paced, prepared: PreparedSlots, count: int) -> int:
    """So many calls, eight at a time; how many got a slot."""
    made = 0
    while made < count and (ready := slots.ready(min(8, count - made))):
        for slot in [prepared.acquire() for _ in range(ready)]:
            prepared.release(slot)
        made += ready
    return made


@pytest.mark.parametrize(("limit", "calls", "statements"), [(120, 120, 9), (600, 300, 8)])
def test_a_statement_serves_many_calls(limit: int, calls: int, statements: int) -> None:
    shared = SharedSlots("bucket", limit, 60.0, hold_seconds=30.0)
    shared.return_unused(shared.take(limit))
    prepared = PreparedSlots()
    slots = Paced(shared, prepared)

    with CaptureQueriesContext(connection) as counted:
        assert make_calls(slots, prepared, calls) == calls
        slots.close()

    takes_and_returns = [query for query in counted if "SAVEPOINT" not in query["sql"]]
    per_statement = 2 if connection.vendor == "mysql" else 1
    assert len(takes_and_returns) <= statements * per_statement


def test_one_process_leaves_slots_for_three_others() -> None:
    others = [Paced(SharedSlots("bucket", 600, 60.0, hold_seconds=30.0), PreparedSlots()) for _ in range(4)]

    assert [slots.ready(8) for slots in others] == [8, 8, 8, 8]
