"""What the interpreter is asked for while pages are read."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from mktg_integration.pull.interpreter import OBJECTS, SWITCH_SECONDS, set_for_pages

USUAL = ((700, 10, 10), 0.005)


def settings() -> tuple[tuple[int, int, int], float]:
    return gc.get_threshold(), round(sys.getswitchinterval(), 6)


@pytest.fixture(autouse=True)
def usual() -> Iterator[None]:
    thresholds, seconds = settings()
    gc.set_threshold(*USUAL[0])
    sys.setswitchinterval(USUAL[1])
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(seconds)


def test_it_lasts_until_the_last_of_several_pulls_has_ended() -> None:
    first, second = set_for_pages(), set_for_pages()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert settings() == ((OBJECTS, 10, 10), SWITCH_SECONDS)

    second.__exit__(None, None, None)
    assert settings() == USUAL


def test_a_pull_that_fails_leaves_it_as_it_was() -> None:
    with pytest.raises(ZeroDivisionError), set_for_pages():
        raise ZeroDivisionError

    assert settings() == USUAL


@pytest.mark.parametrize("own", [(0, 10, 10), (100_000, 50, 50)])
def test_what_a_site_has_set_for_itself_stays(own: tuple[int, int, int]) -> None:
    gc.set_threshold(*own)
    sys.setswitchinterval(0.0001)

    with set_for_pages():
        assert settings() == (own, 0.0001)
    assert settings() == (own, 0.0001)
