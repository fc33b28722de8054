"""A row that a transaction of the site has locked: no drain waits for it, and it is not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection as database
from django.db import transaction

from mktg_integration.models import Connection, OutboxRow
from mktg_integration.push import claims, outbox
from tests.push.outbox.test_claims import dead

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(database.vendor == "sqlite", reason="the database locks as a whole"),
]


@contextmanager
def a_save_that_takes_long(subject: str, *, rolls_back: bool = False) -> Iterator[Callable[[], None]]:
    """Another process's transaction that has marked somebody; the function given ends it."""
    marked, may_end = threading.Event(), threading.Event()

    def save() -> None:
        try:
            with transaction.atomic():
                outbox.mark([subject])
                marked.set()
                may_end.wait(10)
                transaction.set_rollback(rolls_back)
        finally:
            database.close()

    thread = threading.Thread(target=save)
    thread.start()
    assert marked.wait(10)

    def end() -> None:
        may_end.set()
        thread.join()

    try:
        yield end
    finally:
        end()


@pytest.fixture
def lease(kit: Connection) -> claims.Lease:
    taken = claims.take_lease(kit.pk)
    assert taken is not None
    return taken


def subjects(rows: Any) -> list[str]:
    return [row.subject for row in rows]


def test_a_claim_passes_over_it(kit: Connection, lease: claims.Lease) -> None:
    outbox.mark(["user:1", "user:2"])
    with a_save_that_takes_long("user:1") as end:
        assert subjects(claims.claim(lease, 10)) == ["user:2"]
        end()
        assert subjects(claims.claim(lease, 10)) == ["user:1"]


@pytest.mark.parametrize("rolls_back", [False, True])
def test_settling_passes_over_it_and_it_is_sent_again(kit: Connection, lease: claims.Lease, rolls_back: bool) -> None:
    outbox.mark(["user:1", "user:2"])
    claimed = claims.claim(lease, 10)
    with a_save_that_takes_long("user:1", rolls_back=rolls_back) as end:
        assert claims.settle(lease, [row.key for row in claimed]) == 1
        assert claims.claim(lease, 10) == [], "still in the hands of that save"
        end()
        assert subjects(claims.claim(lease, 10)) == ["user:1"]
    claims.settle(lease, [claimed[0].key])
    assert not OutboxRow.objects.exists()


@pytest.mark.parametrize("how", ["postpone", "release", "bury"])
def test_nothing_else_waits_for_it_either(kit: Connection, lease: claims.Lease, how: str) -> None:
    outbox.mark(["user:1"])
    claimed = claims.claim(lease, 10)
    with a_save_that_takes_long("user:1") as end:
        if how == "postpone":
            claims.postpone(lease, claimed)
        elif how == "release":
            claims.release(lease, [row.key for row in claimed])
        else:
            assert claims.bury(lease, [dead(row) for row in claimed]) == 0
        end()
    assert subjects(claims.claim(lease, 10)) == ["user:1"]
