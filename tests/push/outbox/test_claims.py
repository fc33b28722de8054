"""Lease, claim, settle: what is in flight is in flight once, and nothing that was marked meanwhile is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from django.utils import timezone

from mktg_integration.models import Connection, ConnectionState, DeadKind, DeadRow, Kind, Lane, OutboxRow
from mktg_integration.push import claims, outbox

HOUR = timedelta(hours=1)


def take(connection: Connection) -> claims.Lease:
    lease = claims.take_lease(connection.pk)
    assert lease is not None
    return lease


def let_expire(lease: claims.Lease) -> None:
    """As if the drain had been stopped for longer than its lease."""
    ConnectionState.objects.filter(pk=lease.connection_id).update(lease_until=timezone.now() - HOUR)


def subjects(rows: Sequence[OutboxRow]) -> list[str]:
    return [row.subject for row in rows]


def dead(row: OutboxRow, **fields: Any) -> DeadRow:
    copied = ("key", "connection_id", "kind", "subject", "lane", "attempts", "payload", "marked_at")
    values = {name: getattr(row, name) for name in copied}
    values |= {"state": DeadKind.REJECTED, "code": "invalid_email", "reason": "correct it", "died_at": timezone.now()}
    return DeadRow(**values | fields)


# The lease


def test_one_lease_at_a_time(three: list[Connection]) -> None:
    lease = take(three[0])
    assert claims.take_lease(three[0].pk) is None
    assert claims.take_lease(three[1].pk) is not None

    lease.release()
    assert lease.seconds_left() <= 0
    assert claims.take_lease(three[0].pk) is not None


def test_a_lease_is_counted_from_before_it_was_taken(kit: Connection, marketing: Any) -> None:
    marketing(LEASE_SECONDS=90.0)
    assert 89.0 < take(kit).seconds_left() <= 90.0


def test_a_lease_that_has_run_out_goes_to_the_next_drain(kit: Connection) -> None:
    stale = take(kit)
    let_expire(stale)

    fresh = claims.take_lease(kit.pk)

    assert fresh is not None
    assert not stale.renew()
    stale.release()
    assert claims.take_lease(kit.pk) is None, "a stale drain must not release the lease of the one that follows it"
    assert fresh.renew()


def test_a_lease_can_be_renewed(kit: Connection) -> None:
    lease = take(kit)
    lease.ends_at -= 60
    assert lease.renew()
    assert lease.seconds_left() > 60


def test_a_connection_without_state_gets_one(db: None) -> None:
    connection = Connection.objects.create(name="kit", provider="kit")
    assert claims.take_lease(connection.pk) is not None
    assert claims.take_lease(connection.pk) is None


# Claims


def test_rows_are_claimed_by_lane_then_by_time_due(kit: Connection) -> None:
    outbox.mark(["user:3"], lane=Lane.BACKFILL)
    outbox.mark(["user:1"])
    outbox.mark(["user:2"])
    outbox.mark(["user:4"], lane=Lane.URGENT)
    OutboxRow.objects.filter(subject="user:2").update(due_at=timezone.now() - HOUR)
    lease = take(kit)

    assert subjects(claims.claim(lease, 3)) == ["user:4", "user:2", "user:1"]
    assert subjects(claims.claim(lease, 3)) == ["user:3"]
    assert claims.claim(lease, 3) == []


def test_what_is_not_due_or_of_another_connection_is_not_claimed(three: list[Connection]) -> None:
    outbox.mark(["user:1", "user:2"])
    OutboxRow.objects.filter(subject="user:1").update(due_at=timezone.now() + HOUR)
    assert subjects(claims.claim(take(three[0]), 10)) == ["user:2"]


def test_a_claimed_row_knows_its_version_and_its_payload(kit: Connection) -> None:
    outbox.add_occurrence(Kind.EVENT, "user:1", "k", {"name": "ordered"})
    lease = take(kit)
    (row,) = claims.claim(lease, 10)
    assert (row.claim_token, row.claimed_version) == (lease.token, row.version)
    assert row.payload == {"name": "ordered"}


def test_a_payload_that_cannot_be_read_is_buried_and_holds_up_nobody(kit: Connection, marketing: Any) -> None:
    outbox.add_occurrence(Kind.EVENT, "user:1", "k", {"name": "ordered"})
    outbox.mark(["user:2"])
    marketing(ENCRYPTION_KEYS=["B2FGr1G1R5nPVFnVNlyD9YVVt3yTzVq3S7k8r1dZl0M="])
    assert subjects(claims.claim(take(kit), 10)) == ["user:2"]
    assert list(DeadRow.objects.values_list("subject", "code")) == [("user:1", claims.UNREADABLE)]


def test_only_the_holder_of_the_lease_claims(kit: Connection) -> None:
    """Two drains, one with a stale lease: each by itself believes that it may go on."""
    outbox.mark(["user:1", "user:2"])
    stale = take(kit)
    assert subjects(claims.claim(stale, 1)) == ["user:1"]
    let_expire(stale)
    fresh = take(kit)

    assert claims.claim(stale, 10) == [], "the database knows better than the drain's own clock"
    assert subjects(claims.claim(fresh, 10)) == ["user:1", "user:2"], "what the stale drain had in flight is due again"
    assert claims.settle(stale, [f"{kit.pk}:profile:user:1"]) == 0
    claims.postpone(stale, list(OutboxRow.objects.all()))
    claims.release(stale, None)
    assert claims.settle(fresh, list(OutboxRow.objects.values_list("pk", flat=True))) == 2


def test_a_drain_claims_nothing_once_its_own_clock_says_that_the_lease_is_over(kit: Connection, marketing: Any) -> None:
    outbox.mark(["user:1"])
    marketing(LEASE_SECONDS=0.0)
    assert claims.claim(take(kit), 10) == []


# Settling


def test_settled_rows_go(kit: Connection, rows: Any) -> None:
    outbox.mark(["user:1", "user:2"])
    lease = take(kit)
    first, _ = claims.claim(lease, 10)
    assert claims.settle(lease, [first.key]) == 1
    assert subjects(rows()) == ["user:2"]


def test_a_save_during_delivery_is_sent_again(kit: Connection) -> None:
    outbox.mark(["user:1", "user:2"])
    lease = take(kit)
    claimed = claims.claim(lease, 10)
    outbox.mark(["user:1"])

    assert claims.settle(lease, [row.key for row in claimed]) == 1
    assert subjects(claims.claim(lease, 10)) == ["user:1"]


def test_a_row_that_was_settled_and_marked_again_is_another_row(kit: Connection, rows: Any) -> None:
    outbox.mark(["user:1"])
    lease = take(kit)
    (row,) = claims.claim(lease, 10)
    OutboxRow.objects.all().delete()
    outbox.mark(["user:1"])
    assert claims.settle(lease, [row.key]) == 0
    assert len(rows()) == 1


def test_settling_a_thousand_rows_takes_as_many_statements_as_one(
    kit: Connection, django_assert_max_num_queries: Any
) -> None:
    outbox.mark([f"user:{n}" for n in range(1000)])
    lease = take(kit)
    with django_assert_max_num_queries(3):
        claimed = claims.claim(lease, 1000)
    assert len(claimed) == 1000
    with django_assert_max_num_queries(3):
        assert claims.settle(lease, [row.key for row in claimed]) == 1000


def test_a_success_removes_the_dead_row_of_an_earlier_failure(kit: Connection) -> None:
    outbox.mark(["user:1", "user:2"])
    lease = take(kit)
    first, second = claims.claim(lease, 10)
    assert claims.bury(lease, [dead(first), dead(second)]) == 2
    outbox.mark(["user:1"])

    lease = take_again(lease, kit)
    (again,) = claims.claim(lease, 10)
    claims.settle(lease, [again.key])

    assert list(DeadRow.objects.values_list("subject", flat=True)) == ["user:2"]


def take_again(lease: claims.Lease, connection: Connection) -> claims.Lease:
    lease.release()
    return take(connection)


# What is not done


def test_a_postponed_row_waits_longer_each_time(kit: Connection, marketing: Any, rows: Any) -> None:
    marketing(BACKOFF_SECONDS=15.0, BACKOFF_SECONDS_MAX=3600.0)
    outbox.mark(["user:1"])
    waits = []
    for _ in range(12):
        OutboxRow.objects.update(due_at=timezone.now() - HOUR)
        lease = take(kit)
        claims.postpone(lease, claims.claim(lease, 10))
        assert claims.claim(lease, 10) == []
        lease.release()
        (row,) = rows()
        waits.append((row.due_at - timezone.now()).total_seconds())
    assert rows()[0].attempts == 12
    for attempts, seconds in enumerate(waits):
        most = min(15 * 2**attempts, 3600)
        assert most / 2 - 5 <= seconds <= most + 5


def test_postponed_rows_do_not_all_come_back_at_once(kit: Connection, rows: Any) -> None:
    outbox.mark([f"user:{n}" for n in range(50)])
    lease = take(kit)
    claims.postpone(lease, claims.claim(lease, 50))
    assert len({row.due_at for row in rows()}) > 25


def test_a_released_row_is_due_with_nothing_counted(kit: Connection, rows: Any) -> None:
    outbox.mark(["user:1", "user:2", "user:3"])
    lease = take(kit)
    claimed = claims.claim(lease, 10)
    claims.release(lease, [])
    assert claims.claim(lease, 10) == []
    claims.release(lease, [claimed[0].key])
    assert subjects(claims.claim(lease, 10)) == ["user:1"]
    claims.release(lease, None)
    assert len(claims.claim(lease, 10)) == 3
    assert {row.attempts for row in rows()} == {0}


# The dead


def test_a_buried_row_keeps_its_reason(kit: Connection, rows: Any) -> None:
    outbox.add_occurrence(Kind.EVENT, "user:1", "k", {"name": "ordered"})
    lease = take(kit)
    (row,) = claims.claim(lease, 10)
    assert claims.bury(lease, [dead(row)]) == 1
    assert rows() == []
    buried = DeadRow.objects.get()
    assert (buried.key, buried.code, buried.payload) == (row.key, "invalid_email", {"name": "ordered"})


def test_a_row_marked_during_delivery_is_not_buried(kit: Connection) -> None:
    outbox.mark(["user:1"])
    lease = take(kit)
    (row,) = claims.claim(lease, 10)
    outbox.mark(["user:1"])
    assert claims.bury(lease, [dead(row)]) == 0
    assert not DeadRow.objects.exists()
    assert subjects(claims.claim(lease, 10)) == ["user:1"]


def test_a_row_can_die_twice(kit: Connection) -> None:
    for code in ("first", "second"):
        outbox.mark(["user:1"])
        lease = take(kit)
        claims.bury(lease, [dead(row, code=code) for row in claims.claim(lease, 10)])
        lease.release()
    assert [row.code for row in DeadRow.objects.all()] == ["second"]


def test_revived_rows_are_due_as_if_never_tried(kit: Connection, rows: Any) -> None:
    outbox.mark(["user:1"], lane=Lane.URGENT)
    outbox.add_occurrence(Kind.EVENT, "user:2", "k", {"name": "ordered"})
    lease = take(kit)
    claimed = claims.claim(lease, 10)
    claims.bury(lease, [dead(row, attempts=9) for row in claimed])

    assert claims.revive([row.key for row in claimed]) == 2

    assert not DeadRow.objects.exists()
    assert [(row.attempts, row.lane) for row in rows()] == [(0, Lane.LIVE), (0, Lane.URGENT)]
    assert [row.payload for row in claims.claim(lease, 10)] == [{}, {"name": "ordered"}]


def test_reviving_what_was_marked_meanwhile_renews_its_version(kit: Connection, rows: Any) -> None:
    outbox.mark(["user:1"])
    lease = take(kit)
    claims.bury(lease, [dead(row) for row in claims.claim(lease, 10)])
    outbox.mark(["user:1"])
    (before,) = rows()
    assert claims.revive([before.key, "9:profile:user:9"]) == 1
    (after,) = rows()
    assert after.version != before.version


def test_a_hundred_marks_are_a_hundred_versions(kit: Connection, rows: Callable[..., Any]) -> None:
    seen = set()
    for _ in range(100):
        outbox.mark(["user:1"])
        seen.add(rows()[0].version)
    assert len(seen) == 100
