"""How often Python collects garbage while pages are read."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from mktg_integration.pull.garbage import OBJECTS, seldom_collected

USUAL = (700, 10, 10)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(*USUAL)
    yield
    gc.set_threshold(*before)


def test_it_is_rare_until_the_last_of_several_pulls_has_ended() -> None:
    first, second = seldom_collected(), seldom_collected()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold()[0] == OBJECTS

    second.__exit__(None, None, None)
    assert gc.get_threshold() == USUAL


def test_a_pull_that_fails_leaves_it_as_it_was() -> None:
    with pytest.raises(ZeroDivisionError), seldom_collected():
        raise ZeroDivisionError

    assert gc.get_threshold() == USUAL


@pytest.mark.parametrize("own", [(0, 10, 10), (100_000, 50, 50)])
def test_what_a_site_has_set_for_itself_stays(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)

    with seldom_collected():
        assert gc.get_threshold() == own
    assert gc.get_threshold() == own
