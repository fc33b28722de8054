"""How connections are, told from the last real calls and the workers' heartbeat, never from what is configured.

Makes no call to a service, and a fixed number of statements however many connections and people there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models import OuterRef, Subquery
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.exceptions import MktgError
from mktg_integration.insight.counting import BOUND, bounded_counts
from mktg_integration.insight.noted import worded
from mktg_integration.insight.rate_use import RateUse, rate_uses
from mktg_integration.insight.refusals import PUSHES, Refused, refused
from mktg_integration.insight.remedies import remedy
from mktg_integration.insight.site import SiteHealth, site_health
from mktg_integration.models import (
    Connection,
    ConnectionState,
    DeadKind,
    DeadRow,
    Lane,
    OAuthToken,
    OutboxRow,
    PullCheckpoint,
    Run,
    RunKind,
    RunStatus,
    WaitReason,
)
from mktg_integration.moments import ago

__all__ = ["Health", "HealthState", "LastRun", "SiteHealth", "healths", "site_health"]

LATE_SECONDS = 900.0
"""Something that has been due for longer is late: the workers are too few, or stuck."""


class HealthState(models.TextChoices):
    """One word for people; ``Health.reason`` says more."""

    HEALTHY = "healthy", _("healthy")
    DEGRADED = "degraded", _("degraded")
    RECONNECT = "reconnect", _("reconnect needed")
    WAITING = "waiting", _("waiting")
    PAUSED = "paused", _("paused")
    OFF = "off", _("off")
    NEW = "new", _("new")


@dataclass(frozen=True, kw_only=True, slots=True)
class LastRun:
    """The newest pull or push. ``at`` is when it ended, or began where it goes on."""

    pk: int
    status: str
    at: datetime
    detail: str = ""

    @property
    def status_label(self) -> str:
        return str(RunStatus(self.status).label)


@dataclass(kw_only=True)
class Health:
    """One connection. ``outbox`` counts by lane (``urgent``, ``live``, ``backfill``) and ``dead`` by state, each up to
    ``bound``; ``oldest_seconds`` is how long the row has been due that has been due longest, None where none is."""

    connection_id: int
    name: str
    provider: str
    provider_label: str
    state: HealthState
    reason: str
    detail: str = ""
    """What the service or the site's code said, redacted."""
    wait_reason: str = ""
    """``WaitReason`` of a connection that waits; empty of one that does not."""
    todo: str = ""
    needs_person: bool = False
    dry_run: bool = False
    account: str = ""
    waits_until: datetime | None = None
    last_success_at: datetime | None = None
    last_failure_at: datetime | None = None
    last_pull: LastRun | None = None
    last_push: LastRun | None = None
    asks_about_deletions: bool = False
    """A pull missed so much that it marked nothing of it as gone."""
    token_expires_at: datetime | None = None
    rate: RateUse | None = None
    outbox: dict[str, int] = field(default_factory=dict)
    dead: dict[str, int] = field(default_factory=dict)
    bound: int = BOUND
    oldest_seconds: float | None = None

    @property
    def rate_used(self) -> float | None:
        """The share of the documented rate in use now, between 0 and 1; None where none is documented or known."""
        return self.rate.share if self.rate is not None else None

    @property
    def outbox_total(self) -> int:
        return sum(self.outbox.values())

    @property
    def is_outbox_bounded(self) -> bool:
        """Whether there may be more in the outbox than was counted."""
        return any(count >= self.bound for count in self.outbox.values())

    @property
    def dead_total(self) -> int:
        return sum(self.dead.values())

    @property
    def is_dead_bounded(self) -> bool:
        return any(count >= self.bound for count in self.dead.values())

    def as_dict(self) -> dict[str, Any]:
        """For JSON: plain values, times as they are."""
        told = asdict(self)
        told["state"] = self.state.value
        told["rate"] = self.rate._asdict() if self.rate is not None else None
        return {**told, "rate_used": self.rate_used}


def healths(connections: Sequence[Connection], site: SiteHealth | None = None) -> list[Health]:
    """The health of each, in the order given. ``site`` where it was asked for already."""
    if not connections:
        return []
    site = site or site_health()
    facts = _Facts(connections)
    return [_health(connection, facts, site) for connection in connections]


