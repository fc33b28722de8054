"""Marks for people who cannot be: nobody's wait for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.audit import Actor
from mktg_integration.exceptions import MktgError, UnsupportedError
from mktg_integration.models import Kind, Lane, OutboxRow
from mktg_integration.operations import people
from tests.push.conftest import Connect, connect, send, sign_up

__all__ = ["connect", "sign_up"]

IMPOSSIBLE = ["user:x", "user:" + "9" * 25, "lead:x", "lead:" + "9" * 25, "user:01", "user: 1", "user:\u0661"]


@pytest.mark.parametrize("subject", IMPOSSIBLE)
def test_nobody_is_marked_by_a_key_that_no_user_can_have(connect: Connect, subject: str) -> None:
    connect("kit")
    with pytest.raises(UnsupportedError, match="user:<id>"):
        people.sync(Actor(None, "command"), [subject])
    with pytest.raises(MktgError):
        people.tag(Actor(None, "command"), [subject], "VIP")
    assert not OutboxRow.objects.filter(subject=subject).exists()


@pytest.mark.parametrize("subject", IMPOSSIBLE)
def test_such_a_mark_stops_nobody_elses(connect: Connect, sign_up: Callable[..., Any], subject: str) -> None:
    """As one from before the site changed its user model may be."""
    (kit,) = connect("kit").values()
    user = sign_up("ada")
    now = timezone.now()
    OutboxRow.objects.create(
        key=f"{kit.pk}:profile:{subject}", connection=kit, kind=Kind.PROFILE, subject=subject, lane=Lane.LIVE,
        marked_at=now, due_at=now, version=4711,
    )  # fmt: skip
    send(kit)
    assert not OutboxRow.objects.filter(subject=f"user:{user.pk}").exists()
