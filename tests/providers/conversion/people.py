"""People as the plan's tests need them."""

from __future__ import annotations

from typing import Any

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Person, Snapshot
from mktg_integration.providers.conversion import ConversionOptions, Dialect
from mktg_integration.records import ContactRecord, ContactStatus

from .service import Kept

V2 = ConversionOptions()
V1 = ConversionOptions(dialect=Dialect.V1, batch_size=200)


def snapshot(email: str = "ann@example.com", consent: str = "granted", **more: Any) -> Snapshot:
    """What is wanted, or was sent: one field, unless told otherwise."""
    more.setdefault("values", {"first_name": "Ann"})
    more.setdefault("evidence", "e1" if consent != "unknown" else "")
    return Snapshot(email=email, consent=ConsentStatus(consent), **more)


def record(kept: Kept, status: ContactStatus = ContactStatus.UNREAD, **values: Any) -> ContactRecord:
    return ContactRecord(remote_id=kept.id, email=kept.email, status=status, values=values or dict(kept.fields))


def person(wanted: Snapshot | None = None, **more: Any) -> Person:
    more.setdefault("key", "user:1")
    more.setdefault("email", wanted.email if wanted is not None else "ann@example.com")
    return Person(wanted=wanted, **more)
