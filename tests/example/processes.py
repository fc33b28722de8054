"""How these tests start the example: as its users do, in a process of its own, with an environment of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
MANAGE = str(ROOT / "example_project" / "manage.py")
_NOT_PASSED_ON = ("KIT_", "CONVERSION_", "CONVERTLOOP_", "DJANGO_", "EXAMPLE_", "DATABASE_URL", "PUBLIC_URL", "PORT")


def environment(**changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_PASSED_ON)}
    return {**kept, **changes}


def run(*arguments: str, cwd: Path | None = None, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run Python with these arguments and these changes of the environment."""
    return subprocess.run(
        [sys.executable, *arguments],
        env=environment(**changes),
        cwd=cwd or ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def manage(folder: Path, *arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    """A command of the example, its database in ``folder``, started from there."""
    changes = {"DATABASE_URL": f"sqlite:///{folder / 'example.sqlite3'}", **changes}
    return run(MANAGE, *arguments, cwd=folder, **changes)


def settings_of(folder: Path, expression: str, **changes: str) -> Any:
    """What a Python expression of ``settings`` gives under these changes, printed as text."""
    changes = {"DATABASE_URL": f"sqlite:///{folder / 'example.sqlite3'}", **changes}
    done = run("-c", f"from example_project import settings; print({expression})", **changes)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
