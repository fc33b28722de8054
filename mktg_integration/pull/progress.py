"""A pull's run, as staff see it while it goes on and when it has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from django.utils import timezone

from mktg_integration.mirror.writer import Written
from mktg_integration.models import Connection, Run, RunKind, RunStatus
from mktg_integration.running import Cancelled, RunWriter, close_cut_off


@dataclass
class StreamCounts:
    """What became of one stream. ``state``: reading, done, failed, asking. ``resumed_at``: the page it went on with."""

    state: str = "reading"
    full: bool = False
    pages: int = 0
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    removed: int = 0
    rejected: int = 0
    resumed_at: int = 0
    detail: str = ""

    def count(self, written: Written) -> None:
        self.pages += 1
        self.added += written.added
        self.changed += written.changed
        self.unchanged += written.unchanged
        self.rejected += written.refused

    @property
    def rows(self) -> int:
        """How many rows were read."""
        return self.added + self.changed + self.unchanged + self.rejected


TOTALS = ("pages", "added", "changed", "unchanged", "removed", "rejected")

OnProgress = Callable[[str, StreamCounts], None]


class Progress:
    """Writes a pull's ``Run``: at most once a second while it goes on, and in the end."""

    def __init__(self, run: Run, on_progress: OnProgress | None) -> None:
        self.run = run
        self.writer = RunWriter(run)
        self.streams = {name: StreamCounts(**told) for name, told in run.counts.get("streams", {}).items()}
        self.is_cancelled = False
        self._on_progress = on_progress

    def is_done(self, stream: str) -> bool:
        """Whether an earlier part of this run has finished the stream."""
        return stream in self.streams and self.streams[stream].state == "done"

    def begin(self, stream: str, *, full: bool, pages: int) -> StreamCounts:
        counts = self.streams.setdefault(stream, StreamCounts())
        counts.state, counts.full, counts.detail = "reading", full, ""
        counts.resumed_at = pages + 1 if pages else 0
        return counts

    def moved(self, stream: str) -> None:
        """A page was written. Raises ``Cancelled`` and ``TakenOver``."""
        if self._on_progress is not None:
            self._on_progress(stream, self.streams[stream])
        if self.is_cancelled:
            raise Cancelled
        if self.writer.is_due:
            self.writer.moved(self.counts())

    def is_wanted(self) -> bool:
        """Whether nobody has cancelled it, as far as was looked: for where it waits. Raises ``TakenOver``."""
        if self.writer.is_due and not self.is_cancelled:
            try:
                self.writer.moved(self.counts())
            except Cancelled:
                self.is_cancelled = True
        return not self.is_cancelled

    def end(self, status: RunStatus, detail: str, *, goes_on: bool) -> None:
        """The end of the run, or of this part of it where it goes on later."""
        if goes_on:
            self.writer.pause(status, detail, counts=self.counts())
        else:
            self.writer.end(status, detail, counts=self.counts())

    def counts(self) -> dict[str, Any]:
        told = {name: sum(getattr(counts, name) for counts in self.streams.values()) for name in TOTALS}
        streams = {name: asdict(counts) for name, counts in self.streams.items()}
        return {**self.run.counts, **told, "streams": streams}


def new_run(connection: Connection, *, resources: Sequence[str], full: bool, confirm_deletions: bool) -> Run:
    """A run of these resources (none: all). Runs that were cut off are told to have failed."""
    close_cut_off(connection, RunKind.PULL, "was cut off; the next pull goes on after its pages")
    asked = {"resources": list(resources), "full": full, "confirm_deletions": confirm_deletions}
    return Run.objects.create(
        connection=connection, kind=RunKind.PULL, started_at=timezone.now(), counts={"asked": asked}
    )


def last_unfinished(connection: Connection) -> Run | None:
    """The last pull, unless it came to its end."""
    run = Run.objects.filter(connection=connection, kind=RunKind.PULL).order_by("-started_at", "-pk").first()
    return None if run is None or run.status == RunStatus.DONE else run
