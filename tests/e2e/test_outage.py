"""A service is down while people sign up: the others go on; its rows arrive afterwards, their attempts uncounted."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db.models import Max

from mktg_integration.models import ConnectionState, DeadRow, OutboxRow, WaitReason
from mktg_integration.sandbox.server import Sandbox
from tests.e2e import services
from tests.e2e.conftest import MakeSite
from tests.e2e.services import SERVICES
from tests.push.conftest import emails

DOWN_SECONDS = 20.0
"""Not a minute, so that the test is over after the third try: it is looked at again after 5, 15 and 35 seconds."""
PEOPLE = 100


@pytest.mark.slow
@pytest.mark.parametrize("down", SERVICES)
def test_a_service_that_is_down(
    down: str,
    site: MakeSite,
    sign_up: Callable[..., Any],
    eventually: Callable[..., float],
    mktg_sandbox: Sandbox,
) -> None:
    running, _ = site(*SERVICES, LINGER_SECONDS=0.5)
    expected = [f"user{number:03}@example.com" for number in range(PEOPLE)]
    others = [name for name in SERVICES if name != down]
    with running.clusters(2):
        time.sleep(1.5)
        sign_up("user000")
        eventually(lambda: not OutboxRow.objects.exists(), 20, running)
        mktg_sandbox.down(down, seconds=DOWN_SECONDS)
        went_down = time.monotonic()
        for number in range(1, PEOPLE):
            sign_up(f"user{number:03}")
            time.sleep(0.05)

        eventually(lambda: all(emails(mktg_sandbox, name) == expected for name in others), 10, running)
        assert time.monotonic() - went_down < DOWN_SECONDS
        assert emails(mktg_sandbox, down) == expected[:1]
        state = ConnectionState.objects.get(connection__name=down)
        assert (state.wait_reason, state.outages > 0) == (WaitReason.OUTAGE, True)
        assert OutboxRow.objects.filter(connection__name=down).count() == PEOPLE - 1
        # A call that fails right after others went through is its row's; from the third in a row it is an outage.
        assert (OutboxRow.objects.aggregate(most=Max("attempts"))["most"] or 0) <= 1
        refused = [entry for entry in mktg_sandbox.log.entries(down) if entry.fault is not None]
        # It is left alone: each try ends with the first calls, those that the pool had begun.
        assert len(refused) <= 3 * 16

        eventually(lambda: not OutboxRow.objects.exists(), 60, running)

    assert emails(mktg_sandbox, down) == expected
    assert services.made(mktg_sandbox) == dict.fromkeys(SERVICES, PEOPLE)
    assert not DeadRow.objects.exists()
    assert ConnectionState.objects.get(connection__name=down).wait_reason == WaitReason.NONE
    services.check_manners(mktg_sandbox)