class _Facts:
    """All that the database has to say of these connections."""

    def __init__(self, connections: Sequence[Connection]) -> None:
        pks = [connection.pk for connection in connections]
        self.now = timezone.now()
        self.states = {state.pk: state for state in ConnectionState.objects.filter(pk__in=pks)}
        # Not the pair: a wrong key must break no page.
        self.tokens = {token.pk: token for token in OAuthToken.objects.filter(pk__in=pks).defer("pair")}
        self.rates = rate_uses(connections)
        asking = PullCheckpoint.objects.filter(connection__in=pks, missing__gt=0)
        self.asking = set(asking.values_list("connection_id", flat=True))
        self._read_newest(pks)
        self._count(pks)

    def _read_newest(self, pks: Sequence[int]) -> None:
        """The newest pull, the newest pushes and the row of each lane that has been due longest, each one look into
        its index."""
        runs = Run.objects.filter(connection=OuterRef("pk")).order_by("-started_at").values("pk")
        rows = OutboxRow.objects.filter(connection=OuterRef("pk")).order_by("due_at").values("due_at")
        wanted_runs = {f"last_{RunKind.PULL}": (RunKind.PULL, 0)}
        wanted_runs |= {f"last_{RunKind.PUSH}{n or ''}": (RunKind.PUSH, n) for n in range(PUSHES)}
        newest = {
            name: Subquery(runs.filter(kind=kind, is_preview=False)[n : n + 1])
            for name, (kind, n) in wanted_runs.items()
        }
        oldest = {f"due_{lane}": Subquery(rows.filter(lane=lane)[:1]) for lane in Lane.values}
        told = Connection.objects.filter(pk__in=pks).order_by().values("pk", **newest, **oldest)
        self.newest: dict[int, dict[str, Any]] = {row["pk"]: dict(row) for row in told}
        wanted = {row[name] for row in self.newest.values() for name in newest} - {None}
        self.runs = {run.pk: run for run in Run.objects.filter(pk__in=wanted).defer("examples")}

    def _count(self, pks: Sequence[int]) -> None:
        rows = {(pk, lane): OutboxRow.objects.filter(connection=pk, lane=lane) for pk in pks for lane in Lane}
        dead = {(pk, kind): DeadRow.objects.filter(connection=pk, state=kind) for pk in pks for kind in DeadKind}
        counts = bounded_counts([*rows.values(), *dead.values()])
        self.outbox = dict(zip(rows, counts[: len(rows)], strict=True))
        self.dead = dict(zip(dead, counts[len(rows) :], strict=True))

    def last_run(self, pk: int, kind: RunKind) -> LastRun | None:
        run_pk = self.newest.get(pk, {}).get(f"last_{kind}")
        if run_pk is None or run_pk not in self.runs:
            return None
        run = self.runs[run_pk]
        return LastRun(pk=run.pk, status=run.status, at=run.finished_at or run.started_at, detail=worded(run.detail))

    def refused(self, pk: int) -> Refused | None:
        """What the services did not take of what was last sent; None once staff have dealt with it."""
        if not self.dead[pk, DeadKind.REJECTED]:
            return None
        told = self.newest.get(pk, {})
        pks = [told.get(f"last_{RunKind.PUSH}{n or ''}") for n in range(PUSHES)]
        return refused([self.runs[run] for run in pks if run in self.runs], self.now)

    def oldest_seconds(self, pk: int) -> float | None:
        times = [self.newest.get(pk, {}).get(f"due_{lane}") for lane in Lane.values]
        ages = [(self.now - at).total_seconds() for at in times if at is not None]
        return max((age for age in ages if age > 0), default=None)


