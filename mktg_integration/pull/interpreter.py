"""What the interpreter is asked for while pages are read, in the whole process: it has one of each setting.

A page is some ten thousand objects that hold no cycles and are gone with the next page. At its usual threshold the
garbage collector goes through them a dozen times, and again and again through all else that the process holds. And one
thread makes the rows of a page while another waits for the database: it should not wait for its turn as well.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

OBJECTS = 50_000
"""New objects between two collections: three pages of contacts. As few as the site wants where it set more, or none."""
SWITCH_SECONDS = 0.001
"""After which a thread that works gives way to one that waits, where it would be more."""


@dataclass(frozen=True)
class _Settings:
    thresholds: tuple[int, int, int]
    switch_seconds: float

    @classmethod
    def now(cls) -> _Settings:
        return cls(gc.get_threshold(), sys.getswitchinterval())

    def for_pages(self) -> _Settings:
        youngest, *others = self.thresholds
        objects = OBJECTS if 0 < youngest < OBJECTS else youngest
        return _Settings((objects, others[0], others[1]), min(self.switch_seconds, SWITCH_SECONDS))

    def set(self) -> None:
        gc.set_threshold(*self.thresholds)
        if sys.getswitchinterval() != self.switch_seconds:
            # It is cut to a microsecond each time.
            sys.setswitchinterval(self.switch_seconds)


_lock = Lock()
_pulls: list[_Settings] = []
"""As many as are at work in this process, each time the settings from before the first."""


@contextmanager
def set_for_pages() -> Iterator[None]:
    """Until the last pull in this process has ended."""
    with _lock:
        before = _pulls[0] if _pulls else _Settings.now()
        _pulls.append(before)
        before.for_pages().set()
    try:
        yield
    finally:
        with _lock:
            _pulls.pop()
            if not _pulls:
                before.set()
