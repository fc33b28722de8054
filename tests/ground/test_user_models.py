"""Sites whose users are unlike Django's: another key, the address under another name, or no address at all.

``AUTH_USER_MODEL`` cannot change within a process, so each site is a process of its own with its own database.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

SITE = """
import json, sys
import django
django.setup()
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.test.utils import override_settings
from django.conf import settings
from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection, Contact, OutboxRow
from mktg_integration.providers import registry
from tests.ground import paper

registry.BUILT_IN["paper"] = "tests.ground.paper:PaperProvider"
call_command("migrate", verbosity=0)
news = {"PROVIDER": "paper", "PENCIL": "2B"}
with override_settings(MKTG_INTEGRATION={**settings.MKTG_INTEGRATION, "CONNECTIONS": {"news": news}}):
    sync_declared()
    user = get_user_model().objects.create_user(*json.loads(sys.argv[1]))
    due = [row.subject for row in OutboxRow.objects.all()]
    call_command("mktg_push", verbosity=0, stdout=sys.stderr)
    owners = [[contact.email, contact.user_id == user.pk] for contact in Contact.objects.all()]
    user.delete()
    later = [row.subject for row in OutboxRow.objects.all()]
print(json.dumps({
    "pk": str(user.pk) if user.pk else due[0].removeprefix("user:"),
    "due": due, "sent": paper.book.addresses, "owners": owners, "after_delete": later,
}))
"""


def site(tmp_path: Path, user_model: str, *arguments: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{tmp_path}/site.sqlite3",
        "TEST_USER_MODEL": user_model,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SITE, json.dumps(arguments)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_a_uuid_for_a_key_and_the_address_under_another_name(tmp_path: Path) -> None:
    told = site(tmp_path, "members.Member", "ada", "ada@example.com")

    assert len(told["pk"]) == 36
    assert told["due"] == [f"user:{told['pk']}"]
    assert told["sent"] == ["ada@example.com"]
    assert told["owners"] == [["ada@example.com", True]]
    assert told["after_delete"] == [f"user:{told['pk']}"]


def test_users_who_have_no_address_go_nowhere(tmp_path: Path) -> None:
    told = site(tmp_path, "nameless.Account", "4711")

    assert told["due"] == [f"user:{told['pk']}"]
    assert told["sent"] == []


def test_a_user_of_djangos_own_without_an_address_goes_nowhere(
    connect: Any, sign_up: Any, book: Any, run: Any, django_user_model: Any
) -> None:
    connect("news")
    django_user_model.objects.create_user("nobody")

    assert run("mktg_push")["error"] == ""
    assert book.addresses == []


@pytest.mark.parametrize("user_model", ["auth.User", "members.Member", "nameless.Account"])
def test_no_migration_is_missing_whatever_the_user_model_is(user_model: str) -> None:
    environment = {**os.environ, "TEST_USER_MODEL": user_model, "DJANGO_SETTINGS_MODULE": "tests.settings"}
    environment["DATABASE_URL"] = "sqlite://"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "django", "makemigrations", "--check", "--dry-run"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout + done.stderr
