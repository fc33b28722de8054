"""ConvertLoop's part of a world file: people and event logs."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ..worldmodel import WorldModel

Moment = str | int | float
"""A date-time as the request gave it: ISO 8601 text, or seconds since the epoch."""


class Person(WorldModel):
    id: int = Field(ge=1)
    pid: str | None = None
    user_id: str | None = None
    email: str | None = None
    subscribed: bool = True
    segments: list[str] = []
    attributes: dict[str, Any] = {}
    first_seen_at: Moment | None = None
    last_seen_at: Moment | None = None
    created_at: str = "2026-01-01T00:00:00.000Z"
    updated_at: str = "2026-01-01T00:00:00.000Z"

    @model_validator(mode="after")
    def _has_an_identity(self) -> Person:
        if not (self.pid or self.user_id or self.email):
            raise ValueError("one of pid, user_id and email is required")
        return self


class EventLog(WorldModel):
    id: int = Field(ge=1)
    name: str
    person_id: int | None = None
    time_key: str | None = None
    """Which spelling the request used: ``occured_at``, ``ocurred_at`` or ``occurred_at``; None: no time given."""
    time: Moment
    metadata: dict[str, Any] = {}


class World(WorldModel):
    people: list[Person] = []
    event_logs: list[EventLog] = []
