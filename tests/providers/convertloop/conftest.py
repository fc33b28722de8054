from __future__ import annotations

import pytest

from mktg_integration.providers.convertloop import ConvertLoopProvider


@pytest.fixture(scope="session")
def provider() -> ConvertLoopProvider:
    return ConvertLoopProvider()
