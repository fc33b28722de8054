"""Kit's normal form of a person: ``first_name``, and ``fields.<key>`` for each custom field.

Kit has no last name: it goes to the custom field ``last_name``. A field may be named by its label or its key; the key
is what Kit makes of the label: ASCII, lower case, underscores. Kit stores text only: numbers are written plainly,
booleans as ``true`` and ``false``, dates and date-times (in UTC) as ISO 8601. Empty text is ``None``.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from mktg_integration.exceptions import ProfileError
from mktg_integration.profile import FieldValue, Profile
from mktg_integration.providers.base import Snapshot
from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.subscribers import MAX_FIELDS
from mktg_integration.providers.values import utc_text
from mktg_integration.records import ContactRecord, ContactStatus, CustomFieldRecord, TaggingRecord, TagRecord

JSON = Any

FIRST_NAME = "first_name"
LAST_NAME = "last_name"
LAST_NAME_LABEL = "Last name"
FIELD = "fields."

STATUSES: Mapping[str, ContactStatus] = {
    "active": ContactStatus.ACTIVE,
    "inactive": ContactStatus.INACTIVE,
    "cancelled": ContactStatus.UNSUBSCRIBED,
    "bounced": ContactStatus.BOUNCED,
    "complained": ContactStatus.COMPLAINED,
}

# Letters that have no decomposition into ASCII and a mark.
_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "ø": "o", "đ": "d", "ł": "l", "œ": "oe", "þ": "th", "ð": "d"})
_NOT_KEY = re.compile(r"[^a-z0-9]+")


def normal_tag(name: str) -> str:
    """Kit's tag names are unique whatever their case."""
    return name.strip().casefold()


def field_key(label: str) -> str:
    """The key that Kit makes of a custom field's label ("Create a custom field"); a key stays as it is."""
    plain = unicodedata.normalize("NFKD", label.strip().lower().translate(_LETTERS))
    return _NOT_KEY.sub("_", plain.encode("ascii", "ignore").decode().lower()).strip("_")


def field_text(name: str, value: FieldValue) -> str | None:
    """A field's value as Kit stores it. Raises ``ProfileError`` naming the field where it has no such form."""
    if value is None:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\x00", "") or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        number = Decimal(str(value))
        if not number.is_finite():
            raise ProfileError(f"field {name!r} is not a finite number: map it to a number or leave it empty")
        return format(number, "f")
    if isinstance(value, datetime):
        return utc_text(name, value)
    if isinstance(value, date):
        return value.isoformat()
    raise ProfileError(f"field {name!r} has a {type(value).__name__}: map it to text, number or date")


def snapshot(profile: Profile) -> Snapshot:
    """``profile`` as Kit keeps it. Raises ``ProfileError`` naming a field that Kit cannot take."""
    values: dict[str, JSON] = {FIRST_NAME: field_text(FIRST_NAME, profile.first_name)}
    labels: dict[str, str] = {}
    for label, value in profile.fields.items():
        key = field_key(label)
        if not key:
            raise ProfileError(f"field {label!r} has no letter or digit that Kit could make a key of: name it in ASCII")
        name = FIELD + key
        if name in values:
            raise ProfileError(f"fields {labels[name]!r} and {label!r} are one field at Kit: map one of the two")
        values[name] = field_text(label, value)
        labels[name] = label.strip()
    if profile.last_name and FIELD + LAST_NAME not in values:
        values[FIELD + LAST_NAME] = field_text(LAST_NAME, profile.last_name)
        labels[FIELD + LAST_NAME] = LAST_NAME_LABEL
    if len(values) - 1 > MAX_FIELDS:
        raise ProfileError(f"fields: Kit takes at most {MAX_FIELDS} custom fields of a person; map fewer")
    # Empty, so that one that was sent is taken back.
    values.setdefault(FIELD + LAST_NAME, None)
    labels |= {normal_tag(tag): tag.strip() for tag in sorted(profile.tags)}
    return Snapshot(
        email=profile.email,
        values=values,
        tags=frozenset(normal_tag(tag) for tag in profile.tags if tag.strip()),
        consent=profile.consent.status,
        evidence=profile.consent.evidence,
        labels=labels,
    )


def contact_record(subscriber: schemas.Subscriber, *, without: Iterable[str] = ()) -> ContactRecord:
    """A subscriber as answered. ``without``: the fields that Kit has taken and will store later."""
    values: dict[str, JSON] = {FIRST_NAME: subscriber.first_name or None}
    values |= {FIELD + key: answered_value(value) for key, value in subscriber.fields.items()}
    for name in without:
        values.pop(name, None)
    return ContactRecord(
        remote_id=str(subscriber.id),
        email=subscriber.email_address,
        status=STATUSES[subscriber.state],
        values=values,
        created_at=subscriber.created_at,
        raw=subscriber.model_dump(mode="json"),
    )


def answered_value(value: JSON) -> str | None:
    """A custom field's value as answered, in normal form."""
    if value is None or isinstance(value, str):
        return value or None
    return field_text("", value) if isinstance(value, bool | int | float) else str(value)


def tag_record(tag: schemas.Tag) -> TagRecord:
    return TagRecord(remote_id=str(tag.id), name=tag.name, created_at=tag.created_at, raw=tag.model_dump(mode="json"))


def field_record(custom_field: schemas.CustomField) -> CustomFieldRecord:
    return CustomFieldRecord(
        remote_id=str(custom_field.id),
        key=custom_field.key,
        label=custom_field.label,
        raw=custom_field.model_dump(mode="json"),
    )


def tagging_record(tag_id: str, subscriber: schemas.TaggedSubscriber) -> TaggingRecord:
    return TaggingRecord(contact=str(subscriber.id), tag=tag_id, tagged_at=subscriber.tagged_at)
