"""A thousand signups, as a backlog and live, with two ``qcluster`` processes: each exactly once at each service."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import pytest
from django_q.models import OrmQ

from mktg_integration.models import DeadRow, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.e2e import services
from tests.e2e.conftest import MakeSite
from tests.e2e.services import SERVICES
from tests.push.conftest import emails

PEOPLE = 1000
EXPECTED = [f"user{number:04}@example.com" for number in range(PEOPLE)]
LEAST = {"kit": 2 * math.ceil(PEOPLE / 100), "conversion": math.ceil(PEOPLE / 1000), "convertloop": PEOPLE}
CALLS_A_BATCH = {"kit": 2, "conversion": 2, "convertloop": 0}
"""What a batch that is not full costs more. Conversion tells a contact's status once it is known to be new."""
# The defaults, written down because the bounds are about them.
LINGER_SECONDS = 1.5
WAKE_SECONDS = 0.5
SECONDS_TO_SERVICE = 5.0
SIGNUPS_A_SECOND = 25.0
"""90,000 an hour: as many as one thread can make beside two clusters and the services on a small machine."""


def all_sent() -> bool:
    return not OutboxRow.objects.exists()


def check_arrivals(sandbox: Sandbox) -> None:
    for name in SERVICES:
        assert emails(sandbox, name) == EXPECTED
    assert all(row["tags"] == ["VIP"] for row in sandbox.people("kit"))
    assert all(row["segments"] == ["VIP"] for row in sandbox.people("convertloop"))
    assert services.made(sandbox) == dict.fromkeys(SERVICES, PEOPLE)
    assert not DeadRow.objects.exists()
    services.check_manners(sandbox)


def asked(sandbox: Sandbox, service: str) -> int:
    return len(sandbox.log.entries(service))


@pytest.mark.slow
def test_a_backlog(
    site: MakeSite, sign_up: Callable[..., Any], eventually: Callable[..., float], mktg_sandbox: Sandbox
) -> None:
    running, _ = site(*SERVICES, WAKE_SECONDS=WAKE_SECONDS, LINGER_SECONDS=LINGER_SECONDS)
    for number in range(PEOPLE):
        sign_up(f"user{number:04}", groups=("VIP",))
    assert OrmQ.objects.count() <= len(SERVICES) * 10

    with running.clusters(2):
        eventually(all_sent, 90, running)

    check_arrivals(mktg_sandbox)
    for name, least in LEAST.items():
        assert asked(mktg_sandbox, name) <= 1.05 * least + 5, name


@pytest.mark.slow
def test_live(
    site: MakeSite, sign_up: Callable[..., Any], eventually: Callable[..., float], mktg_sandbox: Sandbox
) -> None:
    running, _ = site(*SERVICES, WAKE_SECONDS=WAKE_SECONDS, LINGER_SECONDS=LINGER_SECONDS)
    signed_up: dict[str, float] = {}
    with running.clusters(2):
        time.sleep(2)
        start = time.monotonic()
        for number, address in enumerate(EXPECTED):
            time.sleep(max(0.0, start + number / SIGNUPS_A_SECOND - time.monotonic()))
            sign_up(f"user{number:04}", groups=("VIP",))
            signed_up[address] = time.time()
        seconds = time.monotonic() - start
        eventually(all_sent, 90, running)

    check_arrivals(mktg_sandbox)
    batches = 1 + math.ceil(seconds / (LINGER_SECONDS + WAKE_SECONDS))
    for name, least in LEAST.items():
        bound = 1.05 * least + 5 + CALLS_A_BATCH[name] * batches
        assert asked(mktg_sandbox, name) <= bound, (name, seconds)
        told = services.first_told(mktg_sandbox, name)
        waited = services.percentile((told[address] - signed_up[address] for address in EXPECTED), 0.95)
        assert waited <= SECONDS_TO_SERVICE, (name, waited)
