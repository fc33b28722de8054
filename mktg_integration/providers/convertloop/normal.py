"""ConvertLoop's normal form of a person: the keys of ``POST /people``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mktg_integration.exceptions import ProfileError
from mktg_integration.profile import Profile
from mktg_integration.providers.base import Snapshot
from mktg_integration.providers.values import json_value, utc_text

JSON = Any

RESERVED_KEYS = frozenset(
    {
        "pid",
        "user_id",
        "email",
        "add_to_segments",
        "remove_from_segments",
        "first_seen_at",
        "last_seen_at",
        "resubscribe",
    }
)
"""Keys of ``POST /people`` with a meaning of their own; any other key is a custom attribute."""

IDENTITY = ("user_id", "pid")
PASSING = frozenset({"last_seen_at"})
"""What changes with every visit: sent along with something else, never for itself."""


def snapshot(profile: Profile, *, user_id: str) -> Snapshot:
    """``profile`` as ConvertLoop keeps it. Raises ``ProfileError`` naming a field that it cannot take."""
    reserved = sorted(RESERVED_KEYS & set(profile.fields))
    if reserved:
        raise ProfileError(
            f"field {reserved[0]!r} has a meaning of its own in ConvertLoop: set it on the profile itself, "
            "or give the custom attribute another name"
        )
    values: dict[str, JSON] = {
        "first_name": json_value("first_name", profile.first_name),
        "last_name": json_value("last_name", profile.last_name),
        **{name: json_value(name, value) for name, value in profile.fields.items()},
    }
    for name, text in (("user_id", profile.user_id or user_id), ("pid", profile.pid)):
        if text:
            values[name] = str(text)
    for name, seen in (("first_seen_at", profile.first_seen_at), ("last_seen_at", profile.last_seen_at)):
        if seen is not None:
            values[name] = utc_text(name, seen)
    return Snapshot(
        email=profile.email,
        values=values,
        tags=frozenset(profile.tags),
        consent=profile.consent.status,
        evidence=profile.consent.evidence,
    )


def identity(email: str, values: Mapping[str, JSON]) -> dict[str, str]:
    """All that is known to identify a person: an address alone would make a second one of a user who changed it."""
    found = {name: str(values[name]) for name in IDENTITY if values.get(name)}
    return {**found, **({"email": email} if email else {})}
