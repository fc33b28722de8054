"""Reads what an account holds into the mirror: stream after stream, page after page, resumable after each.

One pull at a time for each connection, under a lease. Pages are fetched in a thread of their own; tables are read
and written in the thread that pulls, and no transaction spans a call.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from dataclasses import asdict, dataclass, field
from typing import Any

from mktg_integration import background
from mktg_integration.conf import settings
from mktg_integration.exceptions import Action, ConfigurationError, CopyError, MktgError, ServiceError
from mktg_integration.http import Unlimited
from mktg_integration.models import (
    Connection,
    ConnectionState,
    PullCheckpoint,
    PullPhase,
    Run,
    RunKind,
    RunStatus,
    WaitReason,
)
from mktg_integration.models.leases import RowLease
from mktg_integration.pull import paces
from mktg_integration.pull.fetch import Fetcher, Paused
from mktg_integration.pull.interpreter import set_for_pages
from mktg_integration.pull.lease import take_lease
from mktg_integration.pull.linking import Linking
from mktg_integration.pull.pace import pace_for
from mktg_integration.pull.progress import OnProgress, Progress, last_unfinished, new_run
from mktg_integration.pull.reading import open_reading
from mktg_integration.pull.stream import ParentVanishedError, StreamPull, Tools
from mktg_integration.pull.streams import Stream, chosen, streams_of
from mktg_integration.pull.sweep import TooManyMissing
from mktg_integration.running import Cancelled, RunWriter, TakenOver, reopen
from mktg_integration.tokens import credentials_work, held_tokens, needs_reconnect

logger = logging.getLogger("mktg_integration.pull")

TASK = "mktg_integration.tasks.pull_on"


@dataclass
class PullReport:
    """What one pull did. ``status`` is a ``RunStatus``, ``busy`` (another pull is at it) or ``nothing`` (to resume).

    ``streams`` has the counts of each resource; ``next_in`` the seconds until it goes on, None where it has ended.
    """

    status: str
    run_id: int | None = None
    streams: dict[str, dict[str, Any]] = field(default_factory=dict)
    detail: str = ""
    next_in: float | None = None


def pull(
    connection_id: int,
    *,
    resources: Collection[str] = (),
    full: bool = False,
    confirm_deletions: bool = False,
    resume: bool = False,
    run_id: int | None = None,
    seconds: float | None = None,
    patient: bool = False,
    on_progress: OnProgress | None = None,
) -> PullReport:
    """Read these resources (all without any) over one connection.

    ``full``: everything and not what has changed; what was not seen is then gone. ``confirm_deletions``: even if it is
    more than ``MASS_SHARE`` of a table; without ``full`` or resources, only of the streams that asked. ``resume``: go
    on with the last run if it did not come to its end, and read nothing else. An unfinished reading of a stream is
    gone on with in any case. ``run_id``: the run of which this is another part.

    It takes at most ``seconds`` (default: until it is done) and then goes on in another task, unless ``patient``: then
    a person watches, and the service's waits are waited for here. Raises nothing for what the service does wrong: that
    is told by the run. Raises ``UnsupportedError`` for resources that the provider does not have,
    ``ConfigurationError`` and ``DecryptionError`` where the connection cannot be opened.
    """
    connection = Connection.objects.select_related("state").get(pk=connection_id)
    driver, account = connection.driver, connection.account()
    driver.check_credentials(account.credentials)
    streams = streams_of(connection, driver, driver.options(account))
    chosen(streams, resources, driver)
    lease = take_lease(connection_id)
    if lease is None:
        return PullReport("busy", detail="another pull of this connection is at work")
    try:
        run = _run(connection, run_id, resources, full=full, confirm_deletions=confirm_deletions, resume=resume)
        if run is None:
            return PullReport("nothing", detail="the last pull came to its end: there is nothing to resume")
        run.connection = connection
        if not RunWriter(run).begin():
            return PullReport("nothing", run.pk, detail="the run has ended, or another task goes on with it")
        work = _Pull(connection, lease, run, streams, seconds=seconds, patient=patient, on_progress=on_progress)
        with set_for_pages():
            report = work.work()
    finally:
        lease.release()
    if report.next_in is not None and not patient:
        background.enqueue(TASK, run.pk, delay=report.next_in)
    return report


def _run(
    connection: Connection,
    run_id: int | None,
    resources: Collection[str],
    *,
    full: bool,
    confirm_deletions: bool,
    resume: bool,
) -> Run | None:
    if run_id is None and not resume:
        return new_run(connection, resources=sorted(resources), full=full, confirm_deletions=confirm_deletions)
    if run_id is not None:
        return Run.objects.filter(pk=run_id, connection=connection, kind=RunKind.PULL).first()
    run = last_unfinished(connection)
    if run is None or not reopen(run):
        return None
    if confirm_deletions:
        run.counts["asked"]["confirm_deletions"] = True
    return run


class _Pull:
    def __init__(
        self,
        connection: Connection,
        lease: RowLease,
        run: Run,
        streams: list[Stream],
        *,
        seconds: float | None,
        patient: bool,
        on_progress: OnProgress | None,
    ) -> None:
        self.connection = connection
        self.lease = lease
        self.progress = Progress(run, on_progress)
        self.asked = run.counts["asked"]
        self.streams = streams
        self.patient = patient
        self.failures: list[str] = []
        self.ends_at = None if seconds is None else time.monotonic() + seconds

    def work(self) -> PullReport:
        try:
            status, detail, next_in = self._read_all()
        except Cancelled:
            status, detail, next_in = RunStatus.CANCELLED, "", None
        except TakenOver:
            return PullReport("nothing", self.progress.run.pk, detail="another task goes on with this run")
        except BaseException:
            cut_off = "was cut off by an error; the next pull goes on after its pages"
            self.progress.end(RunStatus.FAILED, cut_off, goes_on=False)
            raise
        self.progress.end(status, detail, goes_on=next_in is not None)
        told = {name: asdict(counts) for name, counts in self.progress.streams.items()}
        self._log(status, detail)
        return PullReport(status, self.progress.run.pk, told, detail, next_in)

    def _read_all(self) -> tuple[RunStatus, str, float | None]:
        driver, account = self.connection.driver, self.connection.account()
        pace, limiter = pace_for(self.connection, account, driver)
        try:
            # Refreshed now where it is about to run out: the thread that fetches cannot.
            tokens = held_tokens(self.connection, driver, account)
        except MktgError as error:
            return RunStatus.FAILED, str(error), None
        client = driver.client(account, limiter=limiter or Unlimited(), tokens=tokens)
        fetcher = Fetcher(driver, client, pace, may_go_on=self._may_go_on, patient=self.patient, tokens=tokens)
        tools = Tools.of(fetcher)
        try:
            for stream in self._wanted():
                if not self.progress.is_done(stream.name) and not self._read(stream, tools):
                    break
        except Paused as pause:
            if self.progress.is_cancelled:
                raise Cancelled from None
            if not pause.detail and not self.lease.hold():
                return RunStatus.FAILED, "it was held up for so long that another pull took its place", None
            if not pause.detail:
                return RunStatus.RUNNING, "goes on in the next task", 0.0
            return RunStatus.WAITING, pause.detail, pause.seconds
        except TooManyMissing as asks:
            return RunStatus.WAITING, str(asks), None
        finally:
            fetcher.close()
        if self.failures:
            return RunStatus.FAILED, "; ".join(self.failures), None
        if self.progress.streams:
            credentials_work(self.connection)
        return RunStatus.DONE, "", None

    def _may_go_on(self) -> bool:
        in_time = self.ends_at is None or time.monotonic() < self.ends_at
        return in_time and self.progress.is_wanted() and self.lease.hold()

    def _wanted(self) -> list[Stream]:
        """The chosen streams, each after the parent that it needs and does not have yet."""
        driver = self.connection.driver
        names = set(self.asked["resources"])
        if self.asked["confirm_deletions"] and not names and not self.asked["full"]:
            asking = PullCheckpoint.objects.filter(connection=self.connection, missing__gt=0)
            names = set(asking.values_list("stream", flat=True))
            if not names:
                return []
        wanted = chosen(self.streams, names, driver)
        known = PullCheckpoint.objects.filter(connection=self.connection).exclude(finished_at=None)
        read = set(known.values_list("stream", flat=True))
        parents = {stream.parent.name for stream in wanted if stream.parent is not None} - read
        return [stream for stream in self.streams if stream in wanted or stream.name in parents]

    def _read(self, stream: Stream, tools: Tools) -> bool:
        """Read one stream. Whether the others are worth trying."""
        confirmed = self.asked["confirm_deletions"]
        reading = open_reading(stream, full=self.asked["full"] or confirmed or paces.due_in_full(stream))
        counts = self.progress.begin(stream.name, full=reading.full, pages=reading.pages)
        linking = Linking(self.connection, tools.breath)
        work = StreamPull(reading, tools, counts, linking, lambda: self.progress.moved(stream.name))
        try:
            if reading.checkpoint.phase == PullPhase.READING:
                work.read()
            work.end(confirmed=confirmed)
        except TooManyMissing as asks:
            counts.state, counts.detail = "asking", str(asks)
            logger.warning("%s needs attention: %s", self.connection.name, asks)
            raise
        except ServiceError as error:
            self._failed(stream, counts, error)
            if error.action is Action.RECONNECT:
                self._say_refused(error)
            return error.action not in (Action.RETRY, Action.RECONNECT, Action.WAIT)
        except MktgError as error:
            self._failed(stream, counts, error)
            if isinstance(error, ParentVanishedError) and error.parent in self.progress.streams:
                self.progress.streams[error.parent].state = "outdated"
            # What keeps the token from being refreshed keeps the others from being read.
            return not isinstance(error, ConfigurationError | CopyError)
        counts.state = "done"
        return True

    def _failed(self, stream: Stream, counts: Any, error: MktgError) -> None:
        counts.state, counts.detail = "failed", str(error)
        self.failures.append(f"{stream.name}: {error}")
        self.progress.writer.failed(stream.name, error)
        logger.error("%s: %s: %s", self.connection.name, stream.name, error)

    def _say_refused(self, error: ServiceError) -> None:
        """Once: whoever refreshes tokens, or a drain, may have said it before."""
        waits = ConnectionState.objects.filter(connection=self.connection, wait_reason=WaitReason.RECONNECT)
        if not waits.exists():
            needs_reconnect(self.connection, str(error))

    def _log(self, status: RunStatus, detail: str) -> None:
        counts = self.progress.run.counts
        logger.info(
            "%s: pull %s: %d pages, %d added, %d changed, %d unchanged, %d removed, %d rejected%s",
            self.connection.name,
            status,
            *(counts[name] for name in ("pages", "added", "changed", "unchanged", "removed", "rejected")),
            f": {detail}" if detail else "",
        )


def pull_seconds() -> float:
    """How long one task may pull: within what the task engine allows, as a drain."""
    return settings.DRAIN_SECONDS
