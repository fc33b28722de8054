"""What the databases say differently: their clock, and the failures after which a statement may be repeated.

Times that are compared with each other (leases, due times, wake-ups) are written and compared by the database's own
clock alone, so that machines need not agree on the time.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from typing import TypeVar

from django.db import Error, connections
from django.db.backends.base.base import BaseDatabaseWrapper

from mktg_integration.exceptions import ConfigurationError

T = TypeVar("T")

_NOW = {
    "postgresql": "STATEMENT_TIMESTAMP()",
    # Django never sets the session's time zone on MySQL, so CURRENT_TIMESTAMP may not be UTC.
    "mysql": "UTC_TIMESTAMP(6)",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW')",
}
_LATER = {
    "postgresql": "(STATEMENT_TIMESTAMP() + ({seconds}) * INTERVAL '1 second')",
    "mysql": "(UTC_TIMESTAMP(6) + INTERVAL ROUND(1000000 * ({seconds})) MICROSECOND)",
    "sqlite": "STRFTIME('%%Y-%%m-%%d %%H:%%M:%%f', 'NOW', ROUND({seconds}, 3) || ' seconds')",
}

# PostgreSQL and psycopg: serialization failure, deadlock, lock not available.
_REPEATABLE_STATES = frozenset({"40001", "40P01", "55P03"})
# MySQL and MariaDB: lock wait timeout, deadlock, record changed since it was read.
_REPEATABLE_NUMBERS = frozenset({1205, 1213, 1020})
_REPEATABLE_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})

TRIES = 6
FIRST_PAUSE_SECONDS = 0.01


def vendor(connection: BaseDatabaseWrapper) -> str:
    """``sqlite``, ``postgresql`` or ``mysql`` (MariaDB too). Raises ``ConfigurationError`` for another database."""
    if connection.vendor not in _NOW:
        raise ConfigurationError(
            f"DATABASES[{connection.alias!r}]: the outbox and the mirror need SQLite, PostgreSQL, MariaDB or MySQL, "
            f"not {connection.display_name}; route them to such a database"
        )
    return connection.vendor


def now(connection: BaseDatabaseWrapper) -> str:
    """The SQL of the database's present time, as it stands in a statement with parameters."""
    return _NOW[vendor(connection)]


def later(connection: BaseDatabaseWrapper, seconds: str) -> str:
    """The SQL of ``seconds`` (SQL too, e.g. ``%s``; may be negative) from the database's present time."""
    return _LATER[vendor(connection)].format(seconds=seconds)


def for_update(connection: BaseDatabaseWrapper) -> str:
    """The end of a SELECT that locks its rows and passes over those that are locked; nothing on SQLite, which locks as
    a whole, and plain locking on a database that cannot pass over."""
    if not connection.features.has_select_for_update:
        return ""
    return connection.ops.for_update_sql(skip_locked=connection.features.has_select_for_update_skip_locked)


def repeatable(error: BaseException) -> bool:
    """Whether the database gave way to another transaction, so that the same statement may go through now."""
    cause = error.__cause__ if isinstance(error, Error) else error
    if isinstance(cause, sqlite3.OperationalError):
        return (getattr(cause, "sqlite_errorcode", 0) & 0xFF) in _REPEATABLE_SQLITE
    if getattr(cause, "sqlstate", None) in _REPEATABLE_STATES:
        return True
    arguments: tuple[object, ...] = getattr(cause, "args", ())
    return bool(arguments) and arguments[0] in _REPEATABLE_NUMBERS


def retrying(work: Callable[[], T], *, using: str) -> T:
    """What ``work()`` returns, repeated a few times with growing pauses where the database gave way.

    Inside a transaction it is called once: only the whole transaction could be repeated.
    """
    for attempt in range(TRIES):
        try:
            return work()
        except Error as error:
            if attempt == TRIES - 1 or connections[using].in_atomic_block or not repeatable(error):
                raise
        time.sleep(FIRST_PAUSE_SECONDS * 2**attempt * (0.5 + random.random()))
    raise AssertionError("unreachable")
