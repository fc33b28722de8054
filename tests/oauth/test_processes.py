"""Eight processes of a site find the same token expired, and the service spends refresh tokens."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from mktg_integration.models import Connection, ConnectionState, OAuthToken, WaitReason
from mktg_integration.sandbox.server import Sandbox
from tests.conftest import Told
from tests.oauth.conftest import Browser, asked

ROOT = Path(__file__).resolve().parents[2]
PROCESSES = 8
REQUESTS = 3

WORKER = """
import json, sys
import django
django.setup()
from mktg_integration.connections import open_client
from mktg_integration.models import Connection
connection = Connection.objects.get()
print("ready", flush=True)
sys.stdin.readline()
client = open_client(connection).client
done, errors = 0, []
for _ in range(int(sys.argv[1])):
    try:
        client.get_account()
        done += 1
    except Exception as error:
        errors.append(f"{type(error).__name__}: {error}")
print(json.dumps({"done": done, "errors": errors}))
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("known", [True, False], ids=["expired", "refused with 401"])
def test_one_refresh_and_no_lost_request(
    kit: Sandbox, database_url: str, settings: Any, marketing: Callable[..., None], known: bool
) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert Browser(client).connect().status_code == 302
    past = timezone.now() - timedelta(hours=1)
    OAuthToken.objects.update(issued_at=past - timedelta(hours=1), **({"expires_at": past} if known else {}))
    world = kit.dump()
    for token in world["kit"]["tokens"]:
        token["expires_at"] = 0
    kit.load(world)
    kit.log.clear()
    # So slow that all have come to find the token expired before the first has another.
    kit.fail("kit", "slow", operation="POST /oauth/token", seconds=0.5)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
        "MKTG_E2E": json.dumps({"OAUTH": settings.MKTG_INTEGRATION["OAUTH"], "PUBLIC_URL": "http://testserver"}),
        "PYTHONPATH": str(ROOT),
    }
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, str(REQUESTS)],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("\n")
            worker.stdin.flush()
        told = [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()

    assert [one["errors"] for one in told] == [[]] * PROCESSES
    assert sum(one["done"] for one in told) == PROCESSES * REQUESTS
    assert asked(kit, "POST /oauth/token") == 1
    assert not [
        entry for entry in kit.log.entries("kit") if entry.operation == "POST /oauth/token" and entry.status != 200
    ]
    assert ConnectionState.objects.get().wait_reason == WaitReason.NONE
    assert Connection.objects.get().oauth.refused_at is None


DYING = """
import os
import django
django.setup()
from mktg_integration import tokens
from mktg_integration.connections import open_client
from mktg_integration.models import Connection
tokens._save = lambda update, alias: os._exit(9)
open_client(Connection.objects.get()).client.get_account()
"""


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_process_that_dies_before_it_can_save(
    kit: Sandbox, database_url: str, settings: Any, attention: list[Told]
) -> None:
    """What cannot be saved: the connection says so, and a person connects it again."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    browser = Browser(client)
    browser.connect()
    past = timezone.now() - timedelta(hours=1)
    OAuthToken.objects.update(issued_at=past, expires_at=past)
    told = {"OAUTH": settings.MKTG_INTEGRATION["OAUTH"], "PUBLIC_URL": "http://testserver"}
    # The lease of the dead one is waited for.
    brief = {**told, "CALL_SECONDS": 1.0, "CONNECT_SECONDS": 0.5}
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DJANGO_SETTINGS_MODULE": "tests.e2e.settings",
        "MKTG_E2E": json.dumps(brief),
        "PYTHONPATH": str(ROOT),
    }
    assert subprocess.run([sys.executable, "-c", DYING], env=environment, timeout=60).returncode == 9

    from mktg_integration.connections import open_client
    from mktg_integration.exceptions import ServiceError

    with pytest.raises(ServiceError, match="not answered or not saved"):
        open_client(Connection.objects.get()).client.get_account()
    assert [(told.connection, told.reason) for told in attention] == [("kit", "reconnect")]

    browser.connect(connection="kit")
    assert open_client(Connection.objects.get()).client.get_account().account.name
