"""One reading of one stream: where it begins, what it has written, and how it ends."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from mktg_integration.conf import settings
from mktg_integration.models import PullCheckpoint, PullPage, PullPhase
from mktg_integration.pull.streams import Stream

OVERLAP = timedelta(days=1)
"""Services filter by dates alone."""
STALE = timedelta(days=1)
"""A reading that was left for longer than this begins anew."""
HASH_BYTES = 8


@dataclass(frozen=True)
class Ask:
    """What asks for one page: of which parent (empty where the stream has none), after which cursor (None: first)."""

    parent: str = ""
    cursor: str | None = None

    def stream(self, name: str) -> str:
        """As ``Provider.read`` takes it."""
        return f"{name}:{self.parent}" if self.parent else name


@dataclass
class Reading:
    """An unfinished reading. ``pages`` is how many are written, ``last`` what the last of them was."""

    stream: Stream
    checkpoint: PullCheckpoint
    pages: int = 0
    last: PullPage | None = None

    @property
    def full(self) -> bool:
        return self.checkpoint.full

    @property
    def since(self) -> datetime | None:
        return self.checkpoint.since

    @property
    def is_first(self) -> bool:
        """Whether the stream was never read to its end before, so that nothing in it is news."""
        return self.checkpoint.full_at is None

    @property
    def before(self) -> datetime:
        """Rows last confirmed before then should be seen by this reading, if they are still there."""
        assert self.checkpoint.started_at is not None  # noqa: S101 (set with each reading)
        return self.checkpoint.started_at - lag(self.stream)

    def as_of(self, asked_at: datetime) -> datetime:
        """As of when an answer is true: a list is behind what was written."""
        return asked_at - lag(self.stream)

    def page_row(self, parent: str, cursor: str | None, keys: Iterable[str]) -> PullPage:
        """The row that says that the next page is written, to be committed with it."""
        return PullPage(
            key=f"{self.checkpoint.reading}:{self.pages + 1}",
            reading=self.checkpoint.reading,
            number=self.pages + 1,
            parent=parent,
            cursor=cursor or "",
            seen=b"".join(map(hashed, keys)) if self.full else b"",
        )

    def wrote(self, row: PullPage) -> None:
        self.last = row
        self.pages += 1

    def cursors(self, parent: str) -> set[str]:
        """All that have asked for a page of this parent, so that a list that goes in a circle is found out."""
        rows = PullPage.objects.filter(reading=self.checkpoint.reading, parent=parent).exclude(cursor="")
        return set(rows.values_list("cursor", flat=True))

    # How it ends

    def enter_sweep(self) -> None:
        """All pages of a full reading are written."""
        self._save(phase=PullPhase.SWEEPING)

    def finish(self, *, confirmed: bool) -> None:
        """It is complete. ``confirmed``: the table is now all that the service told, so rows not seen are gone."""
        through = self.before
        changes = {"phase": PullPhase.IDLE, "reading": "", "read_through": through, "finished_at": timezone.now()}
        if self.full:
            changes |= {"full_at": self.checkpoint.started_at}
        if self.full and confirmed:
            changes |= {"confirmed_through": through, "missing": 0}
        reading = self.checkpoint.reading
        self._save(**changes)
        PullPage.objects.filter(reading=reading).delete()

    def ask(self, missing: int) -> None:
        """Too many rows were not seen: what was read stays, and a person is asked."""
        self.finish(confirmed=False)
        self._save(missing=missing)

    def drop(self) -> None:
        """Begin anew the next time: its cursors lead nowhere."""
        reading = self.checkpoint.reading
        self._save(phase=PullPhase.IDLE, reading="")
        PullPage.objects.filter(reading=reading).delete()

    def _save(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.checkpoint, name, value)
        self.checkpoint.save(update_fields=list(changes))


def open_reading(stream: Stream, *, full: bool) -> Reading:
    """The unfinished reading of the stream, if there is one that will do, otherwise a new one: a full one where
    ``full`` says so, where the stream was never read in full, or where it cannot be asked for changes alone."""
    checkpoint, _ = PullCheckpoint.objects.get_or_create(
        key=f"{stream.connection.pk}:{stream.name}",
        defaults={"connection": stream.connection, "stream": stream.name, "table": str(stream.model._meta.model_name)},
    )
    if _will_do(checkpoint, full=full):
        last = PullPage.objects.filter(reading=checkpoint.reading).order_by("-number").first()
        return Reading(stream, checkpoint, pages=last.number if last else 0, last=last)
    if checkpoint.reading:
        PullPage.objects.filter(reading=checkpoint.reading).delete()
    checkpoint.phase = PullPhase.READING
    checkpoint.reading = secrets.token_hex(16)
    checkpoint.full = full or checkpoint.full_at is None or not _tells_changes(stream)
    checkpoint.started_at = timezone.now()
    checkpoint.since = None if checkpoint.full or not stream.spec.by_date else _since(checkpoint)
    checkpoint.save(update_fields=["phase", "reading", "full", "started_at", "since"])
    return Reading(stream, checkpoint)


def hashed(key: str) -> bytes:
    """Eight bytes in a key's place: of a billion rows one would be taken for another once in decades of pulls, and
    then one that is gone would stay until the next."""
    return hashlib.blake2b(key.encode(), digest_size=HASH_BYTES).digest()


def lag(stream: Stream) -> timedelta:
    """How far behind the stream's answers may be."""
    return timedelta(seconds=settings.LIST_LAG_SECONDS if stream.spec.lags else 0.0)


def _will_do(checkpoint: PullCheckpoint, *, full: bool) -> bool:
    if not checkpoint.reading or checkpoint.phase == PullPhase.IDLE or checkpoint.started_at is None:
        return False
    return checkpoint.started_at > timezone.now() - STALE and (checkpoint.full or not full)


def _tells_changes(stream: Stream) -> bool:
    return stream.spec.by_date or stream.spec.newest_first or stream.parent is not None


def _since(checkpoint: PullCheckpoint) -> datetime | None:
    return checkpoint.read_through - OVERLAP if checkpoint.read_through is not None else None
