"""What was tried is written down for rows that failed, and for nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mktg_integration.models import Attempt, DeadKind, DeadRow, Kind, OutboxRow, Outcome, SyncState
from mktg_integration.push.drain import drain
from mktg_integration.push.replay import replay
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, send

SignUp = Callable[..., Any]


def make_due() -> None:
    OutboxRow.objects.update(due_at=timezone.now())


def test_a_drain_without_failures_writes_and_asks_nothing(connect: Connect, sign_up: SignUp) -> None:
    kit = connect("kit")["kit"]
    sign_up("ada", groups=("VIP",))
    with CaptureQueriesContext(database) as captured:
        assert send(kit).done == 1
    assert [query["sql"] for query in captured if Attempt._meta.db_table in query["sql"]] == []


def test_what_went_well_is_told_by_the_state(connect: Connect, sign_up: SignUp) -> None:
    kit = connect("kit")["kit"]
    user = sign_up("ada")
    send(kit)
    state = SyncState.objects.get(subject=f"user:{user.pk}")
    assert state.status in (200, 201)


def test_a_row_that_is_tried_later_says_why_and_ends_with_its_success(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop")["convertloop"]
    for number in range(6):
        sign_up(f"user{number}")
    # One call fails, and once more after the others; the rest succeed.
    mktg_sandbox.fail("convertloop", "status", status=500, nth=4)
    mktg_sandbox.fail("convertloop", "slow", seconds=0.3, skip=4, times=2)
    mktg_sandbox.fail("convertloop", "status", status=500, nth=6)
    drain(loop.pk)
    failed = Attempt.objects.get()
    assert (failed.outcome, failed.status) == (Outcome.LATER, 500)
    assert failed.call.startswith("POST /")
    make_due()
    send(loop)
    later, done = Attempt.objects.order_by("at")
    assert (later.pk, done.key, done.outcome) == (failed.pk, failed.key, Outcome.DONE)
    assert done.status == 200


def test_a_rejection_is_kept_with_its_request_and_without_the_address(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop")["convertloop"]
    user = sign_up("ada")
    mktg_sandbox.faults.add(
        service="convertloop", effect="text", status=422, body="ada@example.com is refused", times=1
    )
    send(loop)
    attempt = Attempt.objects.get()
    assert (attempt.outcome, attempt.status, attempt.subject) == (Outcome.REJECTED, 422, f"user:{user.pk}")
    assert "refused" in attempt.reason
    assert "ada@" not in attempt.reason


def test_the_success_of_a_replayed_row_is_written_down(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop")["convertloop"]
    sign_up("ada")
    mktg_sandbox.faults.add(service="convertloop", effect="status", status=422, times=1)
    send(loop)
    assert replay(DeadRow.objects.all()) == 1
    send(loop)
    assert [a.outcome for a in Attempt.objects.order_by("at")] == [Outcome.REJECTED, Outcome.DONE]


def test_who_is_held_has_an_attempt(connect: Connect, sign_up: SignUp) -> None:
    kit = connect("kit", MASS_MINIMUM=1, MASS_SHARE=0.01)["kit"]
    users = [sign_up(name) for name in ("ada", "bob", "eve")]
    send(kit)
    for user in users:
        user.delete()
    send(kit)
    assert DeadRow.objects.filter(state=DeadKind.HELD).count() == 3
    assert set(Attempt.objects.values_list("outcome", "code")) == {(Outcome.HELD, "mass_unsubscribe")}


def test_a_row_that_cannot_be_read_holds_up_nobody(
    connect: Connect, sign_up: SignUp, add_row: Callable[..., OutboxRow], caplog: pytest.LogCaptureFixture
) -> None:
    kit = connect("kit")["kit"]
    user = sign_up("ada")
    bad = add_row(kit, 999, kind=Kind.ERASURE, payload={"email": "gone@example.com"})
    spoilt = "gAAAAA-no-key-can-read-this"
    with database.cursor() as cursor:
        table = OutboxRow._meta.db_table
        cursor.execute(f"UPDATE {table} SET payload = %s WHERE subject = %s", [spoilt, bad.subject])  # noqa: S608
    report = send(kit)
    assert report.waiting == ""
    assert SyncState.objects.filter(subject=f"user:{user.pk}").exists()
    dead = DeadRow.objects.defer("payload").get()
    assert (dead.key, dead.state, dead.code) == (bad.key, DeadKind.NEEDS_PERSON, "unreadable_payload")
    assert Attempt.objects.get(key=bad.key).outcome == Outcome.NEEDS_PERSON
    # What is stored stays as it is: once the key is back, it can be read again.
    assert stored(DeadRow) == spoilt
    assert replay(DeadRow.objects.all()) == 1
    assert stored(OutboxRow) == spoilt


def stored(model: type[DeadRow] | type[OutboxRow]) -> str:
    with database.cursor() as cursor:
        cursor.execute(f"SELECT payload FROM {model._meta.db_table} WHERE kind = 'erasure'")  # noqa: S608
        return str(cursor.fetchone()[0])
