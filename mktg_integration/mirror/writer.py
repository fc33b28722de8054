"""What a provider told, written into the mirror's tables: a constant number of statements for each kind of record."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from django.db import router
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.mirror import confirmed, news, optouts
from mktg_integration.mirror.keys import remote_key
from mktg_integration.mirror.known import Before, read_before
from mktg_integration.mirror.rows import EMAIL_LENGTH, KINDS, SILENT, Context, Made, Row, make_rows, tagging_row
from mktg_integration.mirror.upsert import PAGE, Statement, upsert
from mktg_integration.mirror.upsert import prepare as prepare_upsert
from mktg_integration.models import Connection, Contact, Purchase, Tagging
from mktg_integration.models.mirror import Mirrored
from mktg_integration.records import ContactRecord, Record, TaggingRecord
from mktg_integration.signals import tag_added, tag_removed

logger = logging.getLogger("mktg_integration.mirror")


@dataclass
class Written:
    """How many rows were added, changed, left as they were, and refused because no column can hold them.

    Of a push only ``changed`` (all that was written) and ``refused`` are known: nothing is read before.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    refused: int = 0

    def __iadd__(self, other: Written) -> Written:
        self.added += other.added
        self.changed += other.changed
        self.unchanged += other.unchanged
        self.refused += other.refused
        return self


def write(
    connection: Connection,
    records: Sequence[Record],
    *,
    as_of: datetime,
    pushed: bool = False,
    owners: Mapping[str, str] | None = None,
    source: news.Source = "",
    unsubscribed_by_us: Collection[str] = (),
) -> Written:
    """Bring the mirror to what the provider told in ``records`` (any mix of kinds), true as of ``as_of`` (aware).

    An answer that is older than what a row was last told changes nothing. Without ``pushed`` the known rows are read
    first and unchanged ones skipped by their digest: two statements for each kind and ``upsert.PAGE`` records. Their
    ``seen_at`` stays as it was; the time through which a stream is confirmed is kept with its checkpoint, and what came
    in (``source`` ``"inbound"``) from before that time changes nothing either.
    With ``pushed`` (answers to our own calls) it is one statement for each kind, and one more where a contact turns
    out to have opted out; ``last_pushed_at`` is set.

    ``owners`` maps contacts' remote ids to subjects (``user:<pk>``, ``lead:<id>``). ``source`` says whence the news
    come that the public signals tell (``"pull"``, ``"inbound"``); with neither it nor ``pushed``, as when an account
    is read for the first time, no signal is sent. A contact that has newly opted out is recorded as an opt-out, unless
    its remote id is in ``unsubscribed_by_us``: that is no word of the person's. Raises ``DatabaseError``.
    """
    context = Context(connection, as_of, pushed, owners or {}, source or ("push" if pushed else ""))
    prepared = prepare(make_rows(context, records), unsubscribed_by_us=unsubscribed_by_us)
    prepared.record_optouts()
    for statement in prepared.statements:
        statement.run()
    prepared.tell()
    return prepared.written


@dataclass
class Prepared:
    """What ``write`` is going to do. All is read, compared and encoded, so that a transaction around it is short.

    In this order: ``record_optouts()``, then each of the ``statements``, then ``tell()``; opt-outs come first because
    once its contact is written nobody would notice that one is missing.
    """

    connection: Connection
    as_of: datetime
    written: Written = field(default_factory=Written)
    keys: dict[type[Mirrored], list[str]] = field(default_factory=dict)
    """Of all rows that were told of, unchanged ones too."""
    optouts: list[ContactRecord] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    news: list[Callable[[], None]] = field(default_factory=list)

    def record_optouts(self) -> None:
        if self.optouts:
            optouts.record_optouts(self.connection, self.optouts, as_of=self.as_of)

    def tell(self) -> None:
        """Have the public signals sent once this is committed."""
        for tell in self.news:
            tell()


def encode(made: Made, *, size: int, using: str) -> Made:
    """With the statements that write every row, over the connection ``using``: worth it where most are new.

    For any thread: it reads no table, and no router, which may know its own thread alone.
    """
    ready = {
        kind: list(_statements(kind, [row for _, row in told if row is not None], size, using))
        for kind, told in made.kinds.items()
    }
    return replace(made, ready=ready)


def prepare(made: Made, *, unsubscribed_by_us: Collection[str] = (), size: int = PAGE) -> Prepared:
    """``write`` from the rows to its first change; ``size`` is the most rows of one statement."""
    context = made.context
    prepared = Prepared(context.connection, context.as_of)
    for kind in (kind for kind in KINDS if kind in made.kinds):
        if kind is ContactRecord:
            _prepare_contacts(prepared, made, frozenset(unsubscribed_by_us), size)
        else:
            fresh, before = _prepare_kind(prepared, made, kind, size)
            added = [key for key in fresh if key not in before or before[key].gone]
            if context.source and not context.pushed:
                _note_news(prepared, context, KINDS[kind][0], added)
    if prepared.written.refused:
        logger.warning(
            "%s: %d records were refused: no column can hold them (an id or amount is missing or too long, or an "
            "address is longer than %d characters)",
            context.connection.name,
            prepared.written.refused,
            EMAIL_LENGTH,
        )
    return prepared


