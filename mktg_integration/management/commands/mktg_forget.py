"""``manage.py mktg_forget``: erase a person at every service."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import models

from mktg_integration import shortcuts
from mktg_integration.management.base import MktgCommand
from mktg_integration.models import Connection, Contact, Lead, SyncState
from mktg_integration.people import address_of, lead_subject, user_by_email, user_subject
from mktg_integration.profile import clean_email, normal_email
from mktg_integration.providers.base import Verb


class Command(MktgCommand):
    help = (
        "Erase a person at every service and in the mirror. A keyed hash of the address stays, so that nothing brings "
        "the person back but an explicit subscribe(). The user's own row is not touched."
    )
    takes_connection = False

    def add_own_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("person", metavar="EMAIL|USER", help="an address, or a user's primary key")

    def run(self, *, person: str, dry_run: bool, **_: Any) -> dict[str, Any]:
        someone = _someone(person)
        places = {row.name: self._place(row, someone) for row in Connection.objects.order_by("name")}
        for name, place in places.items():
            self.say(f"{name}: {place['what']}")
        if dry_run:
            self.say("Nothing was done (--dry-run)")
            return {"forgotten": False, "connections": places}
        shortcuts.forget(someone)
        self.say("Marked: it goes before all other work")
        return {"forgotten": True, "connections": places}

    @staticmethod
    def _place(connection: Connection, someone: models.Model | str) -> dict[str, Any]:
        email = normal_email(address_of(someone))
        contacts = Contact.objects.filter(connection=connection, email_key=email)
        states = SyncState.objects.filter(connection=connection)
        if isinstance(someone, Lead):
            states = states.filter(subject=lead_subject(someone))
        elif isinstance(someone, models.Model):
            states = states.filter(subject=user_subject(someone))
        else:
            states = states.filter(email_key=email)
        is_known = contacts.exists() or states.exists()
        if not connection.push_enabled:
            return {"known": is_known, "what": "skipped: it is switched off; erase the person there by hand"}
        told = {capability.name: capability for capability in connection.driver.capabilities()}
        erases = Verb.FORGET in told and told[Verb.FORGET].supported
        what = "will be erased" if erases else "will wait as 'needs a person'"
        note = told[Verb.FORGET].note if Verb.FORGET in told else ""
        known = "known there" if is_known else "not known there, as far as the mirror tells"
        return {"known": is_known, "what": f"{known}; {what}{f' ({note})' if note else ''}"}


def _someone(given: str) -> models.Model | str:
    """The user or lead, else the address as it was given. Raises ``CommandError``, ``ProfileError``."""
    if "@" in given:
        email = clean_email(given)
        return user_by_email(email) or Lead.objects.filter(email_key=normal_email(email), user=None).first() or email
    try:
        user = get_user_model()._default_manager.filter(pk=given).first()
    except (ValueError, ValidationError):
        user = None
    if user is None:
        raise CommandError("no user has this primary key: give an address, or the primary key of a user")
    return user
