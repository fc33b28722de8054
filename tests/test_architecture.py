"""The house: imports go down the floors only, engines do not know each other, providers know no database."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "mktg_integration"

# From the ground up. A module may import from its own floor's rooms only what is listed below it.
FLOORS = [
    {"exceptions", "signals", "records", "permissions"},
    {"conf", "sql", "profile", "http", "moments"},
    {"encryption", "background", "providers"},
    {"models"},
    {"mirror", "rates", "tokens", "people", "pruning", "checks", "audit", "heartbeat", "measuring", "running"},
    {"connections"},
    {"push", "pull", "inbound", "oauth", "preference_links"},
    {"broadcasts", "shortcuts", "tasks"},
    {"insight"},
    {"operations", "preferences"},
    {"admin", "api", "management", "urls", "middleware", "templatetags", "apps", "testing"},
]
FLOOR_OF = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
ENGINES = {"push", "pull", "inbound", "oauth"}
# What a floor's rooms may ask of their neighbours.
NEIGHBOURS = {
    ("admin", "urls"), ("api", "urls"), ("conf", "exceptions"), ("connections", "rates"), ("http", "exceptions"),
    ("background", "conf"), ("urls", "api"), ("shortcuts", "tasks"), ("urls", "admin"),
    ("mirror", "people"), ("measuring", "people"), ("apps", "management"), ("templatetags", "middleware"),
    ("templatetags", "admin"),
}  # fmt: skip


def imports() -> Iterator[tuple[str, str, str]]:
    """``(file, room, imported room)`` for each import of one room from another."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if "migrations" in parts or parts == ("__init__",):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == PACKAGE.name and not node.level:
                targets = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(f"{PACKAGE.name}."):
                targets = [(node.module or "").split(".")[1]]
            else:
                continue
            for target in targets:
                if target != parts[0] and not target.startswith("__"):
                    yield "/".join(parts), parts[0], target


def test_every_room_has_its_floor() -> None:
    rooms = {
        path.stem if path.suffix else path.name
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" and path.stem != "__init__") or (path / "__init__.py").exists()
    }
    assert rooms - set(FLOOR_OF) - {"migrations", "sandbox"} == set()


def test_imports_go_down() -> None:
    wrong = [
        f"{file} imports {target}"
        for file, room, target in imports()
        if room != "sandbox" and target != "sandbox"
        and FLOOR_OF[target] >= FLOOR_OF[room]
        and (room, target) not in NEIGHBOURS
    ]  # fmt: skip
    assert wrong == []


def test_engines_do_not_import_each_other() -> None:
    assert [file for file, room, target in imports() if room in ENGINES and target in ENGINES] == []


@pytest.mark.parametrize("room", ["providers", "http", "records", "profile"])
def test_what_knows_no_database_and_no_settings(room: str) -> None:
    paths = [PACKAGE / f"{room}.py"] if (PACKAGE / f"{room}.py").exists() else list((PACKAGE / room).rglob("*.py"))
    assert paths
    for path in paths:
        assert "django" not in path.read_text().replace("django-", ""), path


def test_the_sandbox_and_the_clients_do_not_know_each_other() -> None:
    crossing = [
        (file, target)
        for file, room, target in imports()
        if (room == "sandbox" and target != "sandbox") or (target == "sandbox" and not file.endswith("mktg_sandbox"))
    ]
    assert crossing == []
