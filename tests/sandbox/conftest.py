from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from mktg_integration.sandbox import Sandbox

from .clients import Clients


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox(keep_bodies=True) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    """A sandbox that serves, empty."""
    running.reset()
    return running


@pytest.fixture
def clients(sandbox: Sandbox) -> Iterator[Clients]:
    with requests.Session() as session:
        yield Clients(sandbox, session)
