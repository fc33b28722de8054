"""A writer on SQLite stays off the lock as long as it held it, and learns how much goes into a short write."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import suppress

import pytest

from mktg_integration.pull import breath as module
from mktg_integration.pull.breath import LEAST_ROWS, LONGEST_SECONDS, Breath


class Clock:
    """In the place of ``time``: what passes is said, and what was slept is kept."""

    def __init__(self) -> None:
        self.now = self.worked = 0.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def thread_time(self) -> float:
        return self.worked

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))

    def passes(self, seconds: float, *, worked: float = 0.0) -> None:
        self.now += seconds
        self.worked += worked


TURN = 0.001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(sys, "getswitchinterval", lambda: TURN)
    return clock


@pytest.fixture
def write(clock: Clock) -> Callable[..., Breath]:
    """``write(breath, 0.008)`` is a write transaction that took so long, ``rows`` of it."""

    def transaction(
        breath: Breath, seconds: float, *, worked: float = 0.0, waited: float = 0.0, rows: int = 0
    ) -> Breath:
        with breath:
            clock.passes(waited)
            breath.locked()
            clock.passes(seconds, worked=worked)
            breath.learn(rows)
        return breath

    return transaction


def test_it_stays_off_the_lock_as_long_as_it_held_it(clock: Clock, write: Callable[..., Breath]) -> None:
    breath = Breath(limited=True, rows=1000)
    write(breath, 0.008)
    write(breath, 0.008, waited=5.0)
    write(breath, 0.008, worked=0.0079)
    write(breath, 3.0)

    assert clock.slept == [0.007, 0.007, 0.0079, LONGEST_SECONDS], "less the turn of another thread, at most"


def test_a_write_that_failed_is_not_waited_for(clock: Clock) -> None:
    with suppress(ZeroDivisionError), Breath(limited=True, rows=1000):
        clock.passes(1.0)
        raise ZeroDivisionError

    assert clock.slept == []


def test_rows_grow_while_writes_are_short_and_shrink_when_they_are_long(write: Callable[..., Breath]) -> None:
    breath = Breath(limited=True, rows=1000)
    assert breath.rows == LEAST_ROWS
    for _ in range(10):
        write(breath, 0.003, rows=breath.rows)
    assert breath.rows == 1000

    write(breath, 0.020, rows=1000)
    assert breath.rows == 700
    for _ in range(10):
        write(breath, 0.020, rows=breath.rows)
    assert breath.rows == LEAST_ROWS


def test_where_rows_are_locked_it_neither_waits_nor_learns(clock: Clock, write: Callable[..., Breath]) -> None:
    assert write(Breath(limited=False, rows=1000), 0.5, rows=1000).rows == 1000
    assert clock.slept == []
