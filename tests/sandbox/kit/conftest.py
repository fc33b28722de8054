from __future__ import annotations

from collections.abc import Iterator

import pytest

from .calling import ACCOUNT, Kit
from .receiving import Receiver


@pytest.fixture
def kit() -> Iterator[Kit]:
    """An empty account, without a rate limit."""
    kit = Kit()
    yield kit
    kit.service.close()


@pytest.fixture
def account(kit: Kit) -> Kit:
    """An account with one or two of everything."""
    kit.load(**ACCOUNT)
    return kit


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """An HTTP server that keeps what it is sent."""
    receiver = Receiver()
    yield receiver
    receiver.close()
