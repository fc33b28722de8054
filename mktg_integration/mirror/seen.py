"""Rows that were told again just as they are: known from now on to be so."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from django.db import router

from mktg_integration import sql
from mktg_integration.models.mirror import Mirrored


def confirm(model: type[Mirrored], keys: Collection[str], *, as_of: datetime) -> None:
    """The writer leaves an unchanged row as it is, its time too; without its time a word from between the two tellings,
    which comes late, would be taken for news. One statement; call it after the write of the same rows."""
    alias = router.db_for_write(model)
    rows = model._default_manager.using(alias).filter(pk__in=list(keys), seen_at__lt=as_of, deleted_at=None)
    sql.retrying(lambda: rows.update(seen_at=as_of), using=alias)
