"""The shared rolling window: exact over processes, on the site's own database."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mktg_integration import rates
from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.models import RateSlot
from mktg_integration.providers.base import Account
from mktg_integration.rates import PreparedSlots, SharedLimiter, SharedSlots, Slot, bucket_for

ROOT = Path(__file__).resolve().parents[2]

# Takes slots of one bucket until the end, several at a time, and writes down when each "service call" arrived.
WORKER = """
import random, sys, time
import django
django.setup()
from mktg_integration.rates import SharedSlots
bucket, requests, window, seconds, latency = sys.argv[1], int(sys.argv[2]), *map(float, sys.argv[3:6])
slots = SharedSlots(bucket, requests, window, hold_seconds=5.0)
print("ready", flush=True)
start = float(sys.stdin.readline())
time.sleep(max(0.0, start - time.time()))
while time.time() < start + seconds:
    taken = slots.take(random.randint(1, 4))
    if not taken:
        time.sleep(min(slots.next_free(), 0.05) or 0.005)
        continue
    ended = {}
    for slot in taken:
        travel = random.uniform(0, latency)
        time.sleep(travel / 2)
        print(time.time(), flush=True)
        time.sleep(travel / 2)
        ended[slot] = time.monotonic()
    now = time.monotonic()
    slots.give_back({slot: now - at for slot, at in ended.items()})
