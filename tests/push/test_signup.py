"""A signup reaches each service, with the right fields and tags, in the fewest calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.models import Contact, DeadRow, OutboxRow, SyncState
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, person, send

SERVICES = ("kit", "conversion", "convertloop")


@pytest.mark.parametrize("service", SERVICES)
def test_a_signup_reaches_the_service(
    service: str, connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    connections = connect(service)
    sign_up("ada", plan="gold", groups=("VIP",))

    report = send(connections[service])

    assert (report.done, report.rejected, report.waiting) == (1, 0, "")
    assert emails(mktg_sandbox, service) == ["ada@example.com"]
    assert not OutboxRow.objects.exists()
    assert Contact.objects.get().subject == SyncState.objects.get().subject
    assert mktg_sandbox.undocumented() == []


@pytest.mark.parametrize("service", SERVICES)
def test_saving_again_without_a_change_calls_nobody(
    service: str, connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    connections = connect(service)
    user = sign_up("ada", plan="gold", groups=("VIP",))
    send(connections[service])

    user.save()
    report = send(connections[service])

    assert (report.done, report.calls) == (1, 0)


def test_kit_by_token_takes_a_hundred_names_a_call(
    connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    connections = connect("kit")
    for number in range(250):
        sign_up(f"user{number}", groups=("VIP",))

    report = send(connections["kit"])

    assert report.done == 250
    assert len(emails(mktg_sandbox, "kit")) == 250
    assert report.calls <= 1.05 * (3 + 3) + 5


def test_an_email_change_updates_the_same_contact(
    connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    for service in SERVICES:
        connection = connect(service)[service]
        user = sign_up(f"ada-{service}", plan="gold")
        send(connection)
        user.email = f"countess-{service}@example.com"
        user.save()

        send(connection)

        assert f"countess-{service}@example.com" in emails(mktg_sandbox, service)
        assert f"ada-{service}@example.com" not in emails(mktg_sandbox, service)


def test_one_malformed_address_among_many_is_the_only_dead_row(
    connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    connections = connect("conversion")
    for number in range(30):
        sign_up(f"user{number}", email="not an address" if number == 7 else f"user{number}@example.com")

    report = send(connections["conversion"])

    assert (report.done, report.rejected) == (29, 1)
    assert DeadRow.objects.get().code == "invalid_profile"
    assert len(emails(mktg_sandbox, "conversion")) == 29


def test_groups_become_tags_and_leave_with_the_group(
    connect: Connect, sign_up: Callable[..., Any], mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    user = sign_up("ada", groups=("VIP", "Beta"))
    send(connection)
    assert sorted(person(mktg_sandbox, "kit", "ada@example.com")["tags"]) == ["Beta", "VIP"]

    user.groups.remove(user.groups.get(name="Beta"))
    send(connection)

    assert person(mktg_sandbox, "kit", "ada@example.com")["tags"] == ["VIP"]
