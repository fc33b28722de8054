"""What a page costs the database, and how the pull shares the service's rate."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.utils import timezone

from mktg_integration import rates
from mktg_integration.models import Connection, Contact, OutboxRow, RateSlot
from mktg_integration.providers.base import Page
from mktg_integration.providers.kit.provider import KitProvider
from mktg_integration.pull import pace
from mktg_integration.sandbox.server import Sandbox
from tests.pull.conftest import Fill, Pull, people, subscriber, tag, tagging

STATES = ("active", "cancelled", "bounced", "complained", "inactive")


def statements(work: Callable[[], Any]) -> int:
    counted: Counter[str] = Counter()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        counted[sql.split()[0]] += 1
        return execute(sql, params, many, context)

    with database.execute_wrapper(count):
        work()
    # A test's transaction is there already: what is a savepoint here is the transaction of a page.
    return counted.total() - counted["RELEASE"]


def a_page(read: Pull, fill: Fill, world: Callable[[int], dict[str, Any]], stream: str, *, twice: bool) -> float:
    """Statements of one page more."""
    costs = []
    for pages in (2, 6):
        Contact.objects.all().delete()
        fill(**world(pages * 1000))
        if twice:
            read(stream, full=True)
        costs.append(statements(lambda: read(stream, full=True)))
    return (costs[1] - costs[0]) / 4


def in_all_states(count: int) -> dict[str, Any]:
    return {"subscribers": [subscriber(n, state=STATES[n % 5]) for n in range(1, count + 1)]}


def tagged(count: int) -> dict[str, Any]:
    return {
        "subscribers": people(count),
        "tags": [tag(1, "VIP")],
        "taggings": [tagging(1, n) for n in range(1, count + 1)],
    }


def test_a_page_that_is_new_takes_at_most_eight_statements(read: Pull, fill: Fill) -> None:
    assert a_page(read, fill, in_all_states, "contacts", twice=False) <= 8


def test_a_page_without_news_takes_less(read: Pull, fill: Fill) -> None:
    assert a_page(read, fill, in_all_states, "contacts", twice=True) <= 4


def test_a_page_of_members_takes_at_most_eight(read: Pull, fill: Fill) -> None:
    read("tags")
    assert a_page(read, fill, tagged, "taggings", twice=False) <= 8


def test_the_next_page_is_fetched_while_one_is_written(read: Pull, fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(subscribers=people(3000))
    threads = set()
    fetches: list[tuple[float, float]] = []
    original = KitProvider.read

    def slowly(self: KitProvider, *args: Any, **kwargs: Any) -> Page:
        threads.add(threading.current_thread().name)
        begun = time.monotonic()
        page = original(self, *args, **kwargs)
        time.sleep(0.2)
        fetches.append((begun, time.monotonic()))
        return page

    monkeypatch.setattr(KitProvider, "read", slowly)
    written: list[float] = []
    read("contacts", on_progress=lambda *told: written.append(time.monotonic()))

    assert threading.current_thread().name not in threads
    assert len(threads) == 1
    assert len(fetches) == len(written) == 3
    for (begun, _), page_written in zip(fetches[1:], written, strict=False):
        assert begun < page_written, "the page after it was asked for before it was written"


@pytest.fixture
def shared(kit: Connection) -> rates.SharedSlots:
    return rates.SharedSlots("tests", 100, 60.0, hold_seconds=30.0)


def taken_by_a_pull(kit: Connection, shared: rates.SharedSlots) -> int:
    """How many requests a pull may make at once."""
    prepared = rates.PreparedSlots()
    paced = pace.Paced(kit, shared, prepared)
    taken = 0
    while paced.ready(1):
        prepared.release(prepared.acquire())
        taken += 1
    paced.close()
    return taken


def test_the_pull_leaves_some_of_the_rate_to_the_push(kit: Connection, shared: rates.SharedSlots) -> None:
    assert taken_by_a_pull(kit, shared) == 95
    assert len(shared.take(100)) == 5


def test_while_the_push_has_work_it_leaves_half(kit: Connection, shared: rates.SharedSlots) -> None:
    OutboxRow.objects.create(
        key="1", connection=kit, kind="profile", subject="user:1", version=1, due_at=timezone.now(),
        marked_at=timezone.now(),
    )  # fmt: skip
    assert taken_by_a_pull(kit, shared) == 50


def test_how_much_it_leaves_is_a_setting(
    kit: Connection, shared: rates.SharedSlots, marketing: Callable[..., None]
) -> None:
    marketing(PULL_RESERVE=0.3)
    assert taken_by_a_pull(kit, shared) == 70


def test_a_pull_that_is_to_leave_everything_is_not_starved(
    kit: Connection, shared: rates.SharedSlots, marketing: Callable[..., None]
) -> None:
    marketing(PULL_RESERVE=1.0)
    assert taken_by_a_pull(kit, shared) == pace.GRAB


def test_the_documented_rate_is_kept(read: Pull, fill: Fill, mktg_sandbox: Sandbox) -> None:
    fill(subscribers=people(10), tags=[tag(n, f"Tag {n}") for n in range(1, 31)])

    read()

    held = RateSlot.objects.filter(free_at__gt=timezone.now()).count()
    calls = len(mktg_sandbox.log.entries())
    assert held == calls
    assert all(entry.status != 429 for entry in mktg_sandbox.log.entries())
