"""Text that is compared as it is written, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    CharField = models.CharField[Any, str]
else:
    CharField = models.CharField


_COLLATIONS = {"mysql": "utf8mb4_bin", "postgresql": "C"}


class KeyField(CharField):
    """Keys, remote ids and normalised addresses.

    MariaDB and MySQL would otherwise take ``VIP`` for ``vip`` and ``josé@`` for ``jose@``, and so one person's row for
    another's. PostgreSQL needs no second index to find what begins with a text, and Django makes none, as the type is
    written in full.
    """

    description = "Exact text"

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        told = super().db_parameters(connection)
        if connection.vendor not in _COLLATIONS:
            return told
        return {**told, "collation": _COLLATIONS[connection.vendor]}

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        given = super().db_type(connection)
        if given is None or connection.vendor != "postgresql":
            return given
        return given.replace("varchar", "character varying")
