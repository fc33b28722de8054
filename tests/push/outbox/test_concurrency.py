"""Sites at work: processes that save while others drain. No save sees an error, and nothing that was saved is lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection as database

from mktg_integration.models import OutboxRow, SyncState

User = get_user_model()
pytestmark = pytest.mark.skipif(not hasattr(User, "first_name"), reason="the workers rename people")


def start(url: str, role: str, argument: str) -> subprocess.Popen[str]:
    environment = os.environ | {"DATABASE_URL": url}
    command = [sys.executable, "-m", "tests.push.outbox.workers", role, argument]
    root = Path(__file__).parents[3]
    return subprocess.Popen(
        command, cwd=root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[dict[str, Any]]:
    answers = []
    for process in processes:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err[-3000:]
        assert "Traceback" not in err, err[-3000:]
        answers.append(json.loads(out.splitlines()[-1]))
    return answers


def work(url: str, *, seconds: float, savers: int, drains: int) -> list[dict[str, Any]]:
    """What the savers report, after the drains have found nothing more."""
    busy = [start(url, "drain", str(seconds + 1)) for _ in range(drains)]
    saved = finish([start(url, "save", str(seconds)) for _ in range(savers)])
    settled = finish(busy)
    finish([start(url, "drain", "0")])
    assert sum(answer["settled"] for answer in settled) > 0
    return saved


def all_was_sent() -> bool:
    names = {
        f"user:{pk}": name for pk, name in User._default_manager.exclude(last_name="").values_list("pk", "first_name")
    }
    sent = SyncState.objects.values_list("subject", "sent")
    return (
        bool(names)
        and all(names[subject] == state["name"] for subject, state in sent)
        and {subject for subject, _ in sent} >= set(names)
    )


@pytest.mark.parametrize("seconds", [2, pytest.param(30, marks=pytest.mark.slow)])
def test_saves_and_drains_do_not_harm_each_other(database_url: str, seconds: int) -> None:
    finish([start(database_url, "prepare", "")])

    saved = work(database_url, seconds=seconds, savers=4, drains=2)

    assert [answer["errors"] for answer in saved] == [[], [], [], []]
    assert OutboxRow.objects.count() == 0
    assert all_was_sent()


@pytest.mark.slow
@pytest.mark.skipif(database.vendor != "sqlite", reason="SQLite's default transaction mode")
def test_sqlite_as_django_opens_it_by_default(tmp_path: Path) -> None:
    """Deferred transactions, no write-ahead log, five seconds of patience."""
    url = f"sqlite:///{tmp_path}/site.sqlite3"
    finish([start(url, "prepare", "migrate")])
    saved = work(url, seconds=15, savers=4, drains=2)
    assert [answer["errors"] for answer in saved] == [[], [], [], []]
