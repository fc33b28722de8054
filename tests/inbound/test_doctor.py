"""What the doctor says of webhooks."""

from __future__ import annotations

import json
from contextlib import suppress
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from mktg_integration.inbound.registration import register
from mktg_integration.models import Connection, InboundAddress, WebhookSubscription
from mktg_integration.sandbox.server import Sandbox
from tests.inbound.conftest import Mailbox, batch, call


def examine(about: str) -> list[tuple[str, str]]:
    """Level and text of each finding."""
    out = StringIO()
    with suppress(CommandError):
        call_command("mktg_doctor", "--json", "--connection", "kit", stdout=out)
    found = json.loads(out.getvalue())["connections"]["kit"]
    return [(one["level"], one["text"]) for one in found if one["about"] == about]


def test_none_is_registered(connection: Connection) -> None:
    [(level, text)] = examine("webhooks")
    assert level == "note"
    assert "python manage.py mktg_webhooks register --connection kit" in text
    assert not InboundAddress.objects.exists(), "nothing is written"


def test_all_are_there(connection: Connection, kit: Sandbox) -> None:
    register(connection)
    before = kit.dump()["kit"]["webhooks"]
    [(level, text)] = examine("webhooks")
    assert (level, "the service has all" in text) == ("ok", True)
    assert kit.dump()["kit"]["webhooks"] == before


def test_one_is_gone_at_the_service(connection: Connection, kit: Sandbox) -> None:
    register(connection, ["subscriber.subscriber_unsubscribe"])
    row = WebhookSubscription.objects.get()
    call(kit, "DELETE", f"/v4/webhooks/{row.remote_id}")
    WebhookSubscription.objects.update(registered_at=None)
    [(level, text)] = examine("webhooks")
    assert level == "problem"
    assert "missing there: subscriber.subscriber_unsubscribe" in text
    assert "python manage.py mktg_webhooks repair --connection kit" in text


@pytest.mark.parametrize(
    ("body", "mark", "level", "command"),
    [
        (batch(), "t=1,v1=00", "note", "mktg_webhooks secret --connection kit"),
        (b"{}", "", "problem", "mktg_webhooks replay --connection kit"),
    ],
    ids=["refused", "not understood"],
)
def test_what_was_refused_and_what_was_not_understood(
    mailbox: Mailbox, body: bytes, mark: str, level: str, command: str
) -> None:
    mailbox.tell_signed(body, mark)
    mailbox.apply()
    [(found, text)] = examine("deliveries")
    assert (found, command in text) == (level, True)


def test_all_well_is_silent(mailbox: Mailbox, kit: Sandbox) -> None:
    assert examine("deliveries") == []
