"""What a Conversion account holds, and the few ways in which it changes, whichever dialect asks."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from ..tally import Tally
from ..values import iso_time, same_address
from ..worldmodel import parse_world
from .world import Company, Contact, Engagement, Event, World, refuse_doubles

# A contact in one of these may not be mailed; leaving them is what a careful client never causes.
OPTED_OUT = frozenset({"UNSUBSCRIBED", "BOUNCED", "COMPLAINED"})


class Store:
    """All objects of one account, found by id, address and external id."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.load({})

    def load(self, world: Mapping[str, Any]) -> None:
        parsed = parse_world(World, world, "conversion")
        refuse_doubles(parsed)
        self._world = parsed
        self.settings = parsed.settings
        self.contact_fields = {field.key: field for field in parsed.contact_fields}
        self.company_fields = {field.key: field for field in parsed.company_fields}
        self.contacts: dict[str, Contact] = {contact.id: contact for contact in parsed.contacts}
        self._by_email = {same_address(contact.email): contact for contact in parsed.contacts}
        self.companies: dict[str, Company] = {company.external_id: company for company in parsed.companies}
        self.events: dict[str, Event] = {event.id: event for event in parsed.events}
        self._by_event_id = {event.event_id: event for event in parsed.events if event.event_id}
        self.engagements: list[Engagement] = parsed.engagements
        self.tally = Tally("created", "updated", "deleted", "resubscribed")
        """``resubscribed``: someone who had opted out, bounced or complained became mailable again."""

    def dump(self) -> dict[str, Any]:
        world = World(
            settings=self.settings,
            contact_fields=list(self.contact_fields.values()),
            company_fields=list(self.company_fields.values()),
            contacts=list(self.contacts.values()),
            companies=list(self.companies.values()),
            events=list(self.events.values()),
            engagements=self.engagements,
        )
        return world.model_dump(mode="json")

    def now(self) -> str:
        return iso_time(self._clock())

    def by_email(self, email: str) -> Contact | None:
        return self._by_email.get(same_address(email))

    def by_user_id(self, user_id: str) -> Contact | None:
        return next((contact for contact in self.contacts.values() if contact.user_id == user_id), None)

    def create(self, email: str) -> Contact:
        now = self.now()
        contact = Contact(email=email, created_at=now, updated_at=now)
        self.contacts[contact.id] = contact
        self._by_email[same_address(email)] = contact
        self.tally.add("created")
        return contact

    def touch(self, contact: Contact) -> None:
        contact.updated_at = self.now()
        self.tally.add("updated")

    def rename(self, contact: Contact, email: str) -> None:
        """Give a contact another address, which the caller knows to be free."""
        del self._by_email[same_address(contact.email)]
        contact.email = email
        self._by_email[same_address(email)] = contact

    def set_status(self, contact: Contact, status: str) -> None:
        if contact.subscription_status in OPTED_OUT and status not in OPTED_OUT:
            self.tally.add("resubscribed")
        contact.subscription_status = status

    def delete(self, contact: Contact) -> None:
        del self.contacts[contact.id]
        del self._by_email[same_address(contact.email)]
        self.tally.add("deleted")

    def company_with_domain(self, domain: str) -> Company | None:
        wanted = domain.lower()
        companies = self.companies.values()
        return next((company for company in companies if (company.base_domain or "").lower() == wanted), None)

    def record_event(
        self, contact: Contact, event: str, event_id: str | None, data: dict[str, Any] | None, timestamp: str
    ) -> Event:
        """Keep an event; one whose ``eventId`` is known is updated in place."""
        known = self._by_event_id.get(event_id) if event_id else None
        row = Event(
            id=known.id if known else str(uuid.uuid4()),
            event_id=event_id,
            contact_id=contact.id,
            event=event,
            data=data,
            timestamp=timestamp,
        )
        self.events[row.id] = row
        if event_id:
            self._by_event_id[event_id] = row
        return row


def write_fields(held: dict[str, Any], given: Mapping[str, Any], *, preserve: bool = False) -> None:
    """Write values; with ``preserve`` only where there is none yet (unset, null, empty text or list)."""
    for key, value in given.items():
        if not preserve or held.get(key) in (None, "", []):
            held[key] = value
