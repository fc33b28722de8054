"""Counts that read no further than a bound, many of them in one statement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import QuerySet

BOUND = 1000
"""What a page counts up to; beyond it says "1000+"."""
PARTS = 100
"""Databases limit how many parts a statement may have (SQLite: 500)."""


def bounded_counts(rows: Sequence[QuerySet[Any]], bound: int = BOUND) -> list[int]:
    """How many rows each queryset has, ``bound`` at most. One statement for every hundred of them.

    All have to be of one database. Each reads at most ``bound`` entries of the index that its filter uses.
    """
    counts = [0] * len(rows)
    for start in range(0, len(rows), PARTS):
        parts: list[str] = []
        params: list[Any] = []
        for number, queryset in enumerate(rows[start : start + PARTS], start):
            limited, values = queryset.order_by().values("pk")[:bound].query.sql_with_params()
            # The literal and the derived table's name are numbers of our own; all else is a parameter.
            parts.append(f"SELECT {number:d}, COUNT(*) FROM ({limited}) counted_{number:d}")  # noqa: S608
            params += values
        with connections[rows[start].db].cursor() as cursor:
            cursor.execute(" UNION ALL ".join(parts), params)
            for number, count in cursor.fetchall():
                counts[number] = count
    return counts


def shown(count: int, bound: int = BOUND) -> str:
    """A bounded count for people."""
    return f"{count}+" if count >= bound else str(count)
