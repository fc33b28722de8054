"""What staff may have done with contacts of the mirror: read anew at their service."""

from __future__ import annotations

from collections.abc import Iterable

from django.utils.translation import gettext

from mktg_integration import background
from mktg_integration.audit import Actor
from mktg_integration.exceptions import NotNowError, UnsupportedError
from mktg_integration.models import Connection, Contact
from mktg_integration.providers.base import Provider

TASK = "mktg_integration.tasks.refresh_contact"
MOST = 100
"""One task and one call each; more are what ``mktg_pull`` is for."""


def read_anew(actor: Actor, contacts: Iterable[Contact]) -> int:
    """Have these contacts (of select_related ``connection``) read at their services, in the background. Their number.

    It changes nothing there, so it is not audited. Raises ``UnsupportedError`` where a service has no way to read a
    contact, ``NotNowError`` for more than ``MOST`` and for one that is gone there.
    """
    chosen = list(contacts)
    if len(chosen) > MOST:
        text = gettext("These are more than %(most)d: run mktg_pull for so many.")
        raise NotNowError(text % {"most": MOST})
    for connection in {contact.connection_id: contact.connection for contact in chosen}.values():
        _check(connection)
    if any(contact.deleted_at is not None for contact in chosen):
        raise NotNowError(gettext("The contact is gone at the service, so there is nothing to read."))
    for contact in chosen:
        background.enqueue(TASK, contact.connection_id, contact.pk)
    return len(chosen)


def can_be_read(contact: Contact, connection: Connection) -> bool:
    """Whether ``read_anew`` would take this contact of that connection."""
    return contact.deleted_at is None and looks_up(connection)


def looks_up(connection: Connection) -> bool:
    """Whether the service has a way to read a contact; the credentials may still not."""
    return type(connection.driver).look_up is not Provider.look_up


def _check(connection: Connection) -> None:
    if not looks_up(connection):
        text = gettext("%(service)s has no way to read a contact: what is shown is what was last sent.")
        raise UnsupportedError(text % {"service": connection.driver.label})
