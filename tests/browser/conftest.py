"""A site at work: its pages in a browser, a real ``qcluster`` on its database, the sandbox as the services."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.core.cache import cache

from mktg_integration.models import Connection
from mktg_integration.push import wake
from mktg_integration.sandbox.server import Sandbox
from tests.e2e.conftest import MakeSite, site
from tests.push.conftest import connect, sign_up

__all__ = ["connect", "sign_up", "site"]

QUICK = {
    "LINGER_SECONDS": 0.1,
    "WAKE_SECONDS": 0.1,
    "LIST_LAG_SECONDS": 0.0,
    "CALL_SECONDS": 10.0,
    "LEASE_SECONDS": 30.0,
}
TOPICS = {"news": {"TAG": "News", "LABEL": "News, once a month"}, "offers": {"TAG": "Offers", "LABEL": "Offers"}}
MADE_CALLS = ("POST", "PUT", "PATCH", "DELETE")

Working = Callable[..., dict[str, Connection]]


@pytest.fixture
def working(site: MakeSite, live_server: Any, mktg_sandbox: Sandbox) -> Iterator[Working]:
    """``working("kit")`` declares these connections and starts a worker, which is there until the test ends."""
    cache.clear()
    with ExitStack() as at_end:

        def start(*names: str, **keys: Any) -> dict[str, Connection]:
            running, connections = site(*names, PUBLIC_URL=live_server.url, TOPICS=TOPICS, **QUICK, **keys)
            world = mktg_sandbox.dump()
            world["kit"]["settings"]["rate_limit"] = None
            mktg_sandbox.load(world)
            at_end.enter_context(running.clusters(1))
            # This process may just have looked, when there was no connection to wake.
            wake.reset()
            return connections

        yield start


def changes(sandbox: Sandbox) -> list[str]:
    """The calls that the services got and that change something there."""
    operations = [entry.operation or "" for entry in sandbox.log.entries()]
    return [operation for operation in operations if operation.startswith(MADE_CALLS)]
