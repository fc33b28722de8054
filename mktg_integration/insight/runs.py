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

from mktg_integration.insight.deliveries import remedy
from mktg_integration.insight.noted import worded
from mktg_integration.models import (
    Run,
    RunKind,
    RunStatus,
)
from mktg_integration.running import OPEN, done_of, is_stalled, stalled_after

ASKS: Final = "asking"

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
