"""The provider of the page "Adding a provider", put together from the page alone, passes the suite and delivers."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection, Contact
from mktg_integration.providers import registry
from mktg_integration.push.drain import drain
from mktg_integration.testing.standin import wired
from tests.push.conftest import sign_up

__all__ = ["sign_up"]

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "adding-a-provider.md"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    client, provider, snapshot, plan, put, call, test = blocks[:7]
    folder = tmp_path / "postcard_marketing"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "client.py").write_text(client)
    (folder / "provider.py").write_text("\n".join([provider, snapshot, plan, put, call]))
    (tmp_path / "test_postcard.py").write_text(test)
    return tmp_path


def test_it_passes_the_suite(package: Path) -> None:
    """In a project of its own, without Django's settings."""
    plugins = ["-p", "no:django", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugins, str(package)],
        capture_output=True,
        text=True,
        check=False,
        cwd=package,
        env={"PYTHONPATH": f"{package}:{ROOT}", "PATH": ""},
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"\b[5-9]\d passed", done.stdout), "the whole suite ran"


@pytest.fixture
def installed(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(str(package))
    monkeypatch.setitem(registry.BUILT_IN, "postcard", "postcard_marketing.provider:PostcardProvider")
    registry._registered.cache_clear()
    registry.get_provider.cache_clear()
    yield import_module("test_postcard")
    monkeypatch.undo()
    for name in ("test_postcard", "postcard_marketing", "postcard_marketing.client", "postcard_marketing.provider"):
        sys.modules.pop(name, None)
    registry._registered.cache_clear()
    registry.get_provider.cache_clear()


@pytest.mark.django_db
def test_the_engines_deliver_by_it(
    installed: Any,
    marketing: Callable[..., None],
    sign_up: Callable[..., Any],
) -> None:
    cards = {"PROVIDER": "postcard", "API_KEY": "key-of-postcard"}
    mapping = "tests.testapp.mappings.newsletter"
    marketing(CONNECTIONS={"cards": cards}, PROFILE=mapping, LINGER_SECONDS=0.0, WAKE_SECONDS=0.0)
    sync_declared()
    connection = Connection.objects.get()
    service = installed.InMemory()
    ada, _ = sign_up("ada", plan="gold"), sign_up("bob", newsletter=None)
    with wired(service.answer):
        assert drain(connection.pk, foreground=True).done == 2
        assert service.people["ada@example.com"] == {"first_name": "Ada", "plan": "gold", "subscribed": True}
        assert service.mailable() == ["ada@example.com"]
        assert Contact.objects.count() == 2
        ada.delete()
        assert drain(connection.pk, foreground=True).done == 1
        assert service.addresses() == ["bob@example.com"]
