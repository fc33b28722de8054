"""What staff may have done with the tags of a service: made, and renamed. Both go through the outbox, and are audited.

The callers ask for ``SYNC``.
"""

from __future__ import annotations

from mktg_integration import shortcuts
from mktg_integration.audit import Actor, record
from mktg_integration.models import AuditAction, Connection, Tag


def create(actor: Actor, connection: Connection, name: str) -> None:
    """Have a tag made at a connection's service. Raises as ``shortcuts.create_tag``."""
    shortcuts.create_tag(name, connection=connection.name)
    record(actor, AuditAction.CHANGED, connection=connection, tag=name.strip(), created=True)


def rename(actor: Actor, tag: Tag, name: str) -> None:
    """Have a tag renamed at its service. Raises as ``shortcuts.rename_tag``."""
    shortcuts.rename_tag(tag, name)
    record(actor, AuditAction.CHANGED, connection=tag.connection, tag=name.strip(), before=tag.name)
