"""What the services tell this site."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.models import User
from django.dispatch import receiver

from example_project.accounts.models import Member, NewsletterConsent
from mktg_integration.models import Connection
from mktg_integration.records import ContactStatus
from mktg_integration.signals import connection_needs_attention, contact_unsubscribed

logger = logging.getLogger(__name__)


@receiver(contact_unsubscribed, dispatch_uid="example.unsubscribed")
def note_unsubscribe(*, connection: Connection, user: User | None, status: ContactStatus, **_: Any) -> None:
    """Let the profile page show what the person said elsewhere, by the link in a mail for instance."""
    member: Member | None = getattr(user, "member", None)
    if member is None or member.newsletter == NewsletterConsent.REFUSED:
        return
    member.say(NewsletterConsent.REFUSED, who=connection.name, how=f"{ContactStatus(status).value} there")
    member.save()
    logger.info("%s: a member may be mailed no more (%s)", connection.name, ContactStatus(status).value)


@receiver(connection_needs_attention, dispatch_uid="example.attention")
def tell_staff(*, connection: Connection, reason: str, **_: Any) -> None:
    """A real site would send a mail or a message here."""
    logger.warning("%s waits for a person: %s", connection.name, reason)