"""


def arrivals(url: str, *, processes: int, requests: int, window: float, seconds: float, latency: float) -> list[float]:
    """When requests arrived at the service, sent by real processes that share the limit through the database."""
    environment = {
        **os.environ,
        "DATABASE_URL": url,
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(ROOT),
    }
    arguments = [f"test{os.getpid()}", str(requests), str(window), str(seconds), str(latency)]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", WORKER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            text=True,
        )
        for _ in range(processes)
    ]
    for worker in workers:
        assert worker.stdout is not None
        assert worker.stdout.readline() == "ready\n"
    start = time.time() + 0.2
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write(f"{start}\n")
        worker.stdin.flush()
    lines = [worker.communicate(timeout=seconds + 60)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * processes
    return sorted(float(line) for text in lines for line in text.split())


def most_in_any_window(times: list[float], window: float) -> int:
    first, most = 0, 0
    for last, at in enumerate(times):
        while at - times[first] >= window:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.slow
@pytest.mark.parametrize("latency", [0.01, 0.5])
def test_eight_processes_never_exceed_the_rate_and_use_nearly_all_of_it(database_url: str, latency: float) -> None:
    requests, window, seconds = 20, 3.0, 24.0

    times = arrivals(database_url, processes=8, requests=requests, window=window, seconds=seconds, latency=latency)

    assert most_in_any_window(times, window) <= requests
    # A slot's round is the window and the answer's way back; a taking of four is given back together.
    assert len(times) >= 0.75 * requests * seconds / (window + 4 * latency)


def test_three_processes_never_exceed_the_rate(database_url: str) -> None:
    times = arrivals(database_url, processes=3, requests=10, window=2.0, seconds=3.5, latency=0.02)

    assert most_in_any_window(times, 2.0) <= 10
    assert len(times) >= 15  # both windows' requests, but for stragglers: the test would pass by doing nothing else


def slots_of(requests: int = 3, seconds: float = 60.0) -> SharedSlots:
    return SharedSlots("a-bucket", requests, seconds, hold_seconds=30.0)


@pytest.mark.django_db
def test_no_more_than_the_limit_can_be_taken() -> None:
    slots = slots_of(3)

    assert len(slots.take(2)) == 2
    assert len(slots.take(5)) == 1
    assert slots.take(1) == []
    assert slots.take(0) == []


@pytest.mark.django_db
def test_a_slot_is_free_one_window_after_its_answer() -> None:
    slots = slots_of(1)
    (slot,) = slots.take(1)

    slots.give_back({slot: 20.0})

    assert slots.take(1) == []
    assert slots.next_free() == pytest.approx(40.0, abs=0.5)


@pytest.mark.django_db
def test_each_slot_goes_by_its_own_answer() -> None:
    slots = slots_of(3)
    first, second, third = slots.take(3)

    slots.give_back({first: 61.0, second: 30.0, third: 59.0})

    assert [slot.key for slot in slots.take(3)] == [first.key]
    assert slots.next_free() == pytest.approx(1.0, abs=0.5)


@pytest.mark.django_db
def test_an_unused_slot_is_free_at_once() -> None:
    slots = slots_of(2)

    slots.return_unused(slots.take(2))

    assert slots.next_free() == 0.0
    assert len(slots.take(2)) == 2


@pytest.mark.django_db
def test_a_slot_that_was_lost_by_its_holder_is_not_freed_by_it() -> None:
    slots = slots_of(1)
    (slot,) = slots.take(1)
    RateSlot.objects.update(free_at=rates.LONG_AGO)  # its hold has run out
    (again,) = slots.take(1)

    slots.give_back({slot: 100.0})
    slots.return_unused([slot])

    assert slots.take(1) == []
    assert again.key == slot.key


@pytest.mark.django_db
def test_a_dead_process_keeps_its_slot_until_a_window_after_its_last_possible_answer(marketing: Any) -> None:
    marketing(CALL_SECONDS=20.0)
    SharedSlots("a-bucket", 1, 60.0, hold_seconds=30.0).take(1)

    freed_in = RateSlot.objects.get().free_at - timezone.now()

    assert freed_in.total_seconds() == pytest.approx(60 + 30 + 20, abs=2)


@pytest.mark.django_db
def test_a_held_slot_is_looked_at_again_soon() -> None:
    slots = slots_of(1)
    slots.take(1)

    assert slots.next_free() == rates.HELD_SECONDS


@pytest.mark.django_db
def test_a_smaller_limit_takes_slots_away_and_keeps_those_that_were_used_last() -> None:
    wide = slots_of(6)
    used = wide.take(2)
    wide.give_back(dict.fromkeys(used, 0.0))

    narrow = slots_of(3)

    assert len(narrow.take(6)) == 1
    assert RateSlot.objects.count() == 3
    assert len(slots_of(6).take(6)) == 3


@pytest.mark.django_db
def test_slots_that_vanished_are_made_again() -> None:
    slots = slots_of(2)
    slots.return_unused(slots.take(2))
    RateSlot.objects.all().delete()

    assert len(slots.take(2)) == 2


@pytest.mark.django_db
def test_statements() -> None:
    slots = slots_of(100)
    slots.return_unused(slots.take(100))
    with CaptureQueriesContext(connection) as taking:
        taken = slots.take(50)
    with CaptureQueriesContext(connection) as giving:
        slots.give_back(dict.fromkeys(taken, 1.0))

    assert len(taken) == 50
    assert len(taking) == (2 if connection.vendor == "mysql" else 1)
    assert len(giving) == 1


def account(key: str, name: str = "one") -> Account:
    return Account(name=name, base_url="https://api.test", credentials={"API_KEY": key}, options={})


class Nothing:
    name = "nothing"

    @staticmethod
    def rate_credentials(account: Account) -> Mapping[str, str]:
        return account.credentials


def test_connections_with_one_credential_share_a_bucket_that_does_not_tell_it() -> None:
    driver: Any = Nothing()

    assert bucket_for(account("secret"), driver) == bucket_for(account("secret", "two"), driver)
    assert bucket_for(account("secret"), driver) != bucket_for(account("other"), driver)
    assert "secret" not in bucket_for(account("secret"), driver)


@pytest.mark.django_db
def test_a_one_off_call_waits_for_its_slot() -> None:
    limiter = SharedLimiter(slots_of(1, seconds=0.3), service="kit", wait_seconds=5.0)
    started = []
    for _ in range(3):
        slot = limiter.acquire()
        started.append(time.monotonic())
        limiter.release(slot)

    assert all(later - earlier >= 0.3 for earlier, later in pairwise(started))


@pytest.mark.django_db
def test_a_one_off_call_does_not_wait_for_ever() -> None:
    limiter = SharedLimiter(slots_of(1), service="kit", wait_seconds=0.5)
    limiter.release(limiter.acquire())

    with pytest.raises(ServiceError) as caught:
        limiter.acquire()

    assert caught.value.action is Action.WAIT
    assert caught.value.retry_after == pytest.approx(60, abs=1)


def soon(key: str) -> Slot:
    return Slot(key, "holder", time.monotonic() + 60)


def test_prepared_slots_are_handed_out_once_and_told_when_they_ended() -> None:
    prepared = PreparedSlots("kit")
    prepared.fill([soon("a"), soon("b")])

    first = prepared.acquire()
    prepared.release(first)
    ended = prepared.ended()

    assert [slot.key for slot in ended] == ["a"]
    assert 0 <= ended[next(iter(ended))] < 1
    assert prepared.ended() == {}
    assert [slot.key for slot in prepared.drain()] == ["b"]
    assert prepared.available() == 0
    with pytest.raises(ServiceError, match="rate is used up"):
        prepared.acquire()


def test_a_prepared_slot_that_was_held_too_long_is_not_used() -> None:
    prepared = PreparedSlots()
    prepared.fill([Slot("late", "holder", time.monotonic() - 1), soon("good")])

    assert prepared.available() == 1
    slot = prepared.acquire()
    assert isinstance(slot, Slot)
    assert slot.key == "good"
