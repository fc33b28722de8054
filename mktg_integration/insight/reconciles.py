"""What reconciles have found, what became of a canary, and what waits for a confirmation. Makes no call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from django.utils.translation import gettext

from mktg_integration.insight import ids
from mktg_integration.insight.comparing import Compared, wanted_beside_known
from mktg_integration.insight.masking import masked
from mktg_integration.insight.noted import worded
from mktg_integration.insight.runs import WORDS
from mktg_integration.models import Connection, Contact, DeadKind, DeadRow, OutboxRow, Run, RunKind, SyncState

COUNTED: Final = 1000
"""What waits for a confirmation is counted no further."""
SHOWN: Final = 3
"""People of each kind whose fields are shown."""


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