def _note_news(prepared: Prepared, context: Context, model: type[Mirrored], added: list[str]) -> None:
    if model is Tagging:
        prepared.news.append(partial(news.tags_changed, context.connection, added, context.source, tag_added))
    elif model is Purchase:
        prepared.news.append(partial(news.purchases_created, context.connection, added, context.source))


def untag(
    connection: Connection,
    pairs: Iterable[tuple[str, str]],
    *,
    as_of: datetime | None = None,
    source: news.Source = "",
) -> None:
    """These contacts have these tags no more, as of ``as_of`` (default now); pairs of remote ids (contact, tag).

    One statement for every ``upsert.PAGE`` pairs. The rows stay, marked as gone, so that an answer from before does not
    bring them back: whoever reads taggings asks for ``deleted_at=None``.
    """
    moment = as_of or timezone.now()
    context = Context(connection, moment, True, {}, source)
    rows = []
    for contact, tag in pairs:
        row = tagging_row(context, TaggingRecord(contact=contact, tag=tag))
        if row is not None:
            rows.append(row | {"deleted_at": moment})
    upsert(Tagging, rows, guard="seen_at", silent=SILENT[Tagging])
    if source:
        news.tags_changed(connection, [row["key"] for row in rows], source, tag_removed)


def mark_gone(connection: Connection, remote_ids: Collection[str], *, as_of: datetime | None = None) -> int:
    """These contacts are no longer at the service, as of ``as_of`` (default now). One statement; their number.

    A contact that was seen later than that is not touched.
    """
    moment = as_of or timezone.now()
    keys = sorted(remote_key(connection.pk, remote_id) for remote_id in remote_ids)
    there = Contact.objects.filter(pk__in=keys, deleted_at=None, seen_at__lte=moment)
    return sql.retrying(lambda: there.update(deleted_at=moment, seen_at=moment), using=router.db_for_write(Contact))


def _prepare_contacts(prepared: Prepared, made: Made, unsubscribed_by_us: frozenset[str], size: int) -> None:
    context = made.context
    by_key: dict[str, ContactRecord] = {
        row["key"]: record for record, row in made.kinds[ContactRecord] if row is not None
    }
    told = {key: record for key, record in by_key.items() if record.remote_id not in unsubscribed_by_us}
    before: dict[str, Before] = {}
    if context.pushed:
        # Few if any: only to tell an opt-out that is news from one that was known.
        before = read_before(
            Contact, [key for key, record in told.items() if record.status.opted_out], as_of=context.as_of
        )
    fresh, read = _prepare_kind(prepared, made, ContactRecord, size)
    before = before or read
    changed = {key: told[key] for key in fresh if key in told}
    prepared.optouts = [record for key, record in changed.items() if news.opted_out(before.get(key), record)]
    if context.source:
        prepared.news.append(partial(news.contacts_changed, context.connection, changed, before, context.source))


def _prepare_kind(prepared: Prepared, made: Made, kind: type[Record], size: int) -> tuple[list[str], dict[str, Before]]:
    """The keys that will be added or changed, and how the known rows were before."""
    context, (model, _) = made.context, KINDS[kind]
    rows = {row["key"]: row for _, row in made.kinds[kind] if row is not None}
    before = {} if context.pushed else read_before(model, list(rows), as_of=context.as_of)
    through = confirmed.through(context.connection, model) if context.source == "inbound" else None
    is_late = through is not None and context.as_of < through
    fresh = [key for key, row in rows.items() if not is_late and (key not in before or _is_news(before[key], row))]
    prepared.keys[model] = list(rows)
    if len(fresh) == len(rows) and kind in made.ready:
        prepared.statements += made.ready[kind]
    else:
        prepared.statements += _statements(kind, [rows[key] for key in fresh], size)
    refused = sum(row is None for _, row in made.kinds[kind])
    added = 0 if context.pushed else sum(key not in before for key in fresh)
    prepared.written += Written(added, len(fresh) - added, len(rows) - len(fresh), refused)
    return fresh, before


def _statements(kind: type[Record], rows: Sequence[Row], size: int, using: str = "") -> Iterable[Statement]:
    model = KINDS[kind][0]
    return prepare_upsert(model, rows, guard="seen_at", silent=SILENT.get(model, {}), size=size, using=using)


def _is_news(before: Before, row: Row) -> bool:
    return not before.is_later and (before.digest != row["digest"] or before.gone)
