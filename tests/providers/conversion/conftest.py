from __future__ import annotations

import pytest

from mktg_integration.providers.conversion import ConversionProvider

from .service import Account


@pytest.fixture(scope="session")
def provider() -> ConversionProvider:
    return ConversionProvider()


@pytest.fixture
def account() -> Account:
    return Account()
