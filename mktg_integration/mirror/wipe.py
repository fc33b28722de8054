"""Deletes what the mirror has of one connection, in short transactions."""

from __future__ import annotations

from typing import Any

from django.apps import apps

from mktg_integration.models import Connection, ConnectionState, PullCheckpoint, SyncState
from mktg_integration.models.mirror import Mirrored

BATCH = 1000


def wipe(connection: Connection) -> int:
    """Delete all that the service told of its account, and what was last sent there. The number of rows.

    Opt-outs stay: they are the people's word.
    """
    models = [model for model in apps.get_app_config("mktg_integration").get_models() if issubclass(model, Mirrored)]
    deleted = 0
    tables: list[Any] = [*models, SyncState]
    for model in tables:
        rows = model._default_manager.filter(connection=connection).order_by("pk")
        while keys := list(rows.values_list("pk", flat=True)[:BATCH]):
            deleted += model._default_manager.filter(pk__in=keys).delete()[0]
    # What was read before counts as read no more.
    PullCheckpoint.objects.filter(connection=connection).delete()
    ConnectionState.objects.filter(connection=connection).update(introduced_at=None, introduction={})
    return deleted
