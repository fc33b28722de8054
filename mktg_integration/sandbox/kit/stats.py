"""What the Kit service counted, for tests to read."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stats:
    """Counts by operation (``"POST /v4/subscribers"``), or by kind of credential where that is said."""

    created: Counter[str] = field(default_factory=Counter)
    """Subscribers made."""
    updated: Counter[str] = field(default_factory=Counter)
    """Requests, or items of bulk requests, that met an existing subscriber."""
    resubscribed: Counter[str] = field(default_factory=Counter)
    """Cancelled, bounced or complained subscribers that became active again."""
    confirmation_requested: Counter[str] = field(default_factory=Counter)
    """Opted-out subscribers that were put on a form and so were mailed a question."""
    unauthorized: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    """Requests refused with 429, by ``api_key`` and ``oauth``."""
    rate_peak: dict[str, int] = field(default_factory=dict)
    """The most requests of one credential in any rolling window, refused ones included, by kind."""

    deliveries: Counter[str] = field(default_factory=Counter)
    """Attempts to deliver, by kind and outcome: ``"callback accepted"``, ``"webhook failed"``."""

    def as_json(self) -> dict[str, Any]:
        return {name: dict(sorted(counts.items())) for name, counts in vars(self).items() if isinstance(counts, dict)}
