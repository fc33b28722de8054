"""docs/api.md tells of each endpoint, scope, key of the setting and error."""

from __future__ import annotations

from pathlib import Path

import pytest

from mktg_integration.api.problems import STATUSES
from mktg_integration.checks.api import KEYS
from mktg_integration.conf import API_RATES
from tests.api.matrix import MATRIX

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "api.md").read_text()


@pytest.mark.parametrize("endpoint", MATRIX)
def test_each_endpoint(endpoint: str) -> None:
    assert f"`{endpoint.replace('<pk>', '<id>')}`" in PAGE


@pytest.mark.parametrize(("scope", "rate"), API_RATES.items())
def test_each_rate(scope: str, rate: str) -> None:
    assert f"| `{scope}` | {rate} |" in PAGE


@pytest.mark.parametrize("key", KEYS)
def test_each_key_of_the_setting(key: str) -> None:
    assert f'"{key}":' in PAGE


@pytest.mark.parametrize("code", sorted({code for _, _, code in STATUSES}))
def test_each_code(code: str) -> None:
    assert f"`{code}`" in PAGE
