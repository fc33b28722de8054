"""How a run stands, in numbers and in words: for its page, the API and the commands. Makes no call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.insight import ids
from mktg_integration.insight.comparing import Compared, wanted_beside_known
from mktg_integration.insight.deliveries import remedy
from mktg_integration.insight.masking import masked
from mktg_integration.insight.noted import worded
from mktg_integration.models import (
    Connection,
    Contact,
    DeadKind,
    DeadRow,
    OutboxRow,
    Run,
    RunKind,
    RunStatus,
    SyncState,
)
from mktg_integration.running import OPEN, done_of, is_stalled, stalled_after

ASKS: Final = "asking"
COUNTED: Final = 1000
"""What waits for a confirmation is counted no further."""
SHOWN: Final = 3
"""People of each kind whose fields are shown."""

WORDS: Final[Mapping[RunKind, Mapping[str, Promise]]] = {
    RunKind.PULL: {
        "added": _("added"),
        "changed": _("changed"),
        "unchanged": _("unchanged"),
        "removed": _("removed"),
        "rejected": _("rejected"),
        "pages": _("pages"),
    },
    RunKind.PUSH: {
        "marked": _("marked"),
        "sent": _("sent"),
        "done": _("sent"),
        "rejected": _("rejected"),
        "postponed": _("postponed"),
        "held": _("waiting for confirmation"),
        "left": _("left"),
        "calls": _("calls"),
    },
    RunKind.RECONCILE: {
        "people": _("people compared"),
        "in_step": _("in step"),
        "missing": _("missing: wanted and never sent"),
        "different": _("different: wanted otherwise than sent"),
        "withdrawn": _("withdrawn: sent once and wanted no more"),
        "marked": _("marked to be sent"),
        "extra": _("extra: contacts at the service that are nobody's here"),
        "drift": _("changed at the service alone: left as it is"),
        "waiting": _("marked already"),
        "rejected": _("rejected before: replay them"),
        "refused": _("refused: the mapping fails, or an address is somebody else's"),
    },
}
STATES: Final[Mapping[str, Promise]] = {
    "queued": _("waits for a worker"),
    "running": _("running"),
    "cancelling": _("is being cancelled"),
    "stalled": _("failed: no sign of life"),
    "waiting": _("waiting"),
    "done": _("done"),
    "failed": _("failed"),
    "cancelled": _("cancelled"),
}
STREAM_STATES: Final[Mapping[str, Promise]] = {
    "reading": _("reading"),
    "done": _("done"),
    "failed": _("failed"),
    ASKS: _("asks whether rows are gone"),
    "outdated": _("is read again"),
}


@dataclass(frozen=True, kw_only=True)
class Count:
    name: str
    label: str
    count: int


@dataclass(frozen=True, kw_only=True)
class StreamStanding:
    """One resource of a pull."""

    name: str
    state: str
    label: str
    rows: int
    expected: int | None
    """As many as the last full reading saw."""
    counts: dict[str, int]
    detail: str


@dataclass(frozen=True, kw_only=True)
class RunError:
    """One of the first errors of a run, and what can be done about it."""

    about: str
    code: str
    reason: str
    status: int | None
    request_id: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class RunStanding:
    """How a run stands. ``state`` is a key of ``STATES``; ``share`` of its work that is done, 0 to 100."""

    run_id: int
    state: str
    label: str
    stage: str
    detail: str
    is_over: bool
    may_cancel: bool
    may_resume: bool
    asks_about_deletions: bool
    done: int
    total: int | None
    share: int | None
    per_second: float | None
    seconds_left: int | None
    counts: list[Count]
    streams: list[StreamStanding]
    moved_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def standing(run: Run) -> RunStanding:
    """How a run stands now. At most one statement, for a pull: what the last one saw."""
    now = timezone.now()
    state = state_of(run, now=now)
    streams = list(_streams(run))
    done, total = done_of(run), _total(run, streams)
    share = None if not total else min(100, int(100 * done / total))
    if state == "done":
        share = 100
    per_second = _speed(run, done, now)
    left = None
    if state == "running" and total and per_second:
        left = max(round((total - done) / per_second), 0)
    return RunStanding(
        run_id=run.pk,
        state=state,
        label=str(STATES[state]),
        stage=_stage(run, state),
        detail=_detail(run, state),
        is_over=state not in ("queued", "running", "cancelling"),
        may_cancel=run.status in OPEN and run.finished_at is None and not run.cancel_requested,
        may_resume=state in ("stalled", "failed", "cancelled", "waiting") and "asked" in run.counts,
        asks_about_deletions=any(stream.state == ASKS for stream in streams),
        done=done,
        total=total,
        share=share,
        per_second=per_second,
        seconds_left=left,
        counts=list(_counts(run)),
        streams=streams,
        moved_at=run.moved_at,
    )


def state_of(run: Run, *, now: datetime | None = None) -> str:
    """A key of ``STATES``: what is shown of a run's status. A run whose process died looks failed."""
    if run.status != RunStatus.RUNNING:
        return str(run.status)
    if is_stalled(run, now=now):
        return "stalled"
    if run.cancel_requested:
        return "cancelling"
    return "queued" if run.moved_at is None else "running"


