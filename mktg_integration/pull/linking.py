"""Links of the contacts that a pull brought to the site's users."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth import get_user_model
from django.db.models import Q
from django.db.models.functions import Lower

from mktg_integration.mirror import links
from mktg_integration.models import Connection
from mktg_integration.profile import normal_email
from mktg_integration.pull.breath import Breath
from mktg_integration.records import ContactRecord

MANY = 1000
"""Addresses; for more of them all users are gone through once."""


class Linking:
    """Collects addresses that came, and links their contacts at the end of the stream."""

    def __init__(self, connection: Connection, breath: Breath) -> None:
        self._connection = connection
        self._breath = breath
        self._emails: set[str] = set()
        self._many = False

    def note(self, records: Iterable[object]) -> None:
        """The records of a page that brought something new."""
        if self._many:
            return
        self._emails |= {record.email.strip() for record in records if isinstance(record, ContactRecord)}
        self._many = len(self._emails) > MANY
        if self._many:
            self._emails.clear()

    def link(self, *, everybody: bool) -> int:
        """How many contacts were linked. ``everybody``: also users whose address has changed since."""
        if self._many or everybody:
            return links.link_all(self._connection, around=self._breath)
        if not self._emails:
            return 0
        model = get_user_model()
        column = model.get_email_field_name()
        if not hasattr(model, column):
            return 0
        # Case is folded by the database where it can; addresses beyond ASCII are also found as they were written.
        normal = {normal_email(email) for email in self._emails}
        users = model._default_manager.annotate(mktg_email=Lower(column)).filter(
            Q(mktg_email__in=normal) | Q(**{f"{column}__in": self._emails})
        )
        return links.link_users(users.order_by("pk"), connection=self._connection, around=self._breath)
