"""Kit's rate by key, kept by the workers of two clusters: never exceeded, and used as soon as it is free again.

A short form of ``benchmarks.rate``: one window and the beginning of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection, OutboxRow
from mktg_integration.people import user_subject
from mktg_integration.push import outbox
from mktg_integration.sandbox.server import Sandbox
from tests.e2e.processes import Site
from tests.push.conftest import MAPPING, declared

REQUESTS = 120
WINDOW_SECONDS = 60.0
PEOPLE = 200
# Beyond the window itself: a slot is free a window after its answer, which is up to a second late, and then a task
# has to be fetched.
LATE_SECONDS = 4.0


@pytest.mark.slow
@pytest.mark.parametrize("connections", [1, 4])
def test_the_next_window_is_used_in_time(
    connections: int,
    database_url: str,
    mktg_sandbox: Sandbox,
    marketing: Callable[..., None],
    sign_up: Callable[..., Any],
    eventually: Callable[..., float],
) -> None:
    given = declared(mktg_sandbox, "kit_by_key")["kit_by_key"]
    keys = {"CONNECTIONS": {f"kit-{number}": given for number in range(connections)}, "PROFILE": MAPPING}
    marketing(**keys)
    sync_declared()
    subjects = [user_subject(sign_up(f"user{number:03}")) for number in range(PEOPLE)]
    # Each connection has its share of the people, so that no two requests are about the same person.
    OutboxRow.objects.all().delete()
    for place, pk in enumerate(Connection.objects.values_list("pk", flat=True)):
        outbox.mark(subjects[place::connections], connections=[pk])
    mktg_sandbox.fail("kit", "slow", up_to=1.0)

    running = Site(database_url, keys)
    with running.clusters(2):
        eventually(lambda: not OutboxRow.objects.exists(), 90, running)
    running.close()

    moments = [entry.time for entry in mktg_sandbox.log.entries("kit")]
    assert mktg_sandbox.kit.rejected == 0
    assert mktg_sandbox.kit.rate_peak == REQUESTS
    assert len(mktg_sandbox.people("kit")) == PEOPLE
    # Nobody waits but for the window: the first after the pause comes when the slot of the very first is free again.
    pause = max(range(len(moments) - 1), key=lambda place: moments[place + 1] - moments[place])
    assert moments[pause + 1] - moments[0] <= WINDOW_SECONDS + LATE_SECONDS
    # And so does the last of those that were left, as much later than its forerunner.
    assert moments[-1] - moments[len(moments) - 1 - REQUESTS] <= WINDOW_SECONDS + LATE_SECONDS
    assert max(later - earlier for earlier, later in pairwise(moments[: pause + 1])) < LATE_SECONDS
    assert mktg_sandbox.undocumented() == []
