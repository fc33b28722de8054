"""One person at one connection, as a push would see them now. Nothing is written and no call is made."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from mktg_integration.exceptions import MktgError
from mktg_integration.insight.rows import rows_of
from mktg_integration.mirror import reader
from mktg_integration.models import Connection, Contact, DeadRow, Kind, OutboxRow, SyncState
from mktg_integration.profile import Profile
from mktg_integration.providers.base import Person, Plan, Provider, Verdict
from mktg_integration.push import introduce, people


@dataclass
class Look:
    """What mapping, mirror and plan say. ``error`` is why they cannot be asked, in words for people."""

    subject: str
    connection: Connection
    driver: Provider[Any, Any] | None = None
    batch: people.Batch = field(default_factory=people.Batch)
    plan: Plan = field(default_factory=Plan)
    rows: list[OutboxRow] = field(default_factory=list)
    """What waits to be sent of this person."""
    dead: list[DeadRow] = field(default_factory=list)
    error: str = ""

    @property
    def exists(self) -> bool:
        """Whether the site has the user, or the lead as one of its own."""
        return self.subject in self.batch.profiles

    @property
    def profile(self) -> Profile | None:
        return self.batch.profiles.get(self.subject)

    @property
    def person(self) -> Person | None:
        """As the plan sees them; None where there is nothing to tell of them."""
        return self.batch.people.get(self.subject)

    @property
    def verdict(self) -> Verdict | None:
        """Why nothing can be sent of them, by the mapping or the plan."""
        return self.batch.verdicts.get(self.subject) or self.plan.verdicts.get(self.subject)

    @cached_property
    def state(self) -> SyncState | None:
        found = self.batch.states.get(self.subject)
        if found is not None or not self.error:
            return found
        key = f"{self.connection.pk}:{self.subject}"
        return SyncState.objects.select_related("contact").filter(pk=key).first()

    @cached_property
    def contact(self) -> Contact | None:
        """Their contact at this connection, as far as the mirror has one."""
        found = self.batch.contacts.get(self.subject)
        if found is not None:
            return found
        if self.state is not None and self.state.contact is not None:
            return self.state.contact
        return Contact.objects.filter(subject=self.subject, connection=self.connection).first()

    @cached_property
    def tag_names(self) -> frozenset[str]:
        """The tags that the contact has by the mirror, as the service compares them."""
        if self.contact is None:
            return frozenset()
        return reader.tag_names([self.contact.pk])[self.contact.pk]


def is_seen(contact: Contact, connection: Connection) -> bool:
    """Whether the service has shown the contact. One that lists its contacts has, also in its answer to a push."""
    return contact.seen_at != contact.last_pushed_at or connection.driver.introduces


def look(subject: str, connection: Connection) -> Look:
    """Map the person and plan for them, as the next drain would. A fixed number of statements.

    Nothing is written. Raises ``ValueError`` for what is no subject.
    """
    found = Look(subject, connection)
    found.rows = list(rows_of(OutboxRow, connection, subject))
    found.dead = list(rows_of(DeadRow, connection, subject))
    try:
        found.driver = driver = connection.driver
        options = driver.options(connection.account())
        found.batch = people.preview(connection, driver, options, _asked(found))
        asked = [found.person] if found.person is not None else []
        found.plan = driver.plan(asked, introduce.load_catalogue(connection), options)
    except MktgError as error:
        found.error = str(error)
    return found


def _asked(found: Look) -> list[OutboxRow]:
    """The profile, marked or not, and erasures that wait: those decide what the plan is for."""
    erasures = [row for row in found.rows if row.kind == Kind.ERASURE]
    return [OutboxRow(connection=found.connection, kind=Kind.PROFILE, subject=found.subject), *erasures]
