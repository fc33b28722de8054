"""``kill -9`` at each step of a drain: the next one ends where a run without a kill ends, and nobody is made twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command

from mktg_integration import shortcuts
from mktg_integration.models import DeadRow, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.e2e import services
from tests.e2e.conftest import MakeSite
from tests.e2e.services import SERVICES

STEPS = [
    "before|mktg_integration.push.claims:claim",
    "after|mktg_integration.push.claims:claim",
    "after|mktg_integration.push.people:load",
    "before|mktg_integration.push.deliver:Delivery._take",
    "after|mktg_integration.push.deliver:Delivery._take",
    "before|mktg_integration.push.record:write_mirror",
    "before|mktg_integration.push.record:write_states",
    "before|mktg_integration.push.record:settle_rows",
    "after|mktg_integration.push.record:settle_rows",
]
PEOPLE = 30
WITH_EVENT = 5
KILLED = -9


class Outcome(NamedTuple):
    """How a run ended: who is where, the events told, and the requests that it took."""

    world: services.World
    events: dict[str, Counter[str]]
    calls: dict[str, Counter[str]]


def events(sandbox: Sandbox) -> dict[str, Counter[str]]:
    """By service and address, how many events it has."""
    held = sandbox.dump()
    conversion = Counter(row["event"] for row in held["conversion"]["events"])
    convertloop = Counter(row["name"] for row in held["convertloop"]["event_logs"])
    return {"conversion": conversion, "convertloop": convertloop}


def outcome(sandbox: Sandbox) -> Outcome:
    return Outcome(services.world(sandbox), events(sandbox), services.calls(sandbox))


def people_sign_up(sign_up: Callable[..., Any]) -> None:
    for number in range(PEOPLE):
        user = sign_up(f"user{number:02}", plan="gold" if number % 3 else "", groups=("VIP",))
        if number < WITH_EVENT:
            shortcuts.track(user, f"order {number}", key=f"order-{number}")


_fault_free: list[Outcome] = []


@pytest.fixture
def fault_free(site: MakeSite, sign_up: Callable[..., Any], mktg_sandbox: Sandbox) -> Outcome:
    """The same work without a kill, done once on a site of its own that is gone again."""
    if not _fault_free:
        running, _ = site(*SERVICES)
        people_sign_up(sign_up)
        assert running.run("mktg_push") == 0, running.output()
        _fault_free.append(outcome(mktg_sandbox))
        call_command("flush", verbosity=0, interactive=False)
        mktg_sandbox.reset()
        assert not get_user_model()._default_manager.exists()
    return _fault_free[0]


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_drain_loses_nothing_and_doubles_nobody(
    step: str,
    fault_free: Outcome,
    site: MakeSite,
    sign_up: Callable[..., Any],
    mktg_sandbox: Sandbox,
    tmp_path: Path,
) -> None:
    running, _ = site(*SERVICES)
    people_sign_up(sign_up)

    killed = running.run("mktg_push", MKTG_E2E_KILL=f"{step}|{tmp_path / 'killed'}")
    assert killed == KILLED, running.output()
    assert OutboxRow.objects.exists()
    assert running.run("mktg_push") == 0, running.output()

    after = outcome(mktg_sandbox)
    assert not OutboxRow.objects.exists()
    assert not DeadRow.objects.exists()
    assert after.world == fault_free.world
    assert services.made(mktg_sandbox) == dict.fromkeys(SERVICES, PEOPLE)
    # Conversion knows an event by its id. ConvertLoop has none, so one whose answer was lost may be told again.
    assert after.events["conversion"] == fault_free.events["conversion"]
    assert set(after.events["convertloop"]) == set(fault_free.events["convertloop"])
    for service in SERVICES:
        check_repeats(fault_free.calls[service], after.calls[service])
    services.check_manners(mktg_sandbox)


def check_repeats(fault_free: Counter[str], killed: Counter[str]) -> None:
    """Nothing was left out; no write was made more than twice, and nobody looked up more than once."""
    assert not fault_free - killed
    again = killed - fault_free
    for operation, count in again.items():
        is_look_up = operation.startswith("GET ")
        assert count <= (PEOPLE if is_look_up else fault_free[operation]), again
