"""A thousand signups, as a backlog and live, with two ``qcluster`` processes: each person exactly once at each service."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from django_q.models import OrmQ

from mktg_integration.models import DeadRow, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.e2e.conftest import wait_until
from tests.push.conftest import emails

PEOPLE = 1000
SERVICES = ("kit", "conversion", "convertloop")
EXPECTED = [f"user{number:04}@example.com" for number in range(PEOPLE)]


def calls(sandbox: Sandbox, service: str) -> int:
    return sum(entry.service == service for entry in sandbox.log.entries())


def arrived(sandbox: Sandbox) -> bool:
    return not OutboxRow.objects.exists() and all(len(sandbox.people(name)) == PEOPLE for name in SERVICES)


def check_arrivals(sandbox: Sandbox) -> None:
    for name in SERVICES:
        assert emails(sandbox, name) == EXPECTED
    assert all(row["tags"] == ["VIP"] for row in sandbox.people("kit"))
    assert not DeadRow.objects.exists()
    assert sandbox.undocumented() == []
    assert [entry for entry in sandbox.log.entries() if entry.status == 429] == []


LEAST = {"kit": 2 * math.ceil(PEOPLE / 100), "conversion": math.ceil(PEOPLE / 1000), "convertloop": PEOPLE}


@pytest.mark.slow
def test_a_backlog(site: Callable[..., Any], sign_up: Callable[..., Any], mktg_sandbox: Sandbox) -> None:
    running, _ = site(*SERVICES, WAKE_SECONDS=0.5, LINGER_SECONDS=2.0)
    for number in range(PEOPLE):
        sign_up(f"user{number:04}", groups=("VIP",))
    assert OrmQ.objects.count() <= 3 * 10

    with running.clusters(2):
        wait_until(lambda: arrived(mktg_sandbox), 90, running.output())

    check_arrivals(mktg_sandbox)
    for name, least in LEAST.items():
        assert calls(mktg_sandbox, name) <= 1.05 * least + 5, name


@pytest.mark.slow
def test_live(site: Callable[..., Any], sign_up: Callable[..., Any], mktg_sandbox: Sandbox) -> None:
    running, _ = site(*SERVICES, WAKE_SECONDS=0.5, LINGER_SECONDS=2.0)
    with running.clusters(2):
        time.sleep(2)
        start = time.monotonic()
        for number in range(PEOPLE):
            sign_up(f"user{number:04}", groups=("VIP",))
        seconds = time.monotonic() - start
        wait_until(lambda: arrived(mktg_sandbox), 90, running.output())

    check_arrivals(mktg_sandbox)
    batches = 1 + math.ceil(seconds / 2.0)
    assert calls(mktg_sandbox, "kit") <= 1.05 * LEAST["kit"] + 5 + 2 * batches
    assert calls(mktg_sandbox, "conversion") <= 1.05 * LEAST["conversion"] + 5 + 2 * batches
    assert calls(mktg_sandbox, "convertloop") <= 1.05 * LEAST["convertloop"] + 5 + batches
