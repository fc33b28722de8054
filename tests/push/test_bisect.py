"""A batch that is refused whole: the refused ones are found, the others arrive, in few calls."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from mktg_integration.push.bisect import Bisection


def search(keys: list[str], bad: set[str]) -> tuple[list[str], list[str], int]:
    """Play a service that refuses every batch with a bad one in it: (arrived, refused, calls with the first)."""
    bisection, arrived, calls = Bisection(keys), [], 1
    while asked := bisection.next():
        calls += 1
        accepted = not bad & set(asked)
        arrived += asked if accepted else []
        bisection.answered(accepted)
    return arrived, bisection.refused, calls


@given(st.integers(1, 300).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_each_bad_one_is_found_and_every_other_arrives_once(case: tuple[int, set[int]]) -> None:
    size, bad_numbers = case
    keys = [f"user:{number}" for number in range(size)]
    bad = {f"user:{number}" for number in bad_numbers}

    arrived, refused, calls = search(keys, bad)

    assert sorted(refused) == sorted(bad)
    assert sorted(arrived) == sorted(set(keys) - bad)
    assert calls <= len(bad) * (math.ceil(math.log2(max(size, 2))) + 1) + 1


def test_three_bad_ones_among_a_thousand_cost_at_most_34_calls() -> None:
    keys = [str(number) for number in range(1000)]
    for bad in ({"0", "499", "999"}, {"1", "2", "3"}, {"997", "998", "999"}, {"333", "666", "700"}):
        assert search(keys, bad)[2] <= 3 * (10 + 1) + 1


@given(st.integers(2, 300))
def test_a_refusal_that_does_not_come_again_condemns_nobody(size: int) -> None:
    """The service refuses one batch for no reason of anybody in it."""
    keys = [str(number) for number in range(size)]
    bisection, arrived = Bisection(keys), list[str]()
    while asked := bisection.next():
        arrived += asked
        bisection.answered(True)
    assert (bisection.refused, arrived) == ([], keys)


def test_one_alone_is_not_asked_for_again() -> None:
    assert search(["a"], {"a"}) == ([], ["a"], 1)


def test_a_search_that_stops_early_says_whom_it_has_not_asked_about() -> None:
    bisection = Bisection(["a", "b", "c", "d"])

    assert bisection.next() == ["a", "b"]
    bisection.answered(False)

    assert sorted(bisection.unasked()) == ["a", "b", "c", "d"]
