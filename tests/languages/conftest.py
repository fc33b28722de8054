"""Visitors whose browsers ask for German or Spanish."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import translation

from mktg_integration.models import Connection
from tests.languages import messages
from tests.push.conftest import connect, sign_up

__all__ = ["connect", "sign_up"]


@pytest.fixture(params=sorted(messages.LANGUAGES))
def language(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(autouse=True)
def own_language() -> Iterator[None]:
    """What a visitor's language was must not reach the next test."""
    with translation.override("en-us"):
        yield


@pytest.fixture(scope="session")
def source() -> Catalog:
    return messages.extracted()


@pytest.fixture
def catalog(language: str) -> Catalog:
    return messages.read(language)


@pytest.fixture
def visitor(language: str, settings: Any) -> Client:
    """A browser of somebody who reads ``language``, on a site that minds it."""
    at = settings.MIDDLEWARE.index("django.middleware.common.CommonMiddleware")
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE[:at],
        "django.middleware.locale.LocaleMiddleware",
        *settings.MIDDLEWARE[at:],
    ]
    return Client(headers={"accept-language": language})


@pytest.fixture
def staff(visitor: Client, db: None) -> Client:
    visitor.force_login(get_user_model().objects.create_superuser("root"))
    return visitor


@pytest.fixture
def kit(connect: Callable[..., dict[str, Connection]]) -> Connection:
    topics = {"offers": {"TAG": "Offers", "LABEL": "Angebote"}}
    return connect("kit", PUBLIC_URL="https://example.org", TOPICS=topics)["kit"]
