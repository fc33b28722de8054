"""What goes wrong at a service: nothing is lost, nothing is doubled, and only a bad row dies."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from mktg_integration.models import Connection, ConnectionState, DeadRow, OutboxRow, WaitReason
from mktg_integration.push import claims, record
from mktg_integration.push.drain import DrainReport, drain
from mktg_integration.sandbox.server import Sandbox
from tests.conftest import Told
from tests.push.conftest import Connect, emails, send

SignUp = Callable[..., Any]
SERVICES = ("kit", "conversion", "convertloop")


def send_in_background(connection: Connection) -> DrainReport:
    return drain(connection.pk)


def later(**ago: float) -> None:
    """Let time pass for the rows and the connections."""
    past = timezone.now() - timedelta(**ago)
    OutboxRow.objects.update(due_at=past)
    ConnectionState.objects.exclude(wait_until=None).update(wait_until=past)


@pytest.mark.parametrize("service", SERVICES)
def test_an_outage_keeps_every_row_and_its_attempts(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect(service)[service]
    for number in range(5):
        sign_up(f"user{number}")
    mktg_sandbox.down(service)

    report = send_in_background(connection)

    assert report.waiting == WaitReason.OUTAGE
    assert set(OutboxRow.objects.values_list("attempts", "claim_token")) == {(0, "")}
    assert OutboxRow.objects.count() == 5

    mktg_sandbox.faults.clear()
    later(minutes=5)
    assert send_in_background(connection).done == 5
    assert len(emails(mktg_sandbox, service)) == 5


def test_a_waiting_connection_calls_nobody(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connection = connect("convertloop")["convertloop"]
    sign_up("ada")
    mktg_sandbox.down("convertloop")
    send_in_background(connection)
    requests = len(mktg_sandbox.log.entries())

    report = send_in_background(connection)

    assert (report.waiting, report.calls) == (WaitReason.OUTAGE, 0)
    assert len(mktg_sandbox.log.entries()) == requests


@pytest.mark.parametrize("service", SERVICES)
def test_a_lost_answer_is_repeated_and_doubles_nobody(
    service: str, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect(service)[service]
    for number in range(5):
        sign_up(f"user{number}", plan="gold", groups=("VIP",))
    mktg_sandbox.fail(service, "drop", method="POST", times=2, after_work=True)

    for _ in range(4):
        send(connection)
        later(minutes=5)

    assert emails(mktg_sandbox, service) == [f"user{number}@example.com" for number in range(5)]
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, WaitReason.RECONNECT), (403, WaitReason.FORBIDDEN), (429, WaitReason.RATE), (413, WaitReason.RATE)],
)
def test_what_concerns_the_connection_is_not_counted_against_a_row(
    status: int,
    reason: WaitReason,
    connect: Connect,
    sign_up: SignUp,
    mktg_sandbox: Sandbox,
    attention: list[Told],
) -> None:
    connection = connect("conversion")["conversion"]
    sign_up("ada")
    mktg_sandbox.fail("conversion", "status", status=status)

    report = send_in_background(connection)

    assert report.waiting == reason
    assert OutboxRow.objects.get().attempts == 0
    assert not DeadRow.objects.exists()
    assert [told.reason for told in attention] == ([] if reason == WaitReason.RATE else [reason])


def test_retry_after_says_how_long_the_connection_waits(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("kit")["kit"]
    sign_up("ada")
    mktg_sandbox.fail("kit", "text", status=429, retry_after=17)

    report = send_in_background(connection)

    assert report.next_in == pytest.approx(17, abs=1)


def test_an_unclear_answer_stops_the_connection_and_keeps_the_rows(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("conversion")["conversion"]
    sign_up("ada")
    mktg_sandbox.fail("conversion", "malformed_json")

    report = send_in_background(connection)

    assert report.waiting
    assert OutboxRow.objects.count() == 1


def test_one_call_that_fails_is_tried_later_and_counted(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connection = connect("convertloop")["convertloop"]
    for number in range(6):
        sign_up(f"user{number}")
    mktg_sandbox.fail("convertloop", "status", status=500, nth=4)
    mktg_sandbox.fail("convertloop", "slow", seconds=0.3, skip=4, times=2)
    # Its second try, after the others.
    mktg_sandbox.fail("convertloop", "status", status=500, nth=6)

    report = send_in_background(connection)

    assert (report.done, report.postponed) == (5, 1)
    row = OutboxRow.objects.get()
    assert row.attempts == 1
    assert row.due_at > timezone.now()


def test_twenty_identical_rejections_stop_the_drain_and_keep_the_rows(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, attention: list[Told]
) -> None:
    connection = connect("convertloop")["convertloop"]
    for number in range(60):
        sign_up(f"user{number:02}")
    mktg_sandbox.fail("convertloop", "status", status=422)

    report = send_in_background(connection)

    assert report.waiting == WaitReason.REJECTIONS
    assert OutboxRow.objects.count() + DeadRow.objects.count() == 60
    assert DeadRow.objects.count() <= 20
    assert [told.reason for told in attention] == [WaitReason.REJECTIONS]


def test_a_mapping_that_raises_kills_only_its_row(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.testapp import mappings

    connection = connect("convertloop")["convertloop"]
    for number in range(5):
        sign_up(f"user{number}")
    mapped = mappings._consent

    def raising(user: Any, preference: Any) -> Any:
        if user.username == "user3":
            raise KeyError(user.email)
        return mapped(user, preference)

    monkeypatch.setattr(mappings, "_consent", raising)
    report = send_in_background(connection)

    assert (report.done, report.rejected) == (4, 1)
    dead = DeadRow.objects.get()
    assert "KeyError" in dead.reason
    assert "user3" not in dead.reason


def test_a_save_during_delivery_is_sent_with_the_next_claim(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect("kit")["kit"]
    ada = sign_up("ada", plan="silver")
    settle = record.settle_rows
    saved = []

    def save_first(*args: Any, **kwargs: Any) -> None:
        if not saved:
            saved.append(True)
            ada.preference.plan = "gold"
            ada.preference.save()
            ada.save()
        settle(*args, **kwargs)

    monkeypatch.setattr(record, "settle_rows", save_first)
    send(connection)

    assert mktg_sandbox.people("kit")[0]["fields"]["plan"] == "gold"
    assert not OutboxRow.objects.exists()


def test_a_drain_that_lost_its_lease_settles_nothing(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connection = connect("kit")["kit"]
    sign_up("ada")
    stale = claims.take_lease(connection.pk)
    assert stale is not None
    rows = claims.claim(stale, 10)
    ConnectionState.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    fresh = claims.take_lease(connection.pk)
    assert fresh is not None
    assert len(claims.claim(fresh, 10)) == 1

    assert claims.settle(stale, [row.key for row in rows]) == 0
    assert OutboxRow.objects.count() == 1


def test_a_rolled_back_signup_is_not_sent(connect: Connect, mktg_sandbox: Sandbox) -> None:
    from django.db import transaction

    connection = connect("kit")["kit"]
    with transaction.atomic():
        get_user_model().objects.create(username="ada", email="ada@example.com")
        transaction.set_rollback(True)

    assert send(connection).claimed == 0
    assert emails(mktg_sandbox, "kit") == []


def test_a_mass_unsubscribe_waits_for_a_person(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, marketing: Callable[..., None]
) -> None:
    connection = connect("conversion", MASS_MINIMUM=3, MASS_SHARE=0.2)["conversion"]
    users = [sign_up(f"user{number}") for number in range(10)]
    send(connection)

    for user in users[:6]:
        user.preference.newsletter = False
        user.preference.save()
        user.save()
    send(connection)

    assert DeadRow.objects.filter(code="mass_unsubscribe").count() == 6
    statuses = {row["status"] for row in mktg_sandbox.people("conversion")}
    assert statuses == {"SUBSCRIBED"}
