"""What belongs to a stream in the database: its table, the parents that it is read for, and what goes with its rows."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.mirror.rows import model_of
from mktg_integration.models import (
    Broadcast,
    BroadcastStats,
    Connection,
    Contact,
    Form,
    FormMember,
    Purchase,
    PurchaseItem,
    SequenceMember,
    Tag,
    Tagging,
)
from mktg_integration.models import (
    Sequence as SequenceModel,
)
from mktg_integration.models.mirror import Mirrored
from mktg_integration.providers.base import Provider, StreamSpec

PARENTS = 500
"""Parents that are looked up at once."""
STATS_SETTLE = timedelta(days=60)
"""After this time a broadcast's figures are read with the full readings alone."""

FOLLOWERS: dict[type[Mirrored], tuple[tuple[type[Mirrored], str], ...]] = {
    Contact: ((Tagging, "contact_id"), (FormMember, "contact_id"), (SequenceMember, "contact_id")),
    Tag: ((Tagging, "tag_id"),),
    Form: ((FormMember, "form_id"),),
    SequenceModel: ((SequenceMember, "sequence_id"),),
    Broadcast: ((BroadcastStats, "broadcast_id"),),
    Purchase: ((PurchaseItem, "purchase_id"),),
}
"""What is gone with a row that is gone, without having been seen missing."""


@dataclass(frozen=True)
class Stream:
    """One resource of one connection."""

    connection: Connection
    spec: StreamSpec
    parent: StreamSpec | None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def model(self) -> type[Mirrored]:
        return model_of(self.spec.record)

    def rows(self) -> QuerySet[Any]:
        """What the mirror has of it that is not gone."""
        return self.model._default_manager.filter(connection=self.connection, deleted_at=None)

    def parents(self, *, after: str, settled: bool) -> Iterator[str]:
        """Remote ids of what it is read for, in a fixed order, from ``after`` (a remote id) on. With ``settled`` also
        those of which nothing new is expected."""
        if self.parent is None:
            return
        model = model_of(self.parent.record)
        rows = model._default_manager.filter(connection=self.connection, deleted_at=None)
        if model is Broadcast and not settled:
            recent = timezone.now() - STATS_SETTLE
            rows = rows.filter(Q(stats=None) | Q(send_at__gte=recent) | Q(published_at__gte=recent))
        last = after
        while page := list(rows.filter(remote_id__gt=last).order_by("remote_id")[:PARENTS].values_list("remote_id")):
            for (remote_id,) in page:
                yield remote_id
            last = page[-1][0]


def streams_of(connection: Connection, driver: Provider[Any, Any], options: Any) -> list[Stream]:
    """All that can be read over this connection, parents first."""
    specs = driver.streams(options)
    by_name = {spec.name: spec for spec in specs}
    return [Stream(connection, spec, by_name.get(spec.parent)) for spec in specs]


def chosen(streams: Sequence[Stream], names: Collection[str], driver: Provider[Any, Any]) -> list[Stream]:
    """Those of these names (all without), in their order. Raises ``UnsupportedError`` that lists what there is."""
    known = [stream.name for stream in streams]
    unknown = sorted(set(names) - set(known))
    if not known:
        raise UnsupportedError(gettext("{service} has no lists to read").format(service=driver.label))
    if unknown:
        text = gettext("{service} has no resource {unknown} here; it has: {known}")
        told = text.format(service=driver.label, unknown=", ".join(unknown), known=", ".join(known))
        raise UnsupportedError(told)
    return [stream for stream in streams if not names or stream.name in names]
