"""A site whose people have topics to choose, and clients of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache

from tests.push.conftest import Connect, connect, sign_up

__all__ = ["connect", "sign_up"]

TOPICS = {"news": {"TAG": "Newsletter", "LABEL": "News, once a month"}, "offers": {"TAG": "Offers", "LABEL": "Offers"}}
PUBLIC_URL = "https://example.org"


@pytest.fixture(autouse=True)
def fresh_throttles() -> None:
    cache.clear()


@pytest.fixture
def site(connect: Connect) -> Callable[..., Any]:
    """``site("kit")`` is a site with these connections that offers topics."""

    def make(*names: str, **keys: Any) -> Any:
        given = {"TOPICS": TOPICS, "PUBLIC_URL": PUBLIC_URL, **keys}
        return connect(*names, **given)

    return make
