"""What one call, one person or one worker must not do to the others."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.models import ConnectionState, Lane, OutboxRow, SyncState
from mktg_integration.push import claims, record
from mktg_integration.push.drain import drain
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, send

SignUp = Callable[..., Any]


def later() -> None:
    past = timezone.now() - timedelta(hours=2)
    OutboxRow.objects.update(due_at=past)
    ConnectionState.objects.exclude(wait_until=None).update(wait_until=past)


def fail_for(sandbox: Sandbox, email: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service answers 500 to whatever names this person."""
    service = sandbox.services["conversion"]
    handle = service.handle

    def failing(request: Any) -> Any:
        if email.encode() in request.body:
            from mktg_integration.sandbox.wire import Response

            return Response.json(500, {"error": {"code": "internal_error", "message": "an unexpected failure"}})
        return handle(request)

    monkeypatch.setattr(service, "handle", failing)


@pytest.mark.parametrize("position", [0, 7, 15])
def test_one_person_whom_the_service_cannot_bear_holds_up_nobody(
    position: int, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("conversion")["conversion"]
    for number in range(16):
        sign_up(f"user{number:02}", newsletter=None)
    fail_for(mktg_sandbox, f"user{position:02}@example.com", monkeypatch)

    report = drain(connected.pk)

    assert (report.waiting, report.done, report.postponed) == ("", 15, 1)
    assert len(emails(mktg_sandbox, "conversion")) == 15
    assert OutboxRow.objects.get().attempts == 1


def test_an_outage_is_told_from_it_and_counts_against_nobody_at_first(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("conversion")["conversion"]
    for number in range(16):
        sign_up(f"user{number:02}", newsletter=None)
    mktg_sandbox.fail("conversion", "status", status=503)

    report = drain(connected.pk)

    assert report.waiting == "outage"
    assert report.calls <= 7
    assert OutboxRow.objects.filter(attempts=0).count() >= 15


def test_a_lone_person_whom_the_service_cannot_bear_is_counted_and_others_get_their_turn(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("conversion")["conversion"]
    sign_up("user00", newsletter=None)
    fail_for(mktg_sandbox, "user00@example.com", monkeypatch)
    drain(connected.pk)
    later()
    drain(connected.pk)
    assert OutboxRow.objects.get().attempts == 1

    sign_up("user01", newsletter=None)
    ConnectionState.objects.update(wait_until=None)
    report = drain(connected.pk)

    assert (report.waiting, report.done) == ("", 1)


def test_an_outage_may_last_for_weeks(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("convertloop")["convertloop"]
    sign_up("ada")
    ConnectionState.objects.update(outages=5000)
    mktg_sandbox.down("convertloop")

    assert drain(connected.pk).next_in == 600


def test_a_signup_goes_before_the_backfill_of_its_batch(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("convertloop", POOL_SIZE=1)["convertloop"]
    for number in range(20):
        sign_up(f"a{number:02}")
    OutboxRow.objects.update(lane=Lane.BACKFILL)
    sign_up("zoe")

    send(connected)

    first = mktg_sandbox.log.entries()[0]
    assert first.body is not None
    assert first.body["email"] == "zoe@example.com"


def test_a_drain_that_lost_its_lease_writes_nothing_down(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("kit", LEASE_SECONDS=90.0)["kit"]
    sign_up("ada", plan="gold")

    def lost(lease: claims.Lease) -> bool:
        return False

    monkeypatch.setattr(claims.Lease, "seconds_left", lambda lease: -1.0 if mktg_sandbox.people("kit") else 60.0)
    monkeypatch.setattr(claims.Lease, "renew", lost)
    written: list[bool] = []
    monkeypatch.setattr(record, "write_states", lambda *args: written.append(True))

    drain(connected.pk, foreground=True)

    assert emails(mktg_sandbox, "kit") == ["ada@example.com"]
    assert written == []
    assert OutboxRow.objects.count() == 1
    assert not SyncState.objects.exists()


def test_who_is_finished_when_the_time_is_up_is_done(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    connected = connect("convertloop", POOL_SIZE=1)["convertloop"]
    for number in range(6):
        sign_up(f"user{number}")
    mktg_sandbox.fail("convertloop", "text", status=429, nth=4)

    report = drain(connected.pk)

    assert (report.done, report.released) == (3, 3)


def test_a_call_that_fails_once_is_made_again_after_the_others(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("convertloop")["convertloop"]
    for number in range(6):
        sign_up(f"user{number}")
    mktg_sandbox.fail("convertloop", "drop", nth=1)

    report = drain(connected.pk)

    assert (report.waiting, report.done, report.calls) == ("", 6, 7)


@pytest.mark.parametrize("claim_size", [1, 1000])
@pytest.mark.parametrize("effect", ["drop", "status"])
def test_an_outage_that_begins_during_a_drain_counts_against_nobody(
    effect: str, claim_size: int, connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    connected = connect("convertloop", CLAIM_SIZE=claim_size)["convertloop"]
    for number in range(30):
        sign_up(f"user{number:02}")
    mktg_sandbox.fail("convertloop", effect, skip=10)

    report = drain(connected.pk)

    assert (report.waiting, report.done) == ("outage", 10)
    assert set(OutboxRow.objects.values_list("attempts", flat=True)) == {0}
    assert OutboxRow.objects.count() == 20


def test_somebody_at_whom_the_service_hangs_up_ends_one_drain_and_not_the_next(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    connected = connect("convertloop")["convertloop"]
    sign_up("user0")
    transport = connected.driver.execute

    def hang_up(call: Any, client: Any) -> Any:
        if any("user0@" in str(item) for item in call.items.values()):
            time.sleep(0.3)  # after the others, as a timeout is
            raise ServiceError(service="convertloop", endpoint="POST /people", action=Action.RETRY)
        return transport(call, client)

    monkeypatch.setattr(type(connected.driver), "execute", staticmethod(hang_up))
    assert drain(connected.pk).waiting == "outage"
    later()
    sign_up("user1")

    report = drain(connected.pk)

    assert (report.waiting, report.done, report.postponed) == ("", 1, 1)
