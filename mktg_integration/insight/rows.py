"""One person's rows in the outbox and among the rejected ones, found by the table's key."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Q, QuerySet

from mktg_integration.models import Connection, Kind
from mktg_integration.models.outbox import OutboxBase

R = TypeVar("R", bound=OutboxBase)


def rows_of(model: type[R], connection: Connection, subject: str) -> QuerySet[R]:
    """The person's rows at this connection, without payloads. No index has the subject, the key begins with it."""
    found = Q(pk=f"{connection.pk}:{Kind.PROFILE.value}:{subject}")
    for kind in set(Kind) - {Kind.PROFILE, Kind.TAG}:
        found |= _begins(f"{connection.pk}:{kind.value}:{subject}:")
    return model._default_manager.filter(found, subject=subject).defer("payload")


def _begins(prefix: str) -> Q:
    """A range of the key's index: keys are in the order of their characters on every database."""
    return Q(pk__gte=prefix, pk__lt=f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}")
