"""Real processes on the tests' database: ``qcluster`` and commands, beside a sandbox over real HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.sandbox.server import Sandbox
from tests.e2e.processes import Site, wait_until
from tests.push.conftest import MAPPING, declared, define_conversion_fields
from tests.push.conftest import sign_up as sign_up

SHORT = {"LEASE_SECONDS": 4.0, "CALL_SECONDS": 1.5, "CONNECT_SECONDS": 1.0, "DRAIN_SECONDS": 15.0}

MakeSite = Callable[..., tuple[Site, dict[str, Connection]]]


@pytest.fixture
def site(database_url: str, mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> Iterator[MakeSite]:
    """``site("kit", "conversion", LINGER_SECONDS=0.5)`` declares the connections for this process and its children."""

    def make(*names: str, **keys: Any) -> tuple[Site, dict[str, Connection]]:
        define_conversion_fields(mktg_sandbox)
        given = {"CONNECTIONS": declared(mktg_sandbox, *names), "PROFILE": MAPPING, **SHORT, **keys}
        marketing(**given)
        sync_declared()
        sites.append(Site(database_url, given))
        return sites[-1], {row.name: row for row in Connection.objects.select_related("state")}

    sites: list[Site] = []
    yield make
    for made in sites:
        made.close()


@pytest.fixture
def eventually() -> Callable[..., float]:
    """``eventually(true, 60, site)``: the seconds until ``true()``; else fails with what the site's processes said."""

    def wait(true: Callable[[], bool], seconds: float, running: Site) -> float:
        took = wait_until(true, seconds)
        if took is None:
            pytest.fail(f"not within {seconds} s; the processes said:\n{running.output()}")
        return took

    return wait
