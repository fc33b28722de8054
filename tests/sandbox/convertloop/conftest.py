from __future__ import annotations

import base64

import pytest

from mktg_integration.sandbox.convertloop import ConvertLoopService
from mktg_integration.sandbox.credentials import CONVERTLOOP_API_KEY, CONVERTLOOP_APP_ID
from tests.sandbox.asking import Asker


def basic(app_id: str, api_key: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{app_id}:{api_key}".encode()).decode()}


@pytest.fixture
def service() -> ConvertLoopService:
    return ConvertLoopService(clock=lambda: 1_700_000_000.0)


@pytest.fixture
def ask(service: ConvertLoopService) -> Asker:
    return Asker(service, lambda path: basic(CONVERTLOOP_APP_ID, CONVERTLOOP_API_KEY))
