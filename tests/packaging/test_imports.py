"""Imports point one way, floor by floor, and some floors know neither Django's settings nor its ORM."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.example.processes import run

PACKAGE = Path(__file__).resolve().parent.parent.parent / "mktg_integration"
NAME = PACKAGE.name
# From the ground up. A module may import from its own floor and from those below.
FLOORS = [
    {"exceptions", "http", "records", "conf", "signals"},
    {"profile", "encryption", "background"},
    {"providers"},
    {"models", "sql"},
    {"people", "rates", "connections", "mirror"},
    {"push", "pull", "inbound", "oauth"},
    {"tasks", "shortcuts", "status", "pruning"},
    {"admin", "api", "management", "checks", "apps", "urls"},
]
ENGINES = {"push", "pull", "inbound", "oauth"}
FLOOR_OF = {unit: height for height, units in enumerate(FLOORS) for unit in units}


def unit_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports, wherever in it."""
    package = [NAME, *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *filter(None, [node.module])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def files(*units: str) -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if unit_of(path) in units]


def own(name: str) -> str:
    """The unit of this package that a dotted name belongs to, or nothing."""
    parts = name.split(".")
    return parts[1] if parts[0] == NAME and len(parts) > 1 else ""


def test_every_unit_stands_on_a_floor() -> None:
    units = {unit_of(path) for path in PACKAGE.rglob("*.py")} - {"sandbox", "__init__", "migrations"}
    assert units <= set(FLOOR_OF)


def test_no_floor_imports_from_one_above() -> None:
    upward = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files(*FLOOR_OF)
        for name in imports(path)
        if FLOOR_OF.get(own(name), 0) > FLOOR_OF[unit_of(path)]
        # Django calls apps.ready() and discovers models and checks there.
        and unit_of(path) != "apps"
    ]
    assert upward == []


def test_the_engines_do_not_know_each_other() -> None:
    sideways = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files(*ENGINES)
        for name in imports(path)
        if own(name) in ENGINES - {unit_of(path)}
    ]
    assert sideways == []


def test_providers_know_neither_the_orm_nor_the_settings() -> None:
    forbidden = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files("providers", "http", "records", "profile")
        for name in imports(path)
        if name.startswith(("django.db", "django.conf", "django.apps", "django.contrib")) or own(name) == "conf"
    ]
    assert forbidden == []


def test_the_engines_know_no_provider_by_name() -> None:
    named = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files(*ENGINES, "mirror", "models", "admin", "management", "tasks", "shortcuts")
        for name in imports(path)
        if name.startswith(tuple(f"{NAME}.providers.{provider}" for provider in ("kit", "conversion.", "convertloop")))
    ]
    assert named == []


def test_sandbox_and_clients_do_not_know_each_other() -> None:
    from_sandbox = [
        name for path in files("sandbox") for name in imports(path) if own(name) not in ("", "sandbox", "__version__")
    ]
    # The command is the sandbox's, in a place that Django prescribes.
    to_sandbox = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in files(*FLOOR_OF)
        for name in imports(path)
        if own(name) == "sandbox" and path.name != "mktg_sandbox.py"
    ]
    assert from_sandbox == []
    assert to_sandbox == []


@pytest.mark.parametrize(
    "module",
    ["mktg_integration.sandbox.pytest_plugin", "mktg_integration.sandbox.server", "mktg_integration.sandbox.cli"],
)
def test_the_sandbox_runs_without_django(module: str) -> None:
    done = run("-c", f"import sys, {module}; print('django' in sys.modules)")
    assert (done.stdout.strip(), done.stderr) == ("False", "")


@pytest.mark.parametrize("provider", ["kit", "conversion", "convertloop"])
def test_a_provider_can_be_imported_without_settings(provider: str) -> None:
    done = run("-c", f"import mktg_integration.providers.{provider}")
    assert done.returncode == 0, done.stderr


def test_no_extra_is_needed_to_import_the_app() -> None:
    blocked = ["celery", "tqdm", "prometheus_client", "drf_spectacular", "pytest", "psycopg", "MySQLdb"]
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({blocked}))\n"
        "import django; django.setup()\n"
        "import mktg_integration.tasks, mktg_integration.shortcuts, mktg_integration.admin, mktg_integration.urls"
    )
    done = run("-c", code, DJANGO_SETTINGS_MODULE="tests.settings")
    assert done.returncode == 0, done.stderr
