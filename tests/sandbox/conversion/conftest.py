from __future__ import annotations

import pytest

from mktg_integration.sandbox.conversion import ConversionService
from mktg_integration.sandbox.credentials import CONVERSION_API_KEY
from tests.sandbox.asking import Asker


def credential(path: str) -> dict[str, str]:
    if path.startswith("/v1/"):
        return {"authorization": f"Bearer {CONVERSION_API_KEY}"}
    return {"x-api-key": CONVERSION_API_KEY}


@pytest.fixture
def now() -> list[float]:
    """The service's clock; a test moves it by writing ``now[0]``."""
    return [1_700_000_000.0]


@pytest.fixture
def service(now: list[float]) -> ConversionService:
    return ConversionService(clock=lambda: now[0])


@pytest.fixture
def ask(service: ConversionService) -> Asker:
    return Asker(service, credential)
