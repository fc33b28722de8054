"""The public signals that follow a change of the mirror."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from mktg_integration import signals
from mktg_integration.mirror import writer
from mktg_integration.models import Connection, Contact
from mktg_integration.records import ContactRecord, ContactStatus, TaggingRecord, TagRecord
from tests.mirror.conftest import NOON

Told = Callable[..., ContactRecord]
HOUR = timedelta(hours=1)
NAMES = ("contact_subscribed", "contact_unsubscribed", "contact_updated", "tag_added", "tag_removed")


@pytest.fixture
def heard() -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """``(name of the signal, its arguments)`` of all that was sent."""
    sent: list[tuple[str, dict[str, Any]]] = []
    receivers = {name: (lambda sender, name=name, **kwargs: sent.append((name, kwargs))) for name in NAMES}
    for name, receiver in receivers.items():
        getattr(signals, name).connect(receiver, sender=Connection)
    yield sent
    for name, receiver in receivers.items():
        getattr(signals, name).disconnect(receiver, sender=Connection)


@pytest.fixture
def write(kit: Connection, django_capture_on_commit_callbacks: Any) -> Callable[..., None]:
    """Write, and commit."""

    def do(*records: Any, hours: int = 0, **options: Any) -> None:
        with django_capture_on_commit_callbacks(execute=True):
            writer.write(kit, records, as_of=NOON + hours * HOUR, **options)

    return do


def names(heard: list[tuple[str, dict[str, Any]]]) -> list[str]:
    found = [name for name, _ in heard]
    heard.clear()
    return found


def test_a_first_reading_is_no_news(write: Any, told: Told, heard: Any) -> None:
    write(told("1"), told("2", status=ContactStatus.UNSUBSCRIBED), TaggingRecord(contact="1", tag="7"))
    assert heard == []


def test_a_pull_tells_what_changed(write: Any, told: Told, heard: Any, kit: Connection) -> None:
    write(told("1"), source="pull")
    assert names(heard) == ["contact_subscribed"]
    write(told("1"), hours=1, source="pull")
    assert names(heard) == []
    write(told("1", email="new@example.com"), hours=2, source="pull")
    assert names(heard) == ["contact_updated"]
    write(told("1", email="new@example.com", status=ContactStatus.BOUNCED), hours=3, source="inbound")
    (name, arguments), (second, _) = heard
    assert (name, second) == ("contact_unsubscribed", "contact_updated")
    assert arguments["connection"] == kit
    assert arguments["contact"] == Contact.objects.get()
    assert (arguments["user"], arguments["source"], arguments["status"]) == (None, "inbound", ContactStatus.BOUNCED)


def test_an_older_answer_is_no_news(write: Any, told: Told, heard: Any) -> None:
    write(told(), hours=1)
    write(told(status=ContactStatus.UNSUBSCRIBED), source="pull")
    assert heard == []


def test_of_a_push_only_an_opt_out_is_news(write: Any, told: Told, heard: Any) -> None:
    write(told("1"), told("2", status=ContactStatus.UNSUBSCRIBED))
    out = [told("1", status=ContactStatus.UNSUBSCRIBED), told("2", status=ContactStatus.UNSUBSCRIBED), told("3")]
    write(*out, hours=1, pushed=True)
    assert [(name, arguments["contact"].remote_id, arguments["source"]) for name, arguments in heard] == [
        ("contact_unsubscribed", "1", "push")
    ]


def test_what_we_said_ourselves_is_no_news(write: Any, told: Told, heard: Any) -> None:
    write(told("1"))
    write(told("1", status=ContactStatus.UNSUBSCRIBED), hours=1, pushed=True, unsubscribed_by_us={"1"})
    assert heard == []


def test_tags_come_and_go(
    write: Any, told: Told, heard: Any, kit: Connection, django_capture_on_commit_callbacks: Any
) -> None:
    write(told("1"), TagRecord(remote_id="7", name="VIP"))
    write(TaggingRecord(contact="1", tag="7"), TaggingRecord(contact="unknown", tag="7"), source="inbound")
    assert [(name, arguments["tag"].name) for name, arguments in heard] == [("tag_added", "VIP")]
    heard.clear()
    with django_capture_on_commit_callbacks(execute=True):
        writer.untag(kit, [("1", "7")], as_of=NOON + HOUR, source="inbound")
    assert [(name, arguments["contact"].remote_id) for name, arguments in heard] == [("tag_removed", "1")]


def test_nothing_is_told_before_the_commit(kit: Connection, told: Told, heard: Any) -> None:
    writer.write(kit, [told()], as_of=NOON, source="pull")
    assert heard == []


def test_a_receiver_that_raises_harms_nothing(write: Any, told: Told, caplog: Any) -> None:
    def broken(**_: Any) -> None:
        raise RuntimeError("of the site")

    signals.contact_subscribed.connect(broken, sender=Connection)
    try:
        write(told(), source="pull")
    finally:
        signals.contact_subscribed.disconnect(broken, sender=Connection)
    assert Contact.objects.exists()


def test_where_nobody_listens_nothing_is_read(
    kit: Connection, told: Told, django_assert_num_queries: Any, django_capture_on_commit_callbacks: Any
) -> None:
    with django_assert_num_queries(2), django_capture_on_commit_callbacks(execute=True):
        writer.write(kit, [told()], as_of=NOON, source="pull")
