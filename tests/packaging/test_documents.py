"""What the documents say of the code, compared with the code."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from mktg_integration import __version__, shortcuts
from mktg_integration.conf import CHOICES, DEFAULTS
from mktg_integration.providers.registry import BUILT_IN, get_provider

ROOT = Path(__file__).resolve().parent.parent.parent
README = (ROOT / "README.md").read_text()
SETTINGS = (ROOT / "docs" / "settings.md").read_text()
ROWS = dict(re.findall(r"^\| `([A-Z_]+)` \| `(.*?)` \|", SETTINGS, re.MULTILINE))


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text()


def test_every_setting_is_documented_and_nothing_else() -> None:
    assert set(ROWS) == set(DEFAULTS)


@pytest.mark.parametrize("name", sorted(DEFAULTS))
def test_the_documented_default_is_the_default(name: str) -> None:
    assert ROWS[name] == repr(DEFAULTS[name]).replace("'", '"')


@pytest.mark.parametrize("name", sorted(CHOICES))
def test_every_choice_of_a_setting_is_named(name: str) -> None:
    row = next(line for line in SETTINGS.splitlines() if line.startswith(f"| `{name}`"))
    assert [choice for choice in CHOICES[name] if f"`{choice}`" not in row] == []


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_every_credential_and_option_of_a_provider_is_named(name: str) -> None:
    provider = get_provider(name)
    of_all_connections = {"PROFILE", "UNKNOWN_CONSENT"}
    # What OAuth needs comes with the installation by OAuth.
    later = {"CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"} if name == "kit" else set()
    known = {*provider.credential_names, *provider.option_names, "BASE_URL"} - of_all_connections - later
    text = page(f"providers/{name}.md")
    assert sorted(word for word in known if word not in text) == []
    assert provider.default_base_url in text


def test_every_command_is_documented() -> None:
    folder = ROOT / "mktg_integration" / "management" / "commands"
    commands = {path.stem for path in folder.glob("mktg_*.py")}
    assert commands == set(re.findall(r"^\| `(mktg_\w+)`", page("operations.md"), re.MULTILINE))


def test_readme_imports_what_there_is() -> None:
    named = re.search(r"from mktg_integration\.shortcuts import ([\w, ]+)", README)
    assert named
    assert set(named[1].split(", ")) <= set(shortcuts.__all__)


def test_readme_leads_to_pages_that_exist() -> None:
    links = re.findall(r"\]\(((?!https?:)[^)#]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_changelog_has_this_version() -> None:
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("command", ["demo", "test"])
def test_ci_runs_readmes_own_commands(command: str) -> None:
    marked = re.search(rf"<!-- command: {command} -->\n```sh\n(.+)\n```", README)
    assert marked
    assert marked[1].startswith("python3 -m venv .venv && ")
    steps = subprocess.run([ROOT / ".ci" / "run", "--list"], capture_output=True, text=True, check=True).stdout
    assert f"readme-{command}" in steps.split()


def test_ci_names_the_step_that_it_does_not_know() -> None:
    done = subprocess.run([ROOT / ".ci" / "run", "lnit"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no step lnit" in done.stderr
