"""What the interpreter is asked for while pages are read."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator

import pytest

from mktg_integration.pull.interpreter import OBJECTS, SWITCH_SECONDS, set_for_pages
from tests.pull.conftest import Fill, Pull, people

Settings = tuple[tuple[int, int, int], float]


def settings() -> Settings:
    return gc.get_threshold(), round(sys.getswitchinterval(), 6)


def set_to(youngest: int, seconds: float) -> Settings:
    gc.set_threshold(youngest, 10, 10)
    sys.setswitchinterval(seconds)
    return settings()


@pytest.fixture(autouse=True)
def usual() -> Iterator[Settings]:
    thresholds, seconds = settings()
    yield set_to(700, 0.005)
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(seconds)


def test_it_lasts_until_the_last_of_several_pulls_has_ended(usual: Settings) -> None:
    first, second = set_for_pages(), set_for_pages()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert settings() == ((OBJECTS, *usual[0][1:]), SWITCH_SECONDS)

    second.__exit__(None, None, None)
    assert settings() == usual


def test_a_pull_that_fails_leaves_it_as_it_was(usual: Settings) -> None:
    with pytest.raises(ZeroDivisionError), set_for_pages():
        raise ZeroDivisionError

    assert settings() == usual


@pytest.mark.parametrize("youngest", [0, 100_000])
def test_what_a_site_has_set_for_itself_stays(youngest: int) -> None:
    own = set_to(youngest, 0.0001)

    with set_for_pages():
        assert settings() == own
    assert settings() == own


def test_it_is_so_in_a_pull(usual: Settings, fill: Fill, read: Pull) -> None:
    fill(subscribers=people(2))
    found = []
    read("contacts", on_progress=lambda *_: found.append(settings()))

    assert {seconds for _, seconds in found} == {SWITCH_SECONDS}
    assert settings() == usual
