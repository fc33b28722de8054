"""Advice for SQLite, where a worker's write can lock a visitor's out."""

from __future__ import annotations

from typing import Any

from django.core.checks import CheckMessage
from django.db import connections, router
from django.utils.translation import gettext

from mktg_integration.checks.messages import warning
from mktg_integration.models import OutboxRow

BUSY_SECONDS = 20
WAL = "PRAGMA journal_mode=WAL;"


def check_database(**_: Any) -> list[CheckMessage]:
    alias = router.db_for_write(OutboxRow)
    connection = connections[alias]
    if connection.vendor != "sqlite" or _in_memory(str(connection.settings_dict["NAME"])):
        return []
    options = connection.settings_dict["OPTIONS"]
    missing = []
    if options.get("transaction_mode") not in ("IMMEDIATE", "EXCLUSIVE"):
        missing.append('"transaction_mode": "IMMEDIATE"')
    if float(options.get("timeout", 5)) < BUSY_SECONDS:
        missing.append(f'"timeout": {BUSY_SECONDS}')
    if "wal" not in str(options.get("init_command", "")).lower():
        missing.append(f'"init_command": "{WAL}"')
    if not missing:
        return []
    return [
        warning(
            3,
            gettext(
                'DATABASES["{alias}"] is SQLite with defaults under which workers and visitors lock each other out.'
            ).format(alias=alias),
            gettext('Set in DATABASES["{alias}"]["OPTIONS"]: {missing}.').format(
                alias=alias, missing=", ".join(missing)
            ),
        )
    ]


def _in_memory(name: str) -> bool:
    return ":memory:" in name or "mode=memory" in name
