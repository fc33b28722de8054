"""Opt-outs: the addresses that no push may subscribe, known by a keyed hash.

One is recorded when a service tells that a contact unsubscribed, bounced or complained, or when the site says so. Only
an explicit ``subscribe()`` lifts it; that leaves a row too, so that an answer from before does not bring it back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from django.db import connections, router
from django.db.models import Case, F, Q, Value, When
from django.utils import timezone

from mktg_integration import sql
from mktg_integration.conf import settings
from mktg_integration.encryption import address_hash
from mktg_integration.mirror.upsert import upsert
from mktg_integration.models import Connection, OptOut, OptOutKind
from mktg_integration.profile import normal_email
from mktg_integration.records import ContactRecord, ContactStatus

EVERYWHERE: Final = "*"
SITE: Final = "site"
LIFTED: Final = "lifted"
"""The kind of a row that says: no opt-out since then."""

_KINDS = {
    ContactStatus.UNSUBSCRIBED: OptOutKind.UNSUBSCRIBED,
    ContactStatus.BOUNCED: OptOutKind.BOUNCED,
    ContactStatus.COMPLAINED: OptOutKind.COMPLAINED,
}


def email_key(address: str) -> str:
    """The form in which the tables compare addresses."""
    return normal_email(address)


def record_optouts(connection: Connection, records: Iterable[ContactRecord], *, as_of: datetime) -> None:
    """Remember the contacts among these that opted out, as of ``as_of`` (aware), in the scope of ``UNSUBSCRIBE_SCOPE``.

    An answer older than the last ``subscribe()`` of an address does not count. One statement, two
    where some of them were known (MySQL does not tell: there always).
    """
    scope = EVERYWHERE if settings.UNSUBSCRIBE_SCOPE == "everywhere" else str(connection.pk)
    told = {
        address_hash(record.email): _KINDS[record.status]
        for record in records
        if record.status in _KINDS and record.email.strip()
    }
    if told:
        _opt_out(told, scope, connection.name, as_of)


def opt_out(address: str, *, kind: OptOutKind, source: str = SITE, scope: int | None = None) -> None:
    """The site says that this address is not to be mailed: by one connection (its id), or by any (None)."""
    opt_out_hash(address_hash(address), kind=kind, source=source, scope=scope)


def opt_out_hash(hashed: str, *, kind: OptOutKind, source: str = SITE, scope: int | None = None) -> None:
    """The same of an address that is known by its keyed hash alone."""
    _opt_out({hashed: kind}, EVERYWHERE if scope is None else str(scope), source, timezone.now())


def lift(address: str, *, scope: int | None = None) -> None:
    """An explicit ``subscribe()``: no opt-out up to now counts any more, for one connection (its id) or all (None)."""
    hashed, moment = address_hash(address), timezone.now()
    name = EVERYWHERE if scope is None else str(scope)
    row = OptOut(key=f"{name}:{hashed}", address_hash=hashed, scope=name, kind=LIFTED, source=SITE, at=moment)
    unique = ["key"] if connections[_alias()].features.supports_update_conflicts_with_target else None
    sql.retrying(
        lambda: OptOut.objects.using(_alias()).bulk_create(
            [row], update_conflicts=True, update_fields=["kind", "source", "at"], unique_fields=unique
        ),
        using=_alias(),
    )
    if scope is None:
        others = OptOut.objects.using(_alias()).filter(address_hash=hashed).exclude(pk=row.key)
        sql.retrying(lambda: others.update(kind=LIFTED, source=SITE, at=moment), using=_alias())


def optouts_for(addresses: Iterable[str], connection_id: int) -> dict[str, OptOut]:
    """Those of these addresses that must not be subscribed over this connection, by ``normal_email``. One statement."""
    by_hash = {address_hash(address): normal_email(address) for address in addresses if address.strip()}
    if not by_hash:
        return {}
    keys = [f"{scope}:{hashed}" for hashed in by_hash for scope in (EVERYWHERE, connection_id)]
    last: dict[str, OptOut] = {}
    for row in OptOut.objects.using(_alias()).filter(pk__in=keys):
        found = last.get(row.address_hash)
        if found is None or (row.at, row.kind != LIFTED) > (found.at, found.kind != LIFTED):
            last[row.address_hash] = row
    return {by_hash[hashed]: row for hashed, row in last.items() if row.kind != LIFTED}


def _alias() -> str:
    return router.db_for_write(OptOut)


def _opt_out(kinds: Mapping[str, OptOutKind], scope: str, source: str, at: datetime) -> None:
    """Of several reasons the first is kept, except that a forgotten address stays forgotten."""
    told_of = {"scope": scope, "source": source, "at": at}
    rows = [
        {"key": f"{scope}:{hashed}", "address_hash": hashed, "kind": kind, **told_of} for hashed, kind in kinds.items()
    ]
    inserted = upsert(OptOut, rows, keep=True)
    if inserted == len(rows) and connections[_alias()].vendor != "mysql":
        return
    keys = {kind: [row["key"] for row in rows if row["kind"] == kind] for kind in set(kinds.values())}
    forgotten = keys.get(OptOutKind.FORGOTTEN)
    by_kind = [When(pk__in=of_kind, then=Value(kind)) for kind, of_kind in keys.items()]
    replaced = Q(kind=LIFTED) | Q(pk__in=forgotten) if forgotten else Q(kind=LIFTED)
    # The source before the kind that decides over it: MySQL assigns from left to right.
    there = OptOut.objects.using(_alias()).filter(pk__in=[row["key"] for row in rows], at__lt=at)
    sql.retrying(
        lambda: there.update(
            source=Case(When(replaced, then=Value(source[:64])), default=F("source")),
            kind=Case(When(replaced, then=Case(*by_kind, default=F("kind"))), default=F("kind")),
            at=at,
        ),
        using=_alias(),
    )
