"""Another package's provider: found by its entry point, used like ours, named where it is missing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.providers import registry

METADATA = "Metadata-Version: 2.1\nName: acme-marketing\nVersion: 1.0\n"
PROVIDER = """
from mktg_integration.providers.kit import KitProvider

class AcmeProvider(KitProvider):
    name = "acme"
    label = "Acme"
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A distribution as pip installs one, on the path of this process."""
    (tmp_path / "acme_marketing.py").write_text(dedent(PROVIDER))
    information = tmp_path / "acme_marketing-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(METADATA)
    points = "[mktg_integration.providers]\nacme = acme_marketing:AcmeProvider\nkit = acme_marketing:AcmeProvider\n"
    (information / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(str(tmp_path))
    registry._registered.cache_clear()
    registry.get_provider.cache_clear()
    yield tmp_path
    monkeypatch.undo()
    registry._registered.cache_clear()
    registry.get_provider.cache_clear()


def test_it_is_known_by_its_name(package: Path) -> None:
    assert "acme" in registry.provider_names()
    assert registry.get_provider("acme").label == "Acme"


def test_ours_are_not_replaced(package: Path) -> None:
    assert registry.get_provider("kit").label == "Kit"


def test_without_the_package_the_error_names_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="'acme' is not known; use one of: conversion, convertloop, kit"):
        registry.get_provider("acme")


def test_a_process_of_its_own_finds_it(package: Path) -> None:
    """Nothing of the site is set up: a provider knows neither settings nor database."""
    code = "from mktg_integration.providers.registry import get_provider; print(get_provider('acme').label)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": f"{package}:{Path(__file__).resolve().parents[2]}"},
    )
    assert (done.stdout.strip(), done.stderr) == ("Acme", "")


def test_the_page_of_capabilities_is_what_the_code_says() -> None:
    """After a change: ``python docs/make_capabilities.py``."""
    docs = Path(__file__).resolve().parents[2] / "docs"
    code = "import make_capabilities as made, sys; sys.exit(made.page() != made.PAGE.read_text())"
    done = subprocess.run(
        [sys.executable, "-c", code], check=False, env={"PYTHONPATH": f"{docs}:{docs.parent}"}, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