def _health(connection: Connection, facts: _Facts, site: SiteHealth) -> Health:
    pk = connection.pk
    state = facts.states.get(pk)
    token = facts.tokens.get(pk)
    health = Health(
        connection_id=pk,
        name=connection.name,
        provider=connection.provider,
        provider_label=_label(connection),
        state=HealthState.NEW,
        reason="",
        dry_run=connection.dry_run,
        account=connection.account_label,
        last_success_at=state.last_success_at if state is not None else None,
        last_failure_at=state.last_failure_at if state is not None else None,
        last_pull=facts.last_run(pk, RunKind.PULL),
        last_push=facts.last_run(pk, RunKind.PUSH),
        asks_about_deletions=pk in facts.asking,
        token_expires_at=token.expires_at if token is not None and token.disconnected_at is None else None,
        rate=facts.rates.get(pk),
        outbox={lane.name.lower(): facts.outbox[pk, lane] for lane in Lane},
        dead={kind.value: facts.dead[pk, kind] for kind in DeadKind if facts.dead[pk, kind]},
        oldest_seconds=facts.oldest_seconds(pk),
    )
    rejected = facts.refused(pk)
    told = (
        _switched_off(connection, token)
        or _reconnect(state, token, health)
        or _waiting(state, facts.now, health)
        or _new(health, rejected)
        or _degraded(health, state, facts.now, site)
        or _refused(health, rejected)
        or _asking(health)
        or _healthy(health)
    )
    health.state, health.reason, health.todo = told
    health.needs_person = health.state is HealthState.RECONNECT or (
        health.state is HealthState.WAITING and state is not None and state.wait_reason in _TODO
    )
    return health


Told = tuple[HealthState, str, str]
"""The word, why it is so, and what to do (empty where nothing is)."""


def _label(connection: Connection) -> str:
    try:
        return connection.driver.label
    except MktgError:
        return connection.provider


def _switched_off(connection: Connection, token: OAuthToken | None) -> Told | None:
    if token is not None and token.disconnected_at is not None and not connection.push_enabled:
        return HealthState.OFF, gettext("The account was disconnected."), gettext("Connect it again to go on.")
    if connection.undeclared:
        text = gettext("The settings no longer declare this connection.")
        return HealthState.OFF, text, gettext("Put it back into the settings, or delete it.")
    if not connection.push_enabled:
        text = gettext("Changes of users are not marked for this connection.")
        return HealthState.OFF, text, gettext("Switch on “push enabled” to send.")
    if connection.paused:
        text = gettext("Staff paused it: changes are kept, and nothing is sent.")
        return HealthState.PAUSED, text, gettext("Resume it to send what is kept.")
    if connection.dry_run:
        text = gettext("It is in dry run: changes are kept, what would be sent can be previewed, and nothing is sent.")
        return HealthState.PAUSED, text, gettext("Preview it with a reconcile; end the dry run to send.")
    return None


def _reconnect(state: ConnectionState | None, token: OAuthToken | None, health: Health) -> Told | None:
    refused = token is not None and token.refused_at is not None
    if not refused and (state is None or state.wait_reason != WaitReason.RECONNECT):
        return None
    text = gettext("The service no longer takes the credentials. What is to be sent is kept.")
    health.wait_reason = WaitReason.RECONNECT.value
    if state is not None and state.wait_reason == WaitReason.RECONNECT:
        health.detail = worded(state.wait_detail)
    return HealthState.RECONNECT, text, gettext("Connect the account again, or enter new credentials.")


# Waits that last until a person has done something.
_TODO = {
    WaitReason.FORBIDDEN: _("Look at the account's plan and at what its credentials may do, then push now."),
    WaitReason.REJECTIONS: _("Look at the rejected rows, mend the cause, then replay them."),
    WaitReason.CONFIGURATION: _("Correct what is named here, then push now."),
    WaitReason.COPY: _("If this site is the one that writes to the account, confirm it; otherwise leave it as it is."),
}
_WHY = {
    WaitReason.FORBIDDEN: _("The service says that the account may not do this."),
    WaitReason.REJECTIONS: _("The service refused many rows in a row for the same reason, so sending has stopped."),
    WaitReason.CONFIGURATION: _("Something is configured wrong, so sending has stopped."),
    WaitReason.COPY: _("This database is bound to another site, so this one neither sends nor refreshes tokens."),
    WaitReason.RATE: _("The service's rate is used up; sending goes on by itself."),
    WaitReason.OUTAGE: _("The service does not answer; it is tried again by itself."),
}


