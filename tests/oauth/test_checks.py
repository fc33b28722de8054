"""What is wrong with the setting ``OAUTH`` is said before anybody presses Connect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.checks.oauth import check_oauth

APP = {"CLIENT_ID": "id", "CLIENT_SECRET": "very secret"}


@pytest.mark.parametrize(
    ("given", "number", "named"),
    [
        ({"nobody": APP}, "E040", "nobody"),
        ({"convertloop": APP}, "E040", "'kit'"),
        ({"kit": "x"}, "E041", "kit"),
        ({"kit": {**APP, "CLIENT_SECRT": "x"}}, "E042", "CLIENT_SECRET"),
        ({"kit": {"CLIENT_SECRET": "x"}}, "E043", "CLIENT_ID"),
        ({"kit": {**APP, "AUTHORIZE_URL": "app.kit.com"}}, "E044", "AUTHORIZE_URL"),
    ],
)
def test_what_is_wrong_is_named(marketing: Callable[..., None], given: Any, number: str, named: str) -> None:
    marketing(OAUTH=given, PUBLIC_URL="https://example.com")
    [message] = check_oauth()
    assert message.id == f"mktg_integration.{number}"
    assert named in f"{message.msg} {message.hint}"
    assert "very secret" not in f"{message.msg} {message.hint}"


def test_without_a_public_address_copies_are_not_noticed(marketing: Callable[..., None]) -> None:
    marketing(OAUTH={"kit": APP}, PUBLIC_URL="")
    assert [message.id for message in check_oauth()] == ["mktg_integration.W006"]


def test_all_well(marketing: Callable[..., None]) -> None:
    marketing(OAUTH={"kit": {**APP, "TENANT_NAME": "shop"}}, PUBLIC_URL="https://example.com")
    assert check_oauth() == []
