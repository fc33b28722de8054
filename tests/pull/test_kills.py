"""A pull that is killed goes on after its last page, and ends with the same mirror as one that was not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Contact, PullCheckpoint, PullPage, Run, Tagging
from mktg_integration.sandbox.server import Sandbox
from tests.e2e.processes import Site, kill, wait_until
from tests.pull.conftest import Fill, people, tag, tagging
from tests.push.conftest import declared

PAGES = 6
SHORT = {"LEASE_SECONDS": 4.0, "CALL_SECONDS": 1.5, "CONNECT_SECONDS": 1.0, "LIST_LAG_SECONDS": 0.0}


def mirror() -> dict[str, Any]:
    contacts = Contact.objects.filter(deleted_at=None)
    return {
        "contacts": sorted(contacts.values_list("remote_id", "email", "status", "digest")),
        "taggings": sorted(Tagging.objects.filter(deleted_at=None).values_list("key", "tagged_at")),
        "gone": sorted(Contact.objects.exclude(deleted_at=None).values_list("remote_id", flat=True)),
    }


def pages_of_contacts() -> int:
    """How many pages of the unfinished reading are written."""
    reading = PullCheckpoint.objects.exclude(reading="").filter(stream="contacts").values("reading")
    return PullPage.objects.filter(reading__in=reading).count()


@pytest.mark.slow
@pytest.mark.parametrize("number", [2, 5])
def test_killed_at_a_page_it_goes_on_with_that_page(
    number: int,
    database_url: str,
    mktg_sandbox: Sandbox,
    marketing: Callable[..., None],
    fill: Fill,
) -> None:
    keys = {"CONNECTIONS": declared(mktg_sandbox, "kit"), **SHORT}
    marketing(**keys)
    sync_declared()
    fill(
        subscribers=people(PAGES * 1000),
        tags=[tag(1, "VIP"), tag(2, "Beta")],
        taggings=[tagging(1, n) for n in range(1, 2500)] + [tagging(2, n) for n in range(1, 500)],
    )
    site = Site(database_url, keys)
    try:
        assert site.run("mktg_pull", "--full") == 0, site.output()
        unharmed = mirror()
        fill(subscribers=people(PAGES * 1000 - 10))
        fault = {"service": "kit", "operation": "GET /v4/subscribers", "effect": "slow", "seconds": 60.0}
        mktg_sandbox.faults.add(**fault, nth=number)
        process = site.start("mktg_pull", "--full")
        assert wait_until(lambda: pages_of_contacts() == number - 1, 30) is not None, site.output()
        kill(process)
        mktg_sandbox.faults.clear()
        before = len(mktg_sandbox.log.entries())
        assert wait_until(lambda: site.run("mktg_pull", "--resume") == 0, 30) is not None, site.output()
    finally:
        site.close()

    asked = [entry for entry in mktg_sandbox.log.entries()[before:] if entry.operation == "GET /v4/subscribers"]
    assert len(asked) == PAGES - number + 1
    gone = {row[0] for row in unharmed["contacts"]} - {row[0] for row in mirror()["contacts"]}
    assert sorted(gone) == sorted(str(n) for n in range(PAGES * 1000 - 9, PAGES * 1000 + 1))
    assert mirror()["gone"] == sorted(gone)
    assert [row for row in unharmed["contacts"] if row[0] not in gone] == mirror()["contacts"]
    assert unharmed["taggings"] == mirror()["taggings"]
    assert not PullPage.objects.exists()
    assert not PullCheckpoint.objects.exclude(phase="").exists()
    assert [run.status for run in Run.objects.all()] == ["done", "done"]
