"""Broadcasts written from the site, at Kit and in the mirror."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration import broadcasts
from mktg_integration.exceptions import ServiceError, UnsupportedError
from mktg_integration.models import Broadcast, Connection
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect

SignUp = Callable[..., Any]
NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def account(mktg_sandbox: Sandbox, connect: Connect) -> Sandbox:
    world = mktg_sandbox.dump()
    world["kit"]["tags"] = [{"id": 7, "name": "VIP", "created_at": NOW}]
    mktg_sandbox.load(world)
    connect("kit_by_key", "convertloop")
    return mktg_sandbox


def at_kit(sandbox: Sandbox) -> list[dict[str, Any]]:
    return list(sandbox.dump()["kit"]["broadcasts"])


def test_a_draft_is_made_changed_scheduled_and_deleted(account: Sandbox) -> None:
    vip = broadcasts.Audience(tags=["7"])
    draft = broadcasts.create_draft("kit_by_key", subject="Hello", content="<p>Hi</p>", audience=vip)
    assert (draft.subject, draft.public, draft.send_at) == ("Hello", False, None)

    draft = broadcasts.change(draft, preview_text="A word")
    (told,) = at_kit(account)
    assert (told["subject"], told["content"], told["preview_text"]) == ("Hello", "<p>Hi</p>", "A word")
    assert told["subscriber_filter"] == [{"any": [{"type": "tag", "ids": [7]}]}]

    at = timezone.now().replace(microsecond=0) + timedelta(days=1)
    draft = broadcasts.schedule(draft, at)
    assert (draft.public, draft.send_at) == (True, at)
    (told,) = at_kit(account)
    assert told["subscriber_filter"] == [{"any": [{"type": "tag", "ids": [7]}]}]

    draft = broadcasts.unschedule(draft)
    assert (draft.public, draft.send_at) == (False, None)

    broadcasts.delete(draft)
    assert at_kit(account) == []
    assert Broadcast.objects.get().deleted_at is not None


def test_what_staff_changed_at_kit_meanwhile_stays(account: Sandbox) -> None:
    draft = broadcasts.create_draft("kit_by_key", subject="Hello", content="Hi")
    world = account.dump()
    world["kit"]["broadcasts"][0]["content"] = "Better"
    account.load(world)

    broadcasts.change(draft, subject="Good morning")

    (told,) = at_kit(account)
    assert (told["subject"], told["content"]) == ("Good morning", "Better")


def test_what_cannot_be_done_is_said(account: Sandbox) -> None:
    draft = broadcasts.create_draft("kit_by_key", subject="Hello")
    tomorrow = timezone.now() + timedelta(days=1)
    with pytest.raises(ValueError, match="subject and content"):
        broadcasts.schedule(draft, tomorrow)
    with pytest.raises(ValueError, match="in the future"):
        broadcasts.schedule(draft, timezone.now())
    with pytest.raises(ValueError, match="its zone"):
        broadcasts.schedule(draft, datetime(2099, 1, 1))
    with pytest.raises(ValueError, match=r"send_at: .*schedule\(\)"):
        broadcasts.change(draft, send_at=tomorrow)
    with pytest.raises(UnsupportedError, match="ConvertLoop takes no broadcasts"):
        broadcasts.create_draft("convertloop", subject="Hello")
    with pytest.raises(UnsupportedError, match="no connection 'mailer'"):
        broadcasts.create_draft("mailer")
    Connection.objects.update(paused=True)
    with pytest.raises(UnsupportedError, match="paused"):
        broadcasts.delete(Broadcast.objects.get())
    assert len(at_kit(account)) == 1


def test_a_lost_answer_is_raised_and_nothing_is_repeated(account: Sandbox) -> None:
    account.fail("kit", "drop", operation="POST /v4/broadcasts", after_work=True)
    with pytest.raises(ServiceError) as lost:
        broadcasts.create_draft("kit_by_key", subject="Hello")
    assert not lost.value.answered
    assert len(at_kit(account)) == 1
