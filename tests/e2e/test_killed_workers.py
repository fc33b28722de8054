"""Workers of two clusters are killed at random moments while people sign up: all arrive, and nobody is made twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model

from mktg_integration.models import DeadRow, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.e2e import services
from tests.e2e.conftest import MakeSite
from tests.e2e.processes import kill
from tests.e2e.services import SERVICES

PEOPLE = 200
KILLS = 8
# A killed task is due again after 7 seconds, a dead drain's connection free after 3.
QUICK = {"LEASE_SECONDS": 3.0, "CALL_SECONDS": 1.0, "DRAIN_SECONDS": 4.0, "WAKE_SECONDS": 0.5, "LINGER_SECONDS": 0.5}
Q = json.dumps({"timeout": 6, "retry": 7, "max_attempts": 100})


def signups(sign_up: Callable[..., Any]) -> Iterator[int]:
    """One after the other; how many it were."""
    for number in range(PEOPLE):
        sign_up(f"user{number:03}", plan="gold" if number % 4 == 0 else "", groups=("VIP",))
        yield number + 1
        time.sleep(0.02)


def all_sent() -> bool:
    return not OutboxRow.objects.exists()


def check_arrivals(sandbox: Sandbox) -> None:
    """Everybody is everywhere, as a run without a kill has them."""
    names = sorted(get_user_model()._default_manager.values_list("username", flat=True))
    assert len(names) == PEOPLE
    held = services.world(sandbox)
    for service in SERVICES:
        assert [row["email"] for row in held[service]] == [f"{name}@example.com" for name in names]
    gold = [name for number, name in enumerate(names) if number % 4 == 0]
    assert [row["email"][:7] for row in held["kit"] if row["fields"].get("plan") == "gold"] == gold
    assert [row["email"][:7] for row in held["conversion"] if row["fields"].get("plan") == "gold"] == gold
    assert all(row["tags"] == ["VIP"] and row["state"] == "active" for row in held["kit"])
    assert all(row["segments"] == ["VIP"] for row in held["convertloop"])
    assert services.made(sandbox) == dict.fromkeys(SERVICES, PEOPLE)
    assert not DeadRow.objects.exists()
    services.check_manners(sandbox)


@pytest.mark.slow
def test_workers_killed_at_random(
    site: MakeSite,
    sign_up: Callable[..., Any],
    eventually: Callable[..., float],
    mktg_sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    running, _ = site(*SERVICES, **QUICK)
    mktg_sandbox.fail(None, "slow", up_to=0.2, after_work=True)

    lottery = f"{KILLS}|1.5|{tmp_path}"
    with running.clusters(2, MKTG_E2E_KILL_WORKERS=lottery, MKTG_E2E_Q=Q):
        assert sum(1 for _ in signups(sign_up)) == PEOPLE
        eventually(all_sent, 120, running)

    assert len(list(tmp_path.iterdir())) == KILLS
    check_arrivals(mktg_sandbox)


@pytest.mark.slow
def test_whole_clusters_killed_and_started_again(
    site: MakeSite, sign_up: Callable[..., Any], eventually: Callable[..., float], mktg_sandbox: Sandbox
) -> None:
    running, _ = site(*SERVICES, **QUICK)
    mktg_sandbox.fail(None, "slow", up_to=0.2, after_work=True)

    with running.clusters(2, MKTG_E2E_Q=Q) as clusters:
        for count in signups(sign_up):
            if count % 60 == 0:
                kill(clusters.pop(0))
                clusters.append(running.start("qcluster", MKTG_E2E_Q=Q))
        eventually(all_sent, 120, running)

    check_arrivals(mktg_sandbox)
