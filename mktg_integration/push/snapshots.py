"""Snapshots as JSON, for the column that keeps what was last sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Snapshot


def dump(snapshot: Snapshot) -> dict[str, Any]:
    """JSON-ready; the provider promises that ``values`` and ``company`` are."""
    return {
        "email": snapshot.email,
        "values": dict(snapshot.values),
        "company": dict(snapshot.company),
        "tags": sorted(snapshot.tags),
        "consent": snapshot.consent.value,
        "evidence": snapshot.evidence,
    }


def load(stored: Mapping[str, Any]) -> Snapshot:
    """The inverse of ``dump``."""
    return Snapshot(
        email=stored["email"],
        values=stored["values"],
        company=stored["company"],
        tags=frozenset(stored["tags"]),
        consent=ConsentStatus(stored["consent"]),
        evidence=stored["evidence"],
    )
