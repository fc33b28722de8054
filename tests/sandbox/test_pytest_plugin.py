"""The fixtures, as a site's own test suite gets them."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULE = "mktg_integration.sandbox.pytest_plugin"

SUITE = """
import requests


def sign_up(sandbox):
    answer = requests.post(
        f"{sandbox.convertloop_url}/people",
        json={"email": "jane@example.com"},
        auth=("sandbox_app", "sandbox_key"),
        timeout=10,
    )
    assert answer.status_code == 200


def test_one(mktg_sandbox):
    sign_up(mktg_sandbox)
    mktg_sandbox.fail("convertloop")
    assert [row["email"] for row in mktg_sandbox.people("convertloop")] == ["jane@example.com"]
    assert mktg_sandbox.log.entries()[0].body == {"email": "jane@example.com"}


def test_two(mktg_sandbox, mktg_sandbox_server):
    assert mktg_sandbox is mktg_sandbox_server
    assert mktg_sandbox.people("convertloop") == []
    sign_up(mktg_sandbox)
    assert len(mktg_sandbox.log) == 1
"""


def test_each_test_gets_an_empty_sandbox(tmp_path: Path) -> None:
    (tmp_path / "test_site.py").write_text(SUITE)
    # Where the package is installed, its entry point registers the plugin; where it is not, we do.
    installed = any(point.value == MODULE for point in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", MODULE]
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:django",
            "-p",
            "no:cacheprovider",
            *plugin,
            str(tmp_path),
        ],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 passed" in done.stdout


def test_importing_the_plugin_costs_a_foreign_test_suite_nothing() -> None:
    code = f"import sys, pytest\nbefore = set(sys.modules)\nimport {MODULE}\nprint(sorted(set(sys.modules) - before))\n"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == str(["mktg_integration", "mktg_integration.sandbox", MODULE])
