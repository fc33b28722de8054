"""What the last request of this thread was answered, for whoever writes down what became of a call."""

from __future__ import annotations

import threading
from typing import NamedTuple


class LastAnswer(NamedTuple):
    """``endpoint`` is method and template, never a filled-in path; ``request_id`` the service's own."""

    endpoint: str
    status: int
    request_id: str = ""


_of_thread = threading.local()


def note_answer(answer: LastAnswer) -> None:
    """An answer has come, of whichever status."""
    _of_thread.last = answer


def take_answer() -> LastAnswer | None:
    """The last answer that came to this thread since this was last asked; None where none came."""
    last: LastAnswer | None = getattr(_of_thread, "last", None)
    _of_thread.last = None
    return last