def _waiting(state: ConnectionState | None, now: datetime, health: Health) -> Told | None:
    if state is None or not state.wait_reason:
        return None
    reason = WaitReason(state.wait_reason)
    if reason not in _TODO and (state.wait_until is None or state.wait_until <= now):
        return None
    health.waits_until = state.wait_until if state.wait_until is not None and state.wait_until > now else None
    health.wait_reason, health.detail = reason.value, worded(state.wait_detail)
    return HealthState.WAITING, str(_WHY.get(reason, reason.label)), str(_TODO.get(reason, ""))


def _new(health: Health, rejected: Refused | None) -> Told | None:
    if rejected is not None or _last_good(health) is not None or _last_bad(health) is not None:
        return None
    return HealthState.NEW, gettext("The service has not been called yet."), gettext("Test it, or start a pull.")


def _degraded(health: Health, state: ConnectionState | None, now: datetime, site: SiteHealth) -> Told | None:
    good, bad = _last_good(health), _last_bad(health)
    if bad is not None and (good is None or bad > good):
        text = gettext("The last call failed: %(when)s.") % {"when": ago(bad, now)}
        told = health.last_pull.detail if _failed(health.last_pull) and health.last_pull is not None else ""
        health.detail = told or (worded(state.wait_detail) if state is not None else "")
        return HealthState.DEGRADED, text, gettext("Test the connection.")
    if _failed(health.last_pull) and health.last_pull is not None:
        health.detail = health.last_pull.detail
        text = gettext("The last pull failed.")
        return HealthState.DEGRADED, text, gettext("Look at the run, then start the pull again.")
    if not site.works:
        return HealthState.DEGRADED, gettext("No worker is running, so nothing is sent or read."), ""
    if health.token_expires_at is not None and health.token_expires_at <= now:
        text = gettext("The token ran out %(time)s ago and was not refreshed.")
        when = {"time": timesince(health.token_expires_at, now)}
        return HealthState.DEGRADED, text % when, gettext("Test the connection; connect it again where that fails.")
    if (health.oldest_seconds or 0.0) > LATE_SECONDS:
        text = gettext("Something has been due for longer than it should be.")
        return HealthState.DEGRADED, text, gettext("Push now, or start more workers.")
    if health.dead.get(DeadKind.HELD) or health.dead.get(DeadKind.NEEDS_PERSON):
        text = gettext("Some rows wait for a person.")
        return HealthState.DEGRADED, text, gettext("Look at the rows that could not be sent.")
    return None


def _refused(health: Health, found: Refused | None) -> Told | None:
    if found is None:
        return None
    if found.nothing_taken:
        text = ngettext(
            "Nothing of the last push was taken: %(count)s row was rejected.",
            "Nothing of the last push was taken: %(count)s rows were rejected.",
            found.count,
        )
    else:
        text = ngettext(
            "Of what was sent lately, %(count)s row was rejected for one reason.",
            "Of what was sent lately, %(count)s rows were rejected for one reason.",
            found.count,
        )
    health.detail = found.code
    todo = remedy(health.provider, found.code, None) if found.code else str(_TODO[WaitReason.REJECTIONS])
    return HealthState.DEGRADED, text % {"count": found.count}, str(todo)


def _asking(health: Health) -> Told | None:
    if not health.asks_about_deletions:
        return None
    text = gettext("The last full pull missed so much that nothing of it was marked as deleted.")
    return (
        HealthState.DEGRADED,
        text,
        gettext("Look at the run of the pull, and confirm the deletions if they are real."),
    )


def _healthy(health: Health) -> Told:
    good = _last_good(health)
    when = ago(good) if good is not None else ""
    return HealthState.HEALTHY, gettext("The last call went well: %(when)s.") % {"when": when}, ""


def _failed(run: LastRun | None) -> bool:
    return run is not None and run.status == RunStatus.FAILED


def _last_good(health: Health) -> datetime | None:
    """When a call last went well: one that sent, or one that read."""
    pull = health.last_pull
    # Who asks has read all that there is to read.
    good = (RunStatus.DONE, RunStatus.WAITING) if health.asks_about_deletions else (RunStatus.DONE,)
    times = [health.last_success_at, pull.at if pull is not None and pull.status in good else None]
    return max((time for time in times if time is not None), default=None)


def _last_bad(health: Health) -> datetime | None:
    pull = health.last_pull
    times = [health.last_failure_at, pull.at if pull is not None and _failed(pull) else None]
    return max((time for time in times if time is not None), default=None)
