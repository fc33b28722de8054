"""The mirror's tables say what a service told. Code that writes to them as if that told the service is stopped."""

from __future__ import annotations

from typing import Any

from django.db.models.signals import m2m_changed, pre_save

from mktg_integration.exceptions import UnsupportedError
from mktg_integration.models import Contact, Form, FormMember, Sequence, SequenceMember, Tag, Tagging
from mktg_integration.models.mirror import Mirrored

_INSTEAD = {
    Tagging: "shortcuts.add_tag(contact, name) and shortcuts.remove_tag(contact, name)",
    FormMember: "shortcuts.subscribe(contact, form=…)",
    SequenceMember: "shortcuts.add_to_sequence(contact, name)",
    Tag: "shortcuts.create_tag(name)",
}


def connect() -> None:
    for through in (Tagging, FormMember, SequenceMember):
        m2m_changed.connect(_members, sender=through, dispatch_uid=f"mktg_integration.{through.__name__}")
    for model in (Contact, Tag, Form, Sequence):
        pre_save.connect(_row, sender=model, dispatch_uid=f"mktg_integration.{model.__name__}")


def _members(sender: type[Mirrored], action: str, **_: Any) -> None:
    if action.startswith("pre_"):
        raise UnsupportedError(f"this table only says what the service told: use {_INSTEAD[sender]}")


def _row(sender: type[Mirrored], instance: Mirrored, **_: Any) -> None:
    if not instance.key:
        instead = f": use {_INSTEAD[sender]}" if sender in _INSTEAD else ""
        raise UnsupportedError(f"a row of {sender.__name__} comes from the service alone{instead}")
