"""Before the first write: what an account already holds is read, so that nobody is brought back and no tag of others
is taken for ours. Resumable: the cursor is kept with its page."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.utils import timezone

from mktg_integration.exceptions import MalformedAnswerError
from mktg_integration.mirror import reader, writer
from mktg_integration.models import Connection, ConnectionState, Tag, WaitReason
from mktg_integration.providers.base import Catalogue, Provider
from mktg_integration.push.deliver import Slots, TimeLeft
from mktg_integration.push.waiting import Stop
from mktg_integration.records import CustomFieldRecord, TagRecord


@dataclass(frozen=True)
class Introduction:
    """Reads an account's streams into the mirror, one page a call, in the draining thread."""

    connection: Connection
    driver: Provider[Any, Any]
    client: Any
    slots: Slots
    time_left: TimeLeft
    patient: bool = False
    streams: tuple[str, ...] = ()
    """What is read before the first write."""

    def read_account(self, state: ConnectionState) -> int:
        """Its streams, once for each connection. The number of calls; raises ``Stop``."""
        if state.introduced_at is not None or not self.streams:
            return 0
        done = dict(state.introduction)
        calls = 0
        for stream in self.streams:
            if done.get(stream) is True:
                continue
            calls += self._read(stream, done.get(stream), partial(self._keep, state, done, stream))
        state.introduced_at = timezone.now()
        state.introduction = {}
        ConnectionState.objects.filter(pk=state.pk).update(introduced_at=state.introduced_at, introduction={})
        return calls

    def read_members(self, tags: Iterable[Tag]) -> int:
        """Who already has these tags. The number of calls; raises ``Stop``."""
        calls = 0
        for tag in tags:
            asked = timezone.now()
            calls += self._read(f"taggings:{tag.remote_id}", None, lambda cursor: None)
            Tag.objects.filter(pk=tag.pk).update(members_read_at=asked)
        return calls

    def _read(self, stream: str, cursor: str | None, keep: Callable[[str | None], None]) -> int:
        calls = 0
        seen = set()
        while True:
            self._wait_for_slot()
            asked: datetime = timezone.now()
            page = self.driver.read(stream, cursor, self.client)
            calls += 1
            writer.write(self.connection, page.records, as_of=asked)
            keep(page.cursor)
            if page.cursor is None:
                return calls
            if page.cursor in seen:
                raise MalformedAnswerError(f"{self.driver.name}: the pages of {stream.split(':')[0]} repeat")
            seen.add(page.cursor)
            cursor = page.cursor

    @staticmethod
    def _keep(state: ConnectionState, done: dict[str, Any], stream: str, cursor: str | None) -> None:
        done[stream] = cursor or True
        ConnectionState.objects.filter(pk=state.pk).update(introduction=done)

    def _wait_for_slot(self) -> None:
        while True:
            if not self.time_left.may_start_call():
                raise Stop(WaitReason.NONE)
            if self.slots.ready(1):
                return
            seconds = self.slots.seconds_to_next()
            if seconds > 1 and not self.patient:
                raise Stop(WaitReason.RATE, "the documented rate is used up", seconds)
            time.sleep(min(seconds, 1.0))


def load_catalogue(connection: Connection) -> Catalogue:
    """The tags and custom fields of the mirror, as a plan asks for them."""
    tags, fields = reader.catalogue(connection)
    return Catalogue(
        tags={
            name: TagRecord(remote_id=tag.remote_id, name=tag.name, created_at=tag.remote_created_at)
            for name, tag in tags.items()
        },
        fields={
            key: CustomFieldRecord(remote_id=row.remote_id, key=row.field_key, label=row.label)
            for key, row in fields.items()
        },
    )
