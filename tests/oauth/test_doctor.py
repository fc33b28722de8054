"""What the doctor says of tokens."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from io import StringIO

from django.core.management import CommandError, call_command
from django.utils import timezone

from mktg_integration.models import Connection, OAuthToken
from mktg_integration.sandbox.server import Sandbox
from tests.oauth.conftest import INSTALL, PUBLIC_URL

AGAIN = f"{PUBLIC_URL}{INSTALL}?connection=kit"


def examine() -> dict[str, tuple[str, str]]:
    out = StringIO()
    with suppress(CommandError):
        call_command("mktg_doctor", "--json", "--connection", "kit", stdout=out)
    return {one["about"]: (one["level"], one["text"]) for one in json.loads(out.getvalue())["connections"]["kit"]}


def test_a_good_token(connected: Connection) -> None:
    level, text = examine()["token"]
    assert (level, "good until" in text) == ("ok", True)


def test_a_refused_one_says_where_to_connect_again(connected: Connection) -> None:
    OAuthToken.objects.update(refused_at=timezone.now())
    assert examine()["token"] == ("problem", f"the service refused to refresh it: open {AGAIN}")


def test_one_that_was_revoked_at_the_service(connected: Connection, kit: Sandbox) -> None:
    OAuthToken.objects.update(pair={"access_token": "gone"}, version=1)
    level, text = examine()["service"]
    assert level == "problem"
    assert text.endswith(f"connect the account again: open {AGAIN}")


def test_one_that_nobody_refreshed(connected: Connection) -> None:
    OAuthToken.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    level, text = examine()["token"]
    assert (level, text.endswith("python manage.py qcluster")) == ("problem", True)


def test_the_app_is_not_set(connected: Connection, marketing: Callable[..., None]) -> None:
    marketing(OAUTH={})
    level, text = examine()["token"]
    assert (level, "CLIENT_ID" in text) == ("problem", True)


def test_a_disconnected_one(connected: Connection) -> None:
    OAuthToken.objects.update(disconnected_at=timezone.now())
    assert examine()["token"] == ("note", f"it was disconnected; to connect it: open {AGAIN}")
