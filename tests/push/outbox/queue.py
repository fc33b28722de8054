"""A task engine that only remembers what it was asked for."""

from __future__ import annotations

asked: list[tuple[int, float]] = []
"""``(connection id, delay)`` of each drain that was queued."""


class BrokerError(Exception):
    """As a broker that is not there raises it; its text may hold anything."""


def remember(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    assert path == "mktg_integration.tasks.drain"
    (connection_id,) = ids
    asked.append((int(connection_id), delay))


def fail(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    raise BrokerError("redis://:password@broker for ann@example.com")
