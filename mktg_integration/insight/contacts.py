"""One person for a page: what the site has, each connection's mirror beside it, tags, and what happened."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import models
from django.utils.translation import gettext

from mktg_integration.encryption import address_hash
from mktg_integration.exceptions import MktgError
from mktg_integration.insight.comparing import Compared, compare
from mktg_integration.insight.deliveries import attempts_for
from mktg_integration.insight.looking import Look, is_seen, look
from mktg_integration.insight.noted import worded
from mktg_integration.insight.trace import Trace, trace_of
from mktg_integration.models import (
    Attempt,
    AuditEntry,
    Connection,
    Contact,
    ExplicitActs,
    InboxRow,
    InboxState,
    OptOut,
    SyncState,
    Tagging,
)
from mktg_integration.people import ALL, address_of, row_of, user_subject
from mktg_integration.profile import normal_email

MOST = 30
"""Of each kind of thing that happened."""
MOST_TAGS = 200
HEARD = 100
"""The last deliveries of a connection that are looked through for a person."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tag that the contact has. ``ours``: this site added it, so it is ours to take away."""

    name: str
    ours: bool
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that happened to a person. ``private`` is told to those who may see personal data, and so is ``by``,
    who may be the person; the others are told ``by_id``."""

    at: datetime
    what: str
    text: str
    by: str = ""
    connection: str = ""
    private: str = ""
    by_id: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The person at one connection. ``trace`` is None for a contact that is nobody's here."""

    connection: Connection
    contact: Contact | None
    state: SyncState | None
    fields: list[Compared]
    tags: list[Tagged]
    trace: Trace | None = None

    @property
    def is_read(self) -> bool:
        """Whether the service has shown the contact; else the mirror is what was last sent."""
        return self.contact is None or is_seen(self.contact, self.connection)


@dataclass
class PersonPage:
    """All that is shown of one person. ``who`` is the user or lead, None for somebody who is gone or was never here."""

    subject: str
    who: models.Model | None
    sections: list[Section] = field(default_factory=list)
    history: list[Happened] = field(default_factory=list)

    @property
    def email(self) -> str:
        if self.who is not None:
            return address_of(self.who)
        return next((section.contact.email for section in self.sections if section.contact is not None), "")


def subject_of(contact: Contact) -> str:
    """Whose the contact is, by what was pushed or by its address; empty where it is nobody's here."""
    return contact.subject or (user_subject(contact.user_id) if contact.user_id is not None else "")


def person_page(subject: str, connections: Sequence[Connection]) -> PersonPage:
    """The page of a user or lead, whether or not any service knows them. Raises ``ValueError`` for no subject.

    A fixed number of statements for each connection, none of which reads more than one person's rows.
    """
    page = PersonPage(subject, row_of(subject))
    for connection in connections:
        found = look(subject, connection)
        page.sections.append(_section(found))
    page.history = _history(subject, page, connections)
    return page


def stranger_page(contact: Contact) -> PersonPage:
    """The page of a contact that is nobody's here."""
    known = [
        Compared(name="email", known=contact.email),
        Compared(name="consent", known=contact.status, personal=False),
    ]
    known += [Compared(name=name, known=value) for name, value in sorted(contact.values.items())]
    section = Section(contact.connection, contact, None, known, tags_of(contact, None))
    page = PersonPage("", None, [section])
    page.history = _history("", page, [contact.connection])
    return page


def tags_of(contact: Contact, state: SyncState | None) -> list[Tagged]:
    """The contact's tags by name, at most ``MOST_TAGS``."""
    owned = set(state.owned_tags) if state is not None else set()
    rows = Tagging.objects.filter(contact=contact.pk, deleted_at=None, tag__deleted_at=None).select_related("tag")
    found = [Tagged(row.tag.name, row.tag.name_key in owned, row.tagged_at) for row in rows[:MOST_TAGS]]
    return sorted(found, key=lambda tag: tag.name.casefold())


def _section(found: Look) -> Section:
    tags = tags_of(found.contact, found.state) if found.contact is not None else []
    return Section(found.connection, found.contact, found.state, compare(found), tags, trace_of(found))


# What happened


