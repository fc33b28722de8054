"""Rows that are gone stay as tombstones, so that an older answer cannot bring them back. What is here keeps them out of
plain queries: joins from contacts, tags, forms and sequences pass over memberships that are gone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models.fields.reverse_related import ManyToOneRel
from django.db.models.lookups import IsNull

if TYPE_CHECKING:
    ForeignKey = models.ForeignKey[Any, Any]
else:
    ForeignKey = models.ForeignKey


def _is_live(model: type[models.Model], alias: str) -> Any:
    deleted_at: Any = model._meta.get_field("deleted_at")
    return IsNull(deleted_at.get_col(alias), True)


class _LiveRel(ManyToOneRel):
    def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
        return _is_live(self.field.model, alias)


class LiveForeignKey(ForeignKey):
    """A foreign key of a table with ``deleted_at``. A join from the other side, also one through a many-to-many
    relation, finds only rows that are not gone; from a row itself its target is found in any case."""

    rel_class = _LiveRel

    def get_extra_restriction(self, alias: Any, related_alias: Any) -> Any:
        # Without an alias the join was turned round, as ``exclude()`` does it: the row's own table leads.
        return _is_live(self.model, related_alias) if alias is None else None

    def deconstruct(self) -> Any:
        # The column is a plain foreign key's, and so is what migrations say of it.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.ForeignKey", args, kwargs
