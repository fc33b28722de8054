"""What an installation brings."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_pytest_plugin_is_registered() -> None:
    plugin = next(point for point in entry_points(group="pytest11") if point.name == "mktg_sandbox")
    assert {"mktg_sandbox", "mktg_sandbox_server"} <= set(dir(plugin.load()))


def test_what_only_some_sites_need_is_an_extra() -> None:
    core = {name.split(">")[0].split("[")[0] for name in PROJECT["project"]["dependencies"]}
    assert core.isdisjoint({"celery", "tqdm", "prometheus-client", "drf-spectacular", "psycopg", "mysqlclient"})


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(tmp_path: Path) -> None:
    pytest.importorskip("build")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT], check=True, capture_output=True
    )
    [wheel] = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {"mktg_integration/py.typed", "mktg_integration/migrations/0001_initial.py"} <= names
    expected = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "mktg_integration").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert any(name.endswith("licenses/LICENSE") for name in names)
