"""What a complete full reading did not see is gone, and a mass of it waits for a person."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from mktg_integration.background.q2 import install_schedules
from mktg_integration.insight.health import HealthState, healths
from mktg_integration.mirror import writer
from mktg_integration.models import Connection, Contact, Heartbeat, PullCheckpoint, PullPage, Run, Tag, Tagging
from mktg_integration.pull import sweep
from mktg_integration.records import ContactRecord, ContactStatus
from mktg_integration.sandbox.server import Sandbox
from tests.conftest import Told
from tests.pull.conftest import Fill, Pull, people, tag, tagging


def gone() -> list[str]:
    return sorted(Contact.objects.exclude(deleted_at=None).values_list("remote_id", flat=True))


def test_a_contact_that_is_not_there_any_more_is_gone_after_a_full_pull(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(100))
    read("contacts")
    fill(subscribers=people(96))

    read("contacts")
    assert gone() == []

    report = read("contacts", full=True)
    assert gone() == ["100", "97", "98", "99"]
    assert report.streams["contacts"]["removed"] == 4
    assert PullPage.objects.count() == 0


def test_it_comes_back_when_the_service_tells_of_it_again(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(100))
    read("contacts")
    fill(subscribers=people(99))
    read("contacts", full=True)
    fill(subscribers=people(100))

    read("contacts", full=True)

    assert gone() == []


def test_more_than_a_share_stops_and_asks(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(100), tags=[tag(1, "VIP")])
    read()
    fill(subscribers=people(94))

    report = read(full=True)

    assert report.status == "waiting"
    assert gone() == []
    assert "6 of 100" in report.detail
    assert "--confirm-deletions" in report.detail
    assert "taggings" not in report.streams, "the pull stopped"
    assert PullCheckpoint.objects.get(stream="contacts").missing == 6
    run = Run.objects.first()
    assert run is not None
    assert run.status == "waiting"


def test_staff_are_told_once_that_it_asks(read: Pull, fill: Fill, attention: list[Told]) -> None:
    fill(subscribers=people(100))
    read("contacts")
    fill(subscribers=people(94))
    read("contacts", full=True)
    read("contacts", full=True)
    assert [(told.connection, told.reason) for told in attention] == [("kit", "deletions")]
    assert "6 of 100" in attention[0].detail
    assert "person" not in attention[0].detail

    read(confirm_deletions=True)
    fill(subscribers=people(50))
    read("contacts", full=True)
    assert len(attention) == 2, "another question"


def test_a_connection_whose_pull_asks_does_not_look_well(read: Pull, fill: Fill, kit: Connection) -> None:
    Heartbeat.objects.create(name="worker", at=timezone.now())
    install_schedules()
    fill(subscribers=people(100))
    read("contacts")
    assert healths([kit])[0].state == HealthState.HEALTHY

    fill(subscribers=people(50))
    read("contacts", full=True)
    (health,) = healths([kit])
    assert (health.state, "confirm the deletions" in health.todo) == (HealthState.DEGRADED, True)

    read(confirm_deletions=True)
    assert healths([kit])[0].state == HealthState.HEALTHY


def test_a_person_confirms(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(100))
    read("contacts")
    fill(subscribers=people(50))
    read("contacts", full=True)

    report = read(confirm_deletions=True)

    assert report.status == "done"
    assert list(report.streams) == ["contacts"], "only what asked"
    assert len(gone()) == 50
    assert PullCheckpoint.objects.get(stream="contacts").missing == 0


def test_changes_are_still_read_while_it_asks(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(100))
    read("contacts")
    fill(subscribers=people(50))
    read("contacts", full=True)

    report = read("contacts")

    assert (report.status, report.streams["contacts"]["full"]) == ("done", False)
    assert PullCheckpoint.objects.get(stream="contacts").missing == 50


def test_who_was_pushed_while_it_was_read_is_not_gone(
    read: Pull, fill: Fill, kit: Connection, marketing: Callable[..., None]
) -> None:
    """A list shows what was written minutes ago: who is newer than that may not be in it yet."""
    fill(subscribers=people(100))
    read("contacts")
    marketing(LIST_LAG_SECONDS=300.0)
    young = ContactRecord(remote_id="101", email="young@example.com", status=ContactStatus.ACTIVE)
    writer.write(kit, [young], as_of=timezone.now() - timedelta(seconds=200), pushed=True)
    Contact.objects.exclude(remote_id="101").update(seen_at=timezone.now() - timedelta(hours=1))

    read("contacts", full=True)

    assert gone() == []


def test_who_is_too_young_to_be_missed_does_not_make_it_ask(
    read: Pull, fill: Fill, kit: Connection, marketing: Callable[..., None]
) -> None:
    marketing(LIST_LAG_SECONDS=300.0)
    fill(subscribers=people(20))
    young = [
        ContactRecord(remote_id=str(n), email=f"young{n}@example.com", status=ContactStatus.ACTIVE)
        for n in range(101, 121)
    ]
    writer.write(kit, young, as_of=timezone.now(), pushed=True)

    assert read("contacts", full=True).status == "done"
    assert gone() == []


def test_who_is_told_of_while_the_missing_are_marked_stays(
    read: Pull, fill: Fill, kit: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(subscribers=people(100))
    read("contacts")
    fill(subscribers=people(98))
    look, looks = sweep._missing, iter(range(9))

    def told_meanwhile(*args: Any) -> Iterator[list[str]]:
        is_marking = next(looks) == 1
        for keys in look(*args):
            if is_marking:
                told = ContactRecord(remote_id="99", email="person99@example.com", status=ContactStatus.ACTIVE)
                writer.write(kit, [told], as_of=timezone.now(), pushed=True)
            yield keys

    monkeypatch.setattr(sweep, "_missing", told_meanwhile)
    read("contacts", full=True)

    assert gone() == ["100"]


def test_a_pull_that_failed_marks_nothing(read: Pull, fill: Fill, mktg_sandbox: Sandbox) -> None:
    fill(subscribers=people(2100))
    read("contacts")
    fill(subscribers=people(2090))
    mktg_sandbox.faults.add(service="kit", operation="GET /v4/subscribers", nth=3, effect="status", status=403)

    report = read("contacts", full=True)

    assert report.status == "failed"
    assert gone() == []
    assert PullCheckpoint.objects.get(stream="contacts").missing == 0


def test_the_taggings_of_a_tag_that_is_gone_are_gone_with_it(read: Pull, fill: Fill) -> None:
    fill(subscribers=people(60), tags=[tag(1, "VIP"), tag(2, "Beta")], taggings=[tagging(2, n) for n in range(1, 51)])
    read()
    fill(tags=[tag(1, "VIP")], taggings=[])

    report = read(full=True)

    assert report.status == "done", report.detail
    assert [row.name for row in Tag.objects.filter(deleted_at=None)] == ["VIP"]
    assert not Tagging.objects.filter(deleted_at=None).exists()


def test_another_connections_rows_are_left_alone(read: Pull, fill: Fill, kit: Connection) -> None:
    other = Connection.objects.create(name="other", provider="kit")
    told = ContactRecord(remote_id="5000", email="else@example.com", status=ContactStatus.ACTIVE)
    writer.write(other, [told], as_of=timezone.now() - timedelta(days=2))
    fill(subscribers=people(10))

    read("contacts", full=True)

    assert gone() == []
