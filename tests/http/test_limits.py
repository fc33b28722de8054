"""The in-process limiter, on a clock of its own."""

from __future__ import annotations

import threading

from hypothesis import given
from hypothesis import strategies as st

from mktg_integration.http import RollingWindow, StaticToken, Unlimited


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@given(st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_no_window_holds_more_than_the_rate_however_slow_the_answers(latencies: list[float]) -> None:
    clock = Clock()
    limiter = RollingWindow(5, 10.0, clock=clock, sleep=clock.sleep)
    seen: list[float] = []
    for latency in latencies:
        slot = limiter.acquire()
        clock.now += latency
        seen.append(clock.now)
        limiter.release(slot)
    for earlier, later in zip(seen, seen[5:], strict=False):
        assert later - earlier >= 10.0 - 1e-6


def test_a_waiting_thread_gets_the_slot_that_is_given_back() -> None:
    limiter = RollingWindow(1, 0.0)
    slot = limiter.acquire()
    got: list[object] = []
    thread = threading.Thread(target=lambda: got.append(limiter.acquire()))
    thread.start()
    assert got == []
    limiter.release(slot)
    thread.join(2)
    assert len(got) == 1


def test_without_a_rate_nothing_waits() -> None:
    limiter = Unlimited()
    limiter.release(limiter.acquire())


def test_a_static_token_has_no_successor_and_is_not_shown() -> None:
    token = StaticToken("sesame")
    assert token.token() == "sesame"
    assert not token.refused("sesame")
    assert "sesame" not in repr(token)