def in_short(run: Run) -> str:
    """Its counts in one line, without those that are 0."""
    return ", ".join(f"{count.label.split(':')[0]}: {count.count}" for count in _counts(run) if count.count)


def errors(run: Run) -> list[RunError]:
    """The first errors of a run, with what a person can do about each."""
    provider = run.connection.provider
    return [
        RunError(
            about=str(error.get("about", "")),
            code=str(error.get("code", "")),
            reason=worded(str(error.get("reason", ""))),
            status=error.get("status"),
            request_id=str(error.get("request_id", "")),
            remedy=str(remedy(provider, str(error.get("code", "")), error.get("status"))),
        )
        for error in run.errors
    ]


# What a reconcile has found


@dataclass(frozen=True, kw_only=True)
class Example:
    """Somebody whom a reconcile found, or a contact that is nobody's here."""

    subject: str
    contact_key: str = ""
    address: str = ""
    fields: tuple[Compared, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One kind of difference: how many people, and some of them."""

    kind: str
    label: str
    count: int
    examples: list[Example]


def findings(run: Run, *, personal: bool) -> list[Finding]:
    """What a reconcile has found, kind by kind, with the fields of some people as they are now.

    Without ``personal`` addresses and values are masked. The statements are bounded: ``SHOWN`` people of each kind.
    """
    words = WORDS[RunKind.RECONCILE]
    found = []
    for kind in ("missing", "different", "withdrawn", "extra", "drift", "rejected", "refused"):
        count = int(run.counts.get(kind, 0))
        names = [str(name) for name in run.examples.get(kind, ())]
        examples = _strangers(names, personal=personal) if kind == "extra" else []
        if kind != "extra":
            shown = SHOWN if kind in ("missing", "different", "withdrawn", "drift") else 0
            examples = [_example(run.connection, name, personal=personal) for name in names[:shown]]
            examples += [Example(subject=name) for name in names[shown:]]
        found.append(Finding(kind=kind, label=str(words[kind]), count=count, examples=examples))
    return found


def _example(connection: Connection, subject: str, *, personal: bool) -> Example:
    rows = wanted_beside_known(subject, connection)
    fields = [row for row in rows if row.standing != "same" and (row.wanted, row.sent, row.known) != (None, None, None)]
    return Example(subject=subject, fields=tuple(row if personal else _masked(row) for row in fields))


def _masked(row: Compared) -> Compared:
    if not row.personal:
        return row
    shown = {name: masked(getattr(row, name)) for name in ("wanted", "sent", "known", "push")}
    return Compared(name=row.name, standing=row.standing, personal=True, **shown)


def _strangers(keys: list[str], *, personal: bool) -> list[Example]:
    contacts = Contact.objects.filter(pk__in=keys).only("key", "email").order_by("key")
    return [
        Example(subject="", contact_key=ids.shown(row.key), address=row.email if personal else str(masked(row.email)))
        for row in contacts
    ]


@dataclass(frozen=True, kw_only=True)
class Whereabouts:
    """What became of one person of a canary. ``state``: sent, waiting, rejected or gone."""

    subject: str
    state: str
    label: str
    reason: str = ""


def canaries(run: Run) -> list[Whereabouts]:
    """What became of the people whom a canary marked. Three statements."""
    subjects = [str(name) for name in run.examples.get("marked", ())]
    keys = [f"{run.connection_id}:profile:{subject}" for subject in subjects]
    waiting = set(OutboxRow.objects.filter(pk__in=keys).values_list("subject", flat=True)) if keys else set()
    dead = dict(DeadRow.objects.filter(pk__in=keys).values_list("subject", "reason")) if keys else {}
    states = SyncState.objects.filter(pk__in=[f"{run.connection_id}:{subject}" for subject in subjects])
    sent = dict(states.values_list("subject", "sent_at")) if keys else {}
    told = []
    for subject in subjects:
        if subject in waiting:
            state, label = "waiting", gettext("waits to be sent")
        elif subject in dead:
            state, label = "rejected", gettext("rejected")
        elif (at := sent.get(subject)) is not None and at >= run.started_at:
            state, label = "sent", gettext("sent")
        else:
            state, label = "gone", gettext("nothing had to be sent")
        told.append(Whereabouts(subject=subject, state=state, label=label, reason=worded(dead.get(subject, ""))))
    return told


@dataclass(frozen=True, kw_only=True)
class Overview:
    """Of one connection: its last preview and its last reconcile, and what waits for a person's confirmation."""

    connection: Connection
    preview: Run | None
    last: Run | None
    held: int
    more_held: bool


def overview() -> Iterator[Overview]:
    """Every connection's reconciles. Three statements for each connection, each by an index."""
    for connection in Connection.objects.filter(undeclared=False).defer("credentials").order_by("name"):
        recent = list(
            Run.objects.filter(connection=connection, kind=RunKind.RECONCILE).order_by("-started_at", "-pk")[:50]
        )
        held = held_rows(connection)
        yield Overview(
            connection=connection,
            preview=next((run for run in recent if run.is_preview), None),
            last=next((run for run in recent if not run.is_preview), None),
            held=min(held, COUNTED),
            more_held=held > COUNTED,
        )


def held_rows(connection: Connection) -> int:
    """Unsubscribes and erasures that wait for a confirmation, counted to one more than ``COUNTED``."""
    return DeadRow.objects.filter(connection=connection, state=DeadKind.HELD).order_by()[: COUNTED + 1].count()


# The parts of a standing


def _counts(run: Run) -> Iterator[Count]:
    for name, label in WORDS[RunKind(run.kind)].items():
        if isinstance(run.counts.get(name), int):
            yield Count(name=name, label=str(label), count=run.counts[name])


def _streams(run: Run) -> Iterator[StreamStanding]:
    told: Mapping[str, Mapping[str, Any]] = run.counts.get("streams", {})
    expected = _seen_before(run) if told and run.finished_at is None else {}
    for name, counts in told.items():
        numbers = {key: int(counts.get(key, 0)) for key in WORDS[RunKind.PULL]}
        state = str(counts.get("state", ""))
        yield StreamStanding(
            name=name,
            state=state,
            label=str(STREAM_STATES.get(state, state)),
            rows=_rows(counts),
            expected=expected.get(name) if counts.get("full") else None,
            counts=numbers,
            detail=worded(str(counts.get("detail", ""))),
        )


def _rows(counts: Mapping[str, Any]) -> int:
    return sum(int(counts.get(name, 0)) for name in ("added", "changed", "unchanged", "rejected"))


def _seen_before(run: Run) -> dict[str, int]:
    """Rows that the last full reading of each resource saw."""
    before = Run.objects.filter(connection=run.connection_id, kind=RunKind.PULL, status=RunStatus.DONE)
    seen: dict[str, int] = {}
    for counts in before.order_by("-started_at").values_list("counts", flat=True)[:20]:
        for name, told in counts.get("streams", {}).items():
            if told.get("full") and name not in seen:
                seen[name] = _rows(told)
    return seen


def _total(run: Run, streams: list[StreamStanding]) -> int | None:
    if run.kind != RunKind.PULL or run.total is not None:
        return run.total
    if not streams or any(stream.expected is None for stream in streams):
        return None
    return sum(max(stream.expected or 0, stream.rows) for stream in streams)


def _speed(run: Run, done: int, now: datetime) -> float | None:
    """Per second, since it was begun or resumed."""
    since = parse_datetime(str(run.counts.get("since", ""))) or run.started_at
    until = run.finished_at or (run.moved_at if run.status != RunStatus.RUNNING else now) or now
    seconds = (until - since).total_seconds()
    moved = done - int(run.counts.get("since_done", 0))
    return round(moved / seconds, 1) if seconds > 0 and moved > 0 else None


def _stage(run: Run, state: str) -> str:
    if state != "running" or run.kind != RunKind.PUSH:
        return ""
    return {"marking": gettext("marking people"), "sending": gettext("sending")}.get(run.counts.get("stage", ""), "")


def _detail(run: Run, state: str) -> str:
    if state == "stalled":
        seconds = int(stalled_after().total_seconds())
        return gettext(
            "Nothing was heard of it for more than %(seconds)d seconds: its process died, or no worker is running. "
            "Resume it, and it goes on where it was."
        ) % {"seconds": seconds}
    if state == "queued":
        return gettext("It begins as soon as a worker is free. If it does not, no worker may be running.")
    return worded(run.detail)
