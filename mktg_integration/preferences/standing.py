"""How a person stands now: mailed or not, by which topics, and what a service does not let the site decide.

Read from the site's own tables; no service is called.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.db import DatabaseError
from django.db.models import Model

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.mirror import optouts, reader
from mktg_integration.models import Connection, Contact, ExplicitActs, Kind, Lead, OutboxRow
from mktg_integration.people import ALL, address_of, subject_of
from mktg_integration.profile import UNKNOWN, ConsentStatus, Profile, normal_email
from mktg_integration.providers.base import Verb
from mktg_integration.push import consent as consents
from mktg_integration.push.people import lead_profile
from mktg_integration.records import ContactStatus

logger = logging.getLogger("mktg_integration.preferences")


class Hint(StrEnum):
    """Why somebody who wants to be mailed may not be yet."""

    PENDING = "pending"
    """The service has still to be told."""
    CONFIRM = "confirm"
    """The service has asked the person for a confirmation."""
    OUT = "out"
    """The person opted out at the service, which alone can undo it."""


@dataclass(frozen=True, slots=True)
class ServiceHint:
    """``service`` is the provider's name for people, such as Kit."""

    service: str
    hint: Hint


@dataclass(frozen=True, slots=True)
class Topic:
    """A tag that people may switch. ``key`` and ``label`` are the setting's."""

    key: str
    label: str
    tag: str
    on: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """``subscribed``: some connection may mail the person, as far as it is known here."""

    subscribed: bool
    topics: tuple[Topic, ...] = ()
    hints: tuple[ServiceHint, ...] = ()

    @property
    def waits(self) -> bool:
        """Whether a service mails the person only after something that the site cannot do."""
        return self.subscribed and any(one.hint is not Hint.PENDING for one in self.hints)


def standing(person: Model) -> Standing:
    """How a user or a lead stands. A bounded number of statements for each connection."""
    return _Reading(person).standing()


def topic_names() -> dict[str, str]:
    """The tag of each topic, by its key."""
    return {key: str(given["TAG"]).strip() for key, given in settings.TOPICS.items()}


class _Reading:
    def __init__(self, person: Model) -> None:
        self.person = person
        self.subject = subject_of(person)
        self.address = address_of(person)
        self.connections = list(Connection.objects.filter(push_enabled=True))
        self.acts = list(ExplicitActs.objects.filter(subject=self.subject))
        # Of each connection the contact at the person's address, or what is left of it.
        contacts = Contact.objects.present().filter(email_key=normal_email(self.address)) if self.address else ()
        self.contacts = {contact.connection_id: contact for contact in contacts}
        self.profiles = {one.pk: self._profile(one) for one in self.connections}

    def standing(self) -> Standing:
        resolved = {one.pk: self._resolved(one) for one in self.connections if self.profiles[one.pk] is not None}
        subscribed = any(self._is_mailed(pk, found.status) for pk, found in resolved.items())
        if not self.connections:
            subscribed = self._resolve(None, 0, policy="").status is ConsentStatus.GRANTED
        hints = tuple(
            ServiceHint(one.driver.label, hint)
            for one in self.connections
            if one.pk in resolved and (hint := self._hint(one, resolved[one.pk])) is not None
        )
        return Standing(subscribed, self._topics(), tuple(dict.fromkeys(hints)))

    # Consent

    def _resolved(self, connection: Connection) -> consents.Resolved:
        return self._resolve(
            self.profiles[connection.pk], connection.pk, policy=str(connection.option("UNKNOWN_CONSENT"))
        )

    def _resolve(self, profile: Profile | None, connection_id: int, *, policy: str) -> consents.Resolved:
        found = optouts.optouts_for([self.address], connection_id)
        return consents.resolve(
            profile.consent if profile is not None else UNKNOWN,
            [act for act in self.acts if act.scope in (ALL, str(connection_id))],
            found.get(normal_email(self.address)),
            unknown_as_granted=policy == "granted",
        )

    def _is_mailed(self, connection_id: int, status: ConsentStatus) -> bool:
        if status is not ConsentStatus.UNKNOWN:
            return status is ConsentStatus.GRANTED
        contact = self.contacts.get(connection_id)
        return contact is not None and contact.status == ContactStatus.ACTIVE

    def _hint(self, connection: Connection, resolved: consents.Resolved) -> Hint | None:
        contact = self.contacts.get(connection.pk)
        if not resolved.explicit or (contact is not None and contact.status == ContactStatus.ACTIVE):
            return None
        reactivates = connection.driver.reactivates
        if contact is not None and not reactivates and ContactStatus(contact.status).opted_out:
            return Hint.CONFIRM if _form(connection) else Hint.OUT
        if OutboxRow.objects.filter(pk=f"{connection.pk}:{Kind.PROFILE.value}:{self.subject}").exists():
            return Hint.PENDING
        if contact is not None and not reactivates and contact.status == ContactStatus.INACTIVE:
            return Hint.CONFIRM
        return None

    # Topics

    def _topics(self) -> tuple[Topic, ...]:
        able = [one for one in self.connections if Verb.TAG in one.driver.verbs]
        if not settings.TOPICS or (self.connections and not able):
            # Where no service has tags, nothing would come of a choice.
            return ()
        # One reading of each connection; without any, of what was said to all.
        readings = [(self._said(one.pk), self._tags(one)) for one in able] or [(self._said(0), frozenset())]
        topics = []
        for key, tag in topic_names().items():
            name = tag.casefold()
            on = any(said.get(name, name in tags) for said, tags in readings)
            topics.append(Topic(key, str(settings.TOPICS[key].get("LABEL") or tag), tag, on))
        return tuple(topics)

    def _said(self, connection_id: int) -> dict[str, bool]:
        """What was said of tags beside the mapping; what was said to one connection counts there."""
        said: dict[str, bool] = {}
        for act in sorted(self.acts, key=lambda act: act.scope != ALL):
            if act.scope in (ALL, str(connection_id)):
                said |= {name.casefold(): wanted for name, wanted in act.tags.items()}
        return said

    def _tags(self, connection: Connection) -> frozenset[str]:
        """What the mapping gives the person and what the service says, however it is written."""
        profile, contact = self.profiles[connection.pk], self.contacts.get(connection.pk)
        mapped = set(profile.tags) if profile is not None else set()
        told = reader.tag_names([contact.key])[contact.key] if contact is not None else frozenset()
        return frozenset(name.casefold() for name in (*mapped, *told))

    def _profile(self, connection: Connection) -> Profile | None:
        """What the mapping says; None where it leaves the person out. One that raises says nothing."""
        if isinstance(self.person, Lead):
            return lead_profile(self.person)
        where = f"PROFILE of {connection.name!r}"
        try:
            profile: Profile | None = settings.import_path(str(connection.option("PROFILE")), where)(
                self.person, connection
            )
        except (DatabaseError, ConfigurationError):
            raise
        except Exception as error:  # noqa: BLE001 (the site's own code)
            logger.warning("%s raised %s: preferences are shown without it", where, type(error).__name__)
            return Profile(email=self.address)
        return profile


def _form(connection: Connection) -> Any:
    given: Any = connection.declared or connection.stored_options
    return given.get("FORM")