def _history(subject: str, page: PersonPage, connections: Sequence[Connection]) -> list[Happened]:
    names = {connection.pk: connection.name for connection in connections}
    happened: list[Happened] = []
    if subject:
        happened += [_attempt(one, names) for one in attempts_for(subject, most=MOST)]
        entries = AuditEntry.objects.filter(subject=subject).select_related("actor").order_by("-at", "-pk")
        happened += [_entry(one) for one in entries[:MOST]]
        acts = ExplicitActs.objects.filter(subject=subject).exclude(consent="")
        happened += [_act(one, names) for one in acts if one.consent_when is not None]
    happened += _optouts(page, names)
    for section in page.sections:
        happened += _mirrored(section)
        if section.contact is not None:
            happened += _heard(section.connection, section.contact)
    return sorted(happened, key=lambda one: one.at, reverse=True)


def _attempt(one: Attempt, names: dict[int, str]) -> Happened:
    parts = [str(one.get_outcome_display()), worded(one.reason) or one.code, one.call]
    parts += [f"HTTP {one.status}"] if one.status else []
    parts += [gettext("request %(id)s") % {"id": one.request_id}] if one.request_id else []
    text = ", ".join(part for part in parts if part)
    return Happened(one.at, gettext("attempt"), text, connection=names.get(one.connection_id, ""))


def _entry(one: AuditEntry) -> Happened:
    by = f"{one.actor} ({one.via})" if one.actor is not None else one.via
    by_id = f"{user_subject(one.actor)} ({one.via})" if one.actor is not None else one.via
    detail = ", ".join(f"{key}: {value}" for key, value in sorted(one.detail.items()) if key != "people" and value)
    text = f"{one.get_action_display()} ({detail})" if detail else str(one.get_action_display())
    return Happened(one.at, gettext("staff"), text, by, one.connection_name, by_id=by_id)


def _act(one: ExplicitActs, names: dict[int, str]) -> Happened:
    assert one.consent_when is not None  # noqa: S101 (the caller filters)
    where = names.get(int(one.scope), "") if one.scope.isdigit() else ""
    private = f"{one.consent_who} ({one.consent_how})"
    return Happened(one.consent_when, gettext("consent"), one.consent, connection=where, private=private)


def _optouts(page: PersonPage, names: dict[int, str]) -> Iterator[Happened]:
    addresses = {page.email, *(section.contact.email for section in page.sections if section.contact is not None)}
    hashes = [address_hash(address) for address in sorted(addresses - {""})]
    keys = [f"{scope}:{hashed}" for hashed in hashes for scope in (ALL, *names)]
    for one in OptOut.objects.filter(pk__in=keys):
        where = gettext("everywhere") if one.scope == ALL else names.get(int(one.scope), one.scope)
        text = gettext("%(kind)s, %(where)s") % {"kind": one.get_kind_display(), "where": where}
        yield Happened(one.at, gettext("opt-out"), text, one.source, by_id=one.source)


def _mirrored(section: Section) -> Iterator[Happened]:
    name, contact, state = section.connection.name, section.contact, section.state
    if state is not None and state.sent_at is not None:
        yield Happened(state.sent_at, gettext("sent"), state.note or gettext("taken by the service"), connection=name)
    if contact is not None and contact.remote_created_at is not None:
        yield Happened(contact.remote_created_at, gettext("service"), gettext("made at the service"), connection=name)
    if contact is not None and contact.deleted_at is not None:
        yield Happened(contact.deleted_at, gettext("service"), gettext("gone at the service"), connection=name)


def _heard(connection: Connection, contact: Contact) -> list[Happened]:
    """What the service told of the contact, among its last deliveries: bodies are sealed, so no index finds them."""
    rows = InboxRow.objects.filter(connection=connection, state=InboxState.APPLIED).order_by("-due_at")
    wanted = {contact.remote_id, contact.email_key}
    try:
        found = [row for row in rows[:HEARD] if wanted & set(_told(_body(row)))]
    except MktgError:
        return []
    return [
        Happened(row.received_at, gettext("told"), row.event or str(row.get_kind_display()), connection=connection.name)
        for row in found
    ]


def _body(row: InboxRow) -> Any:
    try:
        return json.loads(row.body.get("raw", ""))
    except (ValueError, RecursionError):
        # Whoever knows the address of a webhook may send what no parser follows.
        return None


def _told(body: Any) -> Iterable[str]:
    """Ids and addresses that a body names, however deep it is."""
    waiting = [body]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            waiting += part.values()
            yield from _named(part)


def _named(part: dict[str, Any]) -> Iterable[str]:
    for key, value in part.items():
        if "email" in key.lower() and isinstance(value, str):
            yield normal_email(value)
        elif key.lower() in ("id", "subscriber_id", "contact_id", "contactid") and isinstance(value, str | int):
            yield str(value)
