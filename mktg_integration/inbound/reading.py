"""What a batch of deliveries tells, put in the order of its time and boiled down to what the mirror has to learn."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mktg_integration.exceptions import MalformedAnswerError, UnsupportedError
from mktg_integration.inbound.addresses import SIGNED
from mktg_integration.models import InboxKind, InboxRow
from mktg_integration.providers.webhooks import Notice, Webhooks
from mktg_integration.records import ContactRecord


@dataclass(frozen=True, slots=True)
class Told:
    """One notice, as of ``at``, by the delivery ``row``. ``is_fact``: signed, so it may be believed as it is."""

    row: str
    at: datetime
    notice: Notice
    is_fact: bool


@dataclass
class Lesson:
    """What a batch teaches. Contacts, tags and purchases are remote ids; rows are keys of the inbox."""

    facts: list[tuple[datetime, ContactRecord]] = field(default_factory=list)
    """The last that was told of each contact, and before it its last opt-out; the oldest first."""
    taggings: dict[tuple[str, str], Told] = field(default_factory=dict)
    """The last that was told of each contact's tag."""
    hints: dict[str, Told] = field(default_factory=dict)
    """Contacts of which something is said that has to be read."""
    opt_outs: dict[str, Told] = field(default_factory=dict)
    """Hints that somebody opted out, which are believed at once."""
    reads_tags: set[str] = field(default_factory=set)
    purchases: set[str] = field(default_factory=set)
    rows: dict[str, set[str]] = field(default_factory=dict)
    """Contacts to the rows that tell of them."""
    needed_by: dict[str, set[str]] = field(default_factory=dict)
    """``contact:<id>``, ``tags:<id>``, ``purchase:<id>`` to the rows that are done once it is read."""

    def need(self, what: str, row: str) -> None:
        self.needed_by.setdefault(what, set()).add(row)


def read_rows(rows: Iterable[InboxRow], webhooks: Webhooks[object]) -> tuple[list[Told], dict[str, str]]:
    """The notices in the order of their time, and why rows (by key) cannot be understood."""
    told: list[Told] = []
    unreadable: dict[str, str] = {}
    for row in rows:
        try:
            notices = _notices(row, webhooks)
        except (MalformedAnswerError, UnsupportedError) as error:
            unreadable[row.key] = str(error)
            continue
        is_fact = row.kind == InboxKind.SIGNED
        # What is dated later than it came has a wrong clock; it must not outdo what comes afterwards.
        told += [Told(row.key, min(n.at or row.received_at, row.received_at), n, is_fact) for n in notices]
    # Of two things of one second the opt-out counts as the later one.
    told.sort(key=lambda one: (one.at, one.notice.opt_out is not None))
    return told, unreadable


def body_of(row: InboxRow) -> object:
    """The parsed JSON that came. Raises ``MalformedAnswerError``."""
    raw = str(row.body.get("raw", ""))
    try:
        return json.loads(raw.encode("utf-8", "surrogateescape"), parse_constant=_no_constant)
    except ValueError:
        raise MalformedAnswerError("the body is no JSON") from None
    except RecursionError:
        raise MalformedAnswerError("the body is nested too deeply") from None


def _no_constant(name: str) -> object:
    """``NaN`` and ``Infinity`` are Python's and no JSON; a database would refuse them later."""
    raise ValueError(name)


def _notices(row: InboxRow, webhooks: Webhooks[object]) -> list[Notice]:
    body = body_of(row)
    if row.kind == InboxKind.CALLBACK:
        return webhooks.read_callback(body)
    event = SIGNED if row.kind == InboxKind.SIGNED else row.event
    notices = webhooks.read(event, row.parameter, body, signed=row.kind == InboxKind.SIGNED)
    for notice in notices:
        _check_times(notice)
    return notices


def _check_times(notice: Notice) -> None:
    """PostgreSQL stores a time that Python's calendar does not reach, and no query can read it from then on."""
    try:
        for moment in (notice.at, notice.record.created_at if notice.record is not None else None):
            if moment is not None:
                moment.astimezone(UTC)
    except OverflowError:
        raise MalformedAnswerError("a time is out of range") from None


def learn(told: Iterable[Told]) -> Lesson:
    """Fold the notices, which come in the order of their time."""
    lesson = Lesson()
    last: dict[str, Told] = {}
    last_opt_out: dict[str, Told] = {}
    for one in told:
        notice = one.notice
        if notice.purchase:
            lesson.purchases.add(notice.purchase)
            lesson.need(f"purchase:{notice.purchase}", one.row)
        if not notice.contact:
            continue
        lesson.rows.setdefault(notice.contact, set()).add(one.row)
        if one.is_fact and notice.record is not None:
            before = last.get(notice.contact)
            if before is not None and before.at == one.at and _status(before) != _status(one):
                # Nobody knows which of the two came first.
                _reread(lesson, one)
            last[notice.contact] = one
            if notice.opt_out is not None:
                last_opt_out[notice.contact] = one
        else:
            _reread(lesson, one)
            if notice.opt_out is not None:
                lesson.opt_outs[notice.contact] = one
        _learn_tag(lesson, one)
    for contact, one in last.items():
        opt_out = last_opt_out.get(contact)
        if opt_out is not None and opt_out is not one:
            lesson.facts.append((opt_out.at, fact(opt_out)))
        lesson.facts.append((one.at, fact(one)))
    lesson.facts.sort(key=lambda item: item[0])
    return lesson


def _learn_tag(lesson: Lesson, one: Told) -> None:
    notice = one.notice
    if notice.reads_tags or (notice.tag and not one.is_fact):
        lesson.reads_tags.add(notice.contact)
        lesson.need(f"tags:{notice.contact}", one.row)
    if not notice.tag:
        return
    pair = (notice.contact, notice.tag)
    before = lesson.taggings.get(pair)
    if one.is_fact and before is not None and before.at == one.at and before.notice.has_tag != notice.has_tag:
        lesson.reads_tags.add(notice.contact)
        lesson.need(f"tags:{notice.contact}", one.row)
    lesson.taggings[pair] = one


def _reread(lesson: Lesson, one: Told) -> None:
    lesson.hints[one.notice.contact] = one
    lesson.need(f"contact:{one.notice.contact}", one.row)


def _status(one: Told) -> object:
    return one.notice.record.status if one.notice.record is not None else None


def fact(one: Told) -> ContactRecord:
    """The contact as told. An event that is an opt-out is one, whatever the body's own status says."""
    record = one.notice.record
    assert record is not None  # noqa: S101 (the callers ask for those alone that have one)
    if one.notice.opt_out is None or record.status.opted_out:
        return record
    return replace(record, status=one.notice.opt_out)


def by_time(facts: Iterable[tuple[datetime, ContactRecord]]) -> Mapping[datetime, list[ContactRecord]]:
    """Grouped by time, the oldest first; of one contact and time the last."""
    groups: dict[datetime, dict[str, ContactRecord]] = {}
    for at, record in facts:
        groups.setdefault(at, {})[record.remote_id] = record
    return {at: list(records.values()) for at, records in sorted(groups.items())}
