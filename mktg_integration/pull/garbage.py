"""Python's garbage collector, while pages are read.

A page is some ten thousand objects that hold no cycles and are gone with the next page. At its usual threshold the
collector goes through them a dozen times, and again and again through all else that the process holds.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

OBJECTS = 50_000
"""New objects between two collections: three pages of contacts."""

_lock = Lock()
_pulls = 0
_usual = (0, 0, 0)


@contextmanager
def seldom_collected() -> Iterator[None]:
    """Collect garbage after so many objects only, in the whole process, until the last pull in it has ended.

    Nothing is done where the site has switched the collector off, or set it to be as rare itself.
    """
    global _pulls, _usual
    with _lock:
        _pulls += 1
        if _pulls == 1:
            _usual = gc.get_threshold()
            if 0 < _usual[0] < OBJECTS:
                gc.set_threshold(OBJECTS, *_usual[1:])
    try:
        yield
    finally:
        with _lock:
            _pulls -= 1
            if _pulls == 0:
                gc.set_threshold(*_usual)
