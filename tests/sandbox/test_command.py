"""The command, in a process of its own: with Django, without, stopped by either signal, and its mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from mktg_integration.sandbox.credentials import CONVERSION_API_KEY

ROOT = Path(__file__).parents[2]
ALONE = [sys.executable, "-m", "mktg_integration.sandbox"]
WITH_DJANGO = [sys.executable, "-m", "django", "mktg_sandbox", "--settings", "tests.settings"]


def environment(**more: str) -> dict[str, str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KIT_", "CONVERSION_", "CONVERTLOOP_"))}
    return {**clean, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error", **more}


@contextmanager
def serving(*command: str, stop: int = signal.SIGTERM, env: dict[str, str] | None = None) -> Iterator[dict[str, Any]]:
    """A running command; what it told on starting; ended by a signal, after which it must have exited with 0."""
    process = subprocess.Popen(
        [*command, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True, env=env or environment(), cwd=ROOT
    )
    assert process.stdout is not None
    with process.stdout:
        try:
            yield json.loads(process.stdout.readline())
            process.send_signal(stop)
            assert process.wait(10) == 0
        finally:
            process.kill()
            process.wait()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=30, check=False)


def sign_up(told: dict[str, Any], email: str, key: str = CONVERSION_API_KEY) -> int:
    url = f"{told['services']['conversion']}/v2/contacts"
    return requests.post(url, json={"email": email}, headers={"X-API-Key": key}, timeout=10).status_code


@pytest.mark.parametrize(
    ("command", "stop"),
    [(ALONE, signal.SIGINT), (WITH_DJANGO, signal.SIGINT), (WITH_DJANGO, signal.SIGTERM)],
    ids=["alone", "with Django", "with Django, terminated"],
)
def test_a_dump_at_the_end_is_a_load_at_the_start(command: list[str], stop: int, tmp_path: Path) -> None:
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    with serving(*command, "--dump", str(first), stop=stop) as told:
        assert sign_up(told, "jane@example.com") == 200
        assert told["pid"]
    with serving(*command, "--load", str(first), "--dump", str(second), stop=stop) as told:
        people = requests.get(f"{told['url']}/_sandbox/people", timeout=10).json()
        assert [row["email"] for row in people["conversion"]] == ["jane@example.com"]
    assert second.read_text() == first.read_text()
    assert list(tmp_path.iterdir()) in ([first, second], [second, first]), "no half-written files are left"


def test_it_needs_no_django() -> None:
    code = (
        "import sys, mktg_integration.sandbox.cli as cli\n"
        "from mktg_integration.sandbox import Sandbox\n"
        "Sandbox().start().close()\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'django']\n"
        "ours = [n for n in sys.modules if n.startswith('mktg_integration.') and '.sandbox' not in n]\n"
        "assert not ours, ours\n"
    )
    done = run(sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr


def test_credentials_of_the_environment_are_let_in_and_not_printed(tmp_path: Path) -> None:
    dump = tmp_path / "world.json"
    env = environment(CONVERSION_API_KEY="a-real-key")
    with serving(*ALONE, "--dump", str(dump), env=env) as told:
        assert sign_up(told, "jane@example.com", "a-real-key") == 200
        assert sign_up(told, "jane@example.com") == 200
        assert sign_up(told, "jane@example.com", "another-key") == 401
        assert told["credentials_from_environment"] == ["CONVERSION_API_KEY"]
        assert "a-real-key" not in json.dumps(told)
    assert "a-real-key" not in dump.read_text()


def test_what_it_prints_for_people() -> None:
    process = subprocess.Popen([*ALONE, "--port", "0"], stdout=subprocess.PIPE, text=True, env=environment(), cwd=ROOT)
    assert process.stdout is not None
    with process.stdout:
        told = "".join(process.stdout.readline() for _ in range(13))
        process.terminate()
        assert process.wait(10) == 0
    assert "Sandbox at http://127.0.0.1:" in told
    for name in ("KIT_BASE_URL", "CONVERSION_BASE_URL", "CONVERTLOOP_BASE_URL", "KIT_API_KEY", "CONVERTLOOP_API_KEY"):
        assert f"{name}=" in told


@pytest.mark.parametrize(
    ("command", "text", "place"),
    [
        (ALONE, '{"conversion": {"contacts": [{"email": 1}]}}', "conversion.contacts[0].email"),
        (WITH_DJANGO, '{"conversion": {"contacts": [{"email": 1}]}}', "conversion.contacts[0].email"),
        (ALONE, '{\n "kit": }', "line 2, column 9"),
        (ALONE, "[]", "JSON object"),
        (ALONE, None, "cannot be read"),
    ],
)
def test_a_malformed_world_file_is_a_clear_error(
    command: list[str], text: str | None, place: str, tmp_path: Path
) -> None:
    world = tmp_path / "world.json"
    if text is not None:
        world.write_text(text)
    done = run(*command, "--port", "0", "--load", str(world))
    assert done.returncode == 1
    assert place in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--host", "0.0.0.0"], "host"),  # noqa: S104
        (["--latency", "-1"], "--latency"),
        (["--dump", "/no/such/directory/world.json"], "--dump"),
        (["--port", "99999"], "--port"),
    ],
)
def test_bad_arguments_are_clear_errors(arguments: list[str], named: str) -> None:
    done = run(*ALONE, *arguments)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr
