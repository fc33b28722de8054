"""A mark is one statement, however many connections and people; marking again only renews the version."""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.models import Connection, Kind, Lane, OutboxRow
from mktg_integration.people import lead_subject, parse_subject, user_subject
from mktg_integration.push import outbox

Connections = list[Connection]


def test_one_statement_for_three_connections(three: Connections, rows: Any, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        outbox.mark(["user:1"])

    assert [row.key for row in rows()] == sorted(f"{one.pk}:profile:user:1" for one in three)
    row = rows()[0]
    assert (row.kind, row.subject, row.lane, row.attempts, row.payload) == ("profile", "user:1", Lane.LIVE, 0, {})
    assert row.version > 0
    assert row.due_at == row.marked_at


def test_one_statement_for_a_thousand_people(three: Connections, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        outbox.mark([f"user:{n}" for n in range(1000)])
    assert OutboxRow.objects.count() == 3000

    with django_assert_num_queries(2):
        outbox.mark([f"user:{n}" for n in range(1001)], lane=Lane.BACKFILL)
    assert OutboxRow.objects.count() == 3003


def test_a_connection_that_is_not_pushed_to_gets_no_row(three: Connections, rows: Any) -> None:
    Connection.objects.filter(pk=three[1].pk).update(push_enabled=False)
    outbox.mark(["user:1", "lead:2"])
    assert {row.connection_id for row in rows()} == {three[0].pk, three[2].pk}


def test_only_the_connections_named(three: Connections, rows: Any) -> None:
    outbox.mark(["user:1"], connections=[three[1].pk])
    outbox.mark(["user:1"], connections=[])
    assert [row.connection_id for row in rows()] == [three[1].pk]


def test_marking_again_renews_the_version_and_nothing_else(kit: Connection, rows: Any) -> None:
    outbox.mark(["user:1"])
    (first,) = rows()
    later = first.due_at + timedelta(hours=1)
    OutboxRow.objects.update(attempts=3, due_at=later, claim_token="somebody", claimed_version=first.version)

    outbox.mark(["user:1"])

    (again,) = rows()
    assert again.version != first.version
    assert (again.attempts, again.due_at, again.claim_token) == (3, later, "somebody")
    assert (again.claimed_version, again.marked_at) == (first.version, first.marked_at)


@pytest.mark.parametrize(
    ("before", "mark", "after"),
    [
        (Lane.BACKFILL, Lane.LIVE, Lane.LIVE),
        (Lane.LIVE, Lane.URGENT, Lane.URGENT),
        (Lane.URGENT, Lane.LIVE, Lane.URGENT),
        (Lane.LIVE, Lane.BACKFILL, Lane.LIVE),
    ],
)
def test_the_more_urgent_lane_counts(kit: Connection, rows: Any, before: Lane, mark: Lane, after: Lane) -> None:
    outbox.mark(["user:1"], lane=before)
    outbox.mark(["user:1"], lane=mark)
    assert [row.lane for row in rows()] == [after]


def test_a_mark_dies_with_the_transaction(kit: Connection, rows: Any) -> None:
    with transaction.atomic():
        outbox.mark(["user:1"])
        transaction.set_rollback(True)
    assert rows() == []


def test_a_subject_longer_than_its_column_is_refused(kit: Connection) -> None:
    with pytest.raises(ValueError, match="longer than 80"):
        outbox.mark(["user:" + "x" * 80])


# Occurrences


def test_an_occurrence_is_one_row_with_its_payload_encrypted(three: Connections, rows: Any) -> None:
    outbox.add_occurrence(Kind.EVENT, "user:1", "order-7", {"name": "ordered", "email": "ann@example.com"})

    assert [row.key for row in rows()] == sorted(f"{one.pk}:event:user:1:order-7" for one in three)
    assert rows()[0].payload == {"name": "ordered", "email": "ann@example.com"}
    with database.cursor() as cursor:
        cursor.execute("SELECT payload FROM mktg_integration_outboxrow")
        assert all("example.com" not in stored for (stored,) in cursor.fetchall())


def test_the_same_occurrence_again_changes_nothing(kit: Connection, rows: Any) -> None:
    outbox.add_occurrence(Kind.EVENT, "user:1", "order-7", {"name": "ordered"})
    (first,) = rows()
    outbox.add_occurrence(Kind.EVENT, "user:1", "order-7", {"name": "other"})
    (again,) = rows()
    assert (again.version, again.payload) == (first.version, {"name": "ordered"})


@pytest.mark.parametrize("key", ["x" * 65, "a:b"])
def test_a_key_that_does_not_fit_is_replaced_by_its_digest(kit: Connection, rows: Any, key: str) -> None:
    for _ in range(2):
        outbox.add_occurrence(Kind.EVENT, "user:" + "9" * 75, key, {"name": "ordered"})
    (row,) = rows()
    assert len(row.key.rpartition(":")[2]) == 64


def test_an_occurrence_without_key_or_of_a_profile_is_refused(kit: Connection) -> None:
    with pytest.raises(ValueError, match="idempotency key"):
        outbox.add_occurrence(Kind.EVENT, "user:1", "", {})
    with pytest.raises(ValueError, match=r"mark\(\)"):
        outbox.add_occurrence(Kind.PROFILE, "user:1", "k", {})


def test_an_occurrence_needs_encryption_keys(kit: Connection, marketing: Any) -> None:
    marketing(ENCRYPTION_KEYS=[])
    with pytest.raises(ConfigurationError, match="ENCRYPTION_KEYS"):
        outbox.add_occurrence(Kind.ERASURE, "user:1", "k", {"email": "ann@example.com"})


# Subjects


def test_subjects() -> None:
    pk = uuid.UUID("2f1b3c1e-7a44-4d0e-9d8f-111111111111")
    assert user_subject(pk) == f"user:{pk}"
    assert lead_subject(7) == "lead:7"
    assert parse_subject(f"user:{pk}") == ("user", str(pk))
    assert parse_subject("lead:7") == ("lead", "7")
    assert parse_subject("user:a:b") == ("user", "a:b")


@pytest.mark.parametrize("text", ["", "user", "user:", "robot:1", "7"])
def test_what_is_no_subject(text: str) -> None:
    with pytest.raises(ValueError, match="no subject"):
        parse_subject(text)


def test_who_leaves_is_marked_at_a_connection_that_is_switched_off_too(three: Connections, rows: Any) -> None:
    off = three[1]
    Connection.objects.filter(pk=off.pk).update(push_enabled=False)

    outbox.mark(["user:1", "user:2"], lane=Lane.URGENT)
    outbox.mark(["user:3"], lane=Lane.URGENT)
    outbox.add_occurrence(Kind.ERASURE, "user:4", "asked", {"email": "ann@example.com"}, lane=Lane.URGENT)
    outbox.add_occurrence(Kind.EVENT, "user:4", "e1", {})
    outbox.mark(["user:5"])

    assert [row.subject for row in rows(connection=off)] == ["user:4", "user:1", "user:2", "user:3"]
    assert {row.subject for row in rows(connection=three[0])} == {f"user:{n}" for n in range(1, 6)}
