"""A site with the provider on paper."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.providers import registry
from tests.ground import paper


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> Iterator[paper.Book]:
    """The provider ``paper`` is installed; this is what it writes down."""
    fresh = paper.Book()
    monkeypatch.setattr(paper, "book", fresh)
    monkeypatch.setitem(registry.BUILT_IN, "paper", "tests.ground.paper:PaperProvider")
    registry._registered.cache_clear()
    registry.get_provider.cache_clear()
    yield fresh
    monkeypatch.undo()
    registry._registered.cache_clear()
    registry.get_provider.cache_clear()


PAPER = {"PROVIDER": "paper", "PENCIL": "2B"}


@pytest.fixture
def connect(db: None, book: paper.Book, marketing: Callable[..., None]) -> Callable[..., Connection]:
    """``connect("news")`` declares a connection of that name beside those that there are, and gives it."""
    declared: dict[str, Any] = {}

    def declare(name: str = "news", **keys: Any) -> Connection:
        declared[name] = {**PAPER, **keys}
        marketing(CONNECTIONS=declared, WAKE_SECONDS=0.0, LINGER_SECONDS=0.0)
        sync_declared()
        return Connection.objects.select_related("state").get(name=name)

    return declare


@pytest.fixture
def sign_up(db: None) -> Callable[[str], Any]:
    def create(name: str) -> Any:
        return get_user_model()._default_manager.create_user(name, f"{name}@example.com")

    return create


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run() -> Run:
    """``run("mktg_status")`` gives what the command prints as JSON; why it failed is under ``error``."""

    def command(name: str, *arguments: str) -> dict[str, Any]:
        out = StringIO()
        error = ""
        try:
            call_command(name, *arguments, "--json", stdout=out)
        except CommandError as raised:
            error = str(raised)
        result: dict[str, Any] = json.loads(out.getvalue()) if out.getvalue() else {}
        return {**result, "error": error}

    return command
