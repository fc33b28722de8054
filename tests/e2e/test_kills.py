"""``kill -9`` at each step of a drain: the next drain ends where one without a kill ends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mktg_integration.models import OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import emails

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
KILLED = -9


def world(sandbox: Sandbox) -> dict[str, list[dict[str, Any]]]:
    """Who is at each service, with what."""
    return {
        name: sorted(sandbox.people(name), key=lambda row: str(row["email"]))
        for name in ("kit", "conversion", "convertloop")
    }


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS)
def test_a_killed_drain_loses_nothing_and_doubles_nobody(
    step: str, site: Callable[..., Any], sign_up: Callable[..., Any], mktg_sandbox: Sandbox, tmp_path: Path
) -> None:
    running, _ = site("kit", "conversion", "convertloop")
    for number in range(PEOPLE):
        sign_up(f"user{number:02}", plan="gold" if number % 3 else "", groups=("VIP",))

    killed = running.run("mktg_push", MKTG_E2E_KILL=f"{step}|{tmp_path / 'killed'}")
    assert killed == KILLED, running.output()
    after_kill = {name: len(rows) for name, rows in world(mktg_sandbox).items()}
    assert running.run("mktg_push") == 0, running.output()

    assert not OutboxRow.objects.exists()
    expected = [f"user{number:02}@example.com" for number in range(PEOPLE)]
    for name, rows in world(mktg_sandbox).items():
        assert emails(mktg_sandbox, name) == expected, after_kill
        for row in rows:
            if name != "conversion":
                assert "VIP" in (row.get("tags") or row.get("segments"))
    assert mktg_sandbox.undocumented() == []
    assert [entry for entry in mktg_sandbox.log.entries() if entry.status == 429] == []
