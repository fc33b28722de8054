"""Fixtures for a site's own tests: a sandbox to point the site's connections at.

::

    def test_signup_reaches_kit(mktg_sandbox, client):
        client.post("/signup/", {"email": "jane@example.com"})
        call_command("mktg_push")
        assert [row["email"] for row in mktg_sandbox.people("kit")] == ["jane@example.com"]
        assert not mktg_sandbox.undocumented()
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from .server import Sandbox


@pytest.fixture(scope="session")
def mktg_sandbox_server() -> Iterator[Sandbox]:
    """One running sandbox for the whole session, its requests' bodies kept; prefer ``mktg_sandbox``."""
    from .server import Sandbox

    with Sandbox(keep_bodies=True) as sandbox:
        yield sandbox


@pytest.fixture
def mktg_sandbox(mktg_sandbox_server: Sandbox) -> Sandbox:
    """The session's sandbox, with an empty world, an empty log and no faults."""
    mktg_sandbox_server.reset()
    return mktg_sandbox_server
