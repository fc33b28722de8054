"""What people and the service itself do, which no endpoint can: for tests of what flows back."""

from __future__ import annotations

from collections.abc import Callable

from .core import Kit
from .objects import Subscriber, SubscriberState

_STATES: dict[str, SubscriberState] = {
    "unsubscribe": "cancelled",
    "bounce": "bounced",
    "complain": "complained",
    "confirm": "active",
}


def act(kit: Kit, name: str, row: Subscriber, parameter: int | str | None) -> None:
    """Carry out an act of one subscriber.

    ``unsubscribe``, ``bounce``, ``complain``, ``confirm`` (the link in a form's email), ``click`` with the link's
    URL, ``complete`` with a sequence's id. Raises ValueError for another name.
    """
    if name in _STATES:
        row = kit.change_state(row, _STATES[name])
        if name == "confirm":
            for form_id, members in kit.world.form_members.containers():
                if members.get(row.id) is not None:
                    kit.raise_event("form_subscribe", row, form_id)
        return
    events: dict[str, Callable[[], None]] = {
        "click": lambda: kit.raise_event("link_click", row, parameter),
        "complete": lambda: kit.raise_event("course_complete", row, parameter),
    }
    if name not in events:
        raise ValueError(f"{name!r} is none of {sorted([*_STATES, *events])}")
    events[name]()
