"""Text that is compared as it is written, on every database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

if TYPE_CHECKING:
    CharField = models.CharField[Any, str]
else:
    CharField = models.CharField


class KeyField(CharField):
    """Keys, remote ids and normalised addresses. MariaDB and MySQL would otherwise take ``VIP`` for ``vip`` and
    ``josé@`` for ``jose@``, and so one person's row for another's."""

    description = "Exact text"

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:
        told = super().db_parameters(connection)
        return {**told, "collation": "utf8mb4_bin"} if connection.vendor == "mysql" else told
