"""Runs: starting, confirming, cancelling and resuming them. The row is there at once; the work is a task's."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import router, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.translation import gettext as _

from mktg_integration import audit, background
from mktg_integration.audit import Actor
from mktg_integration.conf import settings
from mktg_integration.exceptions import NotNowError
from mktg_integration.models import AuditAction, Connection, ConnectionState, Run, RunKind, RunStatus
from mktg_integration.operations.deliveries import NOT_ENDED_BY_HAND
from mktg_integration.pull.streams import chosen, streams_of
from mktg_integration.running import OPEN, RunWriter, at_work, close_cut_off, is_stalled, reopen

TASKS = {
    RunKind.PUSH: "mktg_integration.tasks.push_run",
    RunKind.PULL: "mktg_integration.tasks.pull_on",
    RunKind.RECONCILE: "mktg_integration.tasks.reconcile_run",
}
PREVIEW_HOLDS = timedelta(days=1)
"""A preview that is older is no ground to send anything on."""


def start_push(actor: Actor, connection: Connection, everybody: bool = False) -> Run:
    """Send all that is due over a connection, after marking ``everybody`` as to be sent (a backfill).

    Staff have seen to what the connection waits for; only a service's rate and a copy's confirmation are waited for.
    Raises ``NotNowError`` while another push is at work, and where the connection sends nothing at present.
    """
    _must_send(connection)
    run = _start(actor, connection, RunKind.PUSH, {"everybody": everybody})
    _end_wait(connection)
    return run


def start_pull(
    actor: Actor,
    connection: Connection,
    resources: Collection[str] = (),
    full: bool = False,
    confirm_deletions: bool = False,
) -> Run:
    """Read these resources (none: all) into the mirror; see ``pull.engine.pull`` for the others.

    Raises ``UnsupportedError`` for resources that the provider does not have, ``ConfigurationError`` and
    ``DecryptionError`` where the connection cannot be opened, ``NotNowError`` while another pull is at work.
    """
    account = connection.account()
    connection.driver.check_credentials(account.credentials)
    chosen(streams_of(connection, connection.driver, connection.driver.options(account)), resources, connection.driver)
    asked = {"resources": sorted(resources), "full": full, "confirm_deletions": confirm_deletions}
    return _start(actor, connection, RunKind.PULL, asked)


def start_reconcile(actor: Actor, connection: Connection, preview: bool = True) -> Run:
    """Compare everybody with what was sent; a ``preview`` marks nobody, without it whoever differs is marked and sent.

    Raises ``ConfigurationError`` where the connection's options cannot be used, ``NotNowError`` while another
    reconcile is at work, and without a preview where the connection sends nothing at present.
    """
    connection.driver.options(connection.account())
    if not preview:
        _must_send(connection, dry_run=False)
    return _start(actor, connection, RunKind.RECONCILE, {"preview": preview}, is_preview=preview)


def confirm_reconcile(actor: Actor, preview: Run, limit: int | None = None) -> Run:
    """Have sent what a preview found: of ``limit`` people only (a canary), or of all that are left.

    Everybody is compared anew; where far more differ than the preview told, it stops. Over a dry-run connection it
    marks and sends nothing, and says so. Raises ``NotNowError`` where the run is no preview that has come to its end
    within a day, was discarded, or while another reconcile is at work. Raises ``ValueError`` for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise ValueError("a canary has at least one person")
    with _alone(preview.connection):
        _check_preview(preview)
        _must_send(preview.connection, dry_run=False)
        told = sum(int(preview.counts.get(name, 0)) for name in ("missing", "different", "withdrawn"))
        asked = {"preview": False, "of": preview.pk, "limit": limit, "told": told}
        run = _add(actor, preview.connection, RunKind.RECONCILE, asked)
        if limit is None:
            _close(preview, "confirmed")
    return _begin(run)


def discard_reconcile(actor: Actor, preview: Run) -> Run:
    """Let a preview be; nothing of it can be confirmed any more. Raises ``NotNowError`` where it is closed already."""
    with _alone(preview.connection):
        preview.refresh_from_db()
        if not preview.is_preview or preview.status in OPEN or preview.counts.get("closed"):
            raise NotNowError(_("There is nothing to discard."))
        _close(preview, "discarded")
    audit.record(actor, AuditAction.DISCARDED, connection=preview.connection, run=preview.pk)
    return preview


def cancel(actor: Actor, run: Run) -> Run:
    """End a run: at once where nobody is at work on it, else after the page or batch that is under way.

    Raises ``NotNowError`` where it has ended already.
    """
    run.refresh_from_db()
    if run.finished_at is not None or run.status not in OPEN:
        raise NotNowError(_("Run %(run)s has ended already.") % {"run": run.pk})
    Run.objects.filter(pk=run.pk).update(cancel_requested=True)
    audit.record(actor, AuditAction.RUN_CANCELLED, connection=run.connection, run=run.pk, kind=run.kind)
    run.cancel_requested = True
    # One that is at work sees the wish with its next progress.
    if run.status == RunStatus.WAITING or run.moved_at is None or is_stalled(run):
        RunWriter(run).end(RunStatus.CANCELLED)
        if run.kind == RunKind.PUSH:
            # Takes back whom it has marked.
            background.enqueue(TASKS[RunKind.PUSH], run.pk)
    run.refresh_from_db()
    return run


def resume(actor: Actor, run: Run) -> Run:
    """Go on with a run that failed, stalled, waits or was cancelled, where it was.

    Raises ``NotNowError`` where it is done, still at work, or another of its kind is.
    """
    run.refresh_from_db()
    if run.status == RunStatus.DONE or "asked" not in run.counts:
        raise NotNowError(_("Run %(run)s cannot be gone on with: start another one.") % {"run": run.pk})
    with _alone(run.connection):
        _check_idle(run.connection, RunKind(run.kind))
        if run.kind == RunKind.PUSH:
            _must_send(run.connection)
        if not reopen(run):
            raise NotNowError(_at_work(run))
    if run.kind == RunKind.PUSH:
        _end_wait(run.connection)
    audit.record(actor, AuditAction.RUN_RESUMED, connection=run.connection, run=run.pk, kind=run.kind)
    background.enqueue(TASKS[RunKind(run.kind)], run.pk)
    run.refresh_from_db()
    return run


def _start(
    actor: Actor, connection: Connection, kind: RunKind, asked: dict[str, Any], *, is_preview: bool = False
) -> Run:
    with _alone(connection):
        run = _add(actor, connection, kind, asked, is_preview=is_preview)
    return _begin(run)


def _add(
    actor: Actor, connection: Connection, kind: RunKind, asked: dict[str, Any], *, is_preview: bool = False
) -> Run:
    """The run's row; for whoever is ``_alone``."""
    if connection.undeclared:
        raise NotNowError(_("%(name)s is no longer declared in the settings.") % {"name": connection.name})
    _check_idle(connection, kind)
    close_cut_off(connection, kind)
    user = actor.user if actor.user is not None and actor.user.is_authenticated else None
    run = Run.objects.create(
        connection=connection,
        kind=kind,
        started_at=timezone.now(),
        counts={"asked": asked},
        is_preview=is_preview,
        requested_by=user,
    )
    audit.record(actor, AuditAction.RUN_STARTED, connection=connection, run=run.pk, kind=kind.value, asked=asked)
    return run


def _begin(run: Run) -> Run:
    """Have a task work on it; only once others can see the row."""
    background.enqueue(TASKS[RunKind(run.kind)], run.pk)
    run.refresh_from_db()
    return run


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """One transaction at a time for each connection: two people who start the same at once do not both find nobody at
    work."""
    with transaction.atomic(using=router.db_for_write(ConnectionState)):
        # A write that changes nothing: it locks the row where a database has such locks, and all else where it has not.
        ConnectionState.objects.filter(connection=connection).update(outages=F("outages"))
        yield


def _check_idle(connection: Connection, kind: RunKind) -> None:
    other = at_work(connection, kind)
    if other is not None:
        raise NotNowError(_at_work(other))


def _check_preview(preview: Run) -> None:
    """Raises ``NotNowError`` where nothing of it may be confirmed."""
    preview.refresh_from_db()
    if preview.kind != RunKind.RECONCILE or not preview.is_preview or preview.status != RunStatus.DONE:
        raise NotNowError(_("Run %(run)s is no preview that has come to its end.") % {"run": preview.pk})
    if preview.counts.get("closed"):
        raise NotNowError(_("This preview was already confirmed or discarded: make another one."))
    if preview.finished_at is None or preview.finished_at < timezone.now() - PREVIEW_HOLDS:
        raise NotNowError(_("This preview is older than a day: make another one."))


def _at_work(run: Run) -> str:
    return _("A %(kind)s of %(name)s is at work already: run %(run)s.") % {
        "kind": RunKind(run.kind).label,
        "name": run.connection.name,
        "run": run.pk,
    }


def _must_send(connection: Connection, *, dry_run: bool = True) -> None:
    """Raises ``NotNowError`` where nothing could be sent. ``dry_run``: also where only that keeps it back."""
    name = {"name": connection.name}
    if not settings.PUSH or not connection.push_enabled:
        raise NotNowError(_("Sending over %(name)s is switched off.") % name)
    if connection.paused:
        raise NotNowError(_("%(name)s is paused: resume it first.") % name)
    if dry_run and connection.dry_run:
        raise NotNowError(_("%(name)s is a dry run: nothing is sent. A preview shows what would be.") % name)


def _end_wait(connection: Connection) -> None:
    waiting = ConnectionState.objects.filter(connection=connection).exclude(wait_reason__in=NOT_ENDED_BY_HAND)
    waiting.exclude(wait_until=None).update(wait_until=None)


def _close(preview: Run, how: str) -> None:
    preview.counts = {**preview.counts, "closed": how}
    preview.save(update_fields=["counts"])
