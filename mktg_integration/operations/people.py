"""What staff may have done with people: sent, tagged, subscribed, unsubscribed, forgotten.

A person is a subject (``user:<pk>``, ``lead:<id>``) or, where a contact is nobody's here, its address. Writes to the
site's database only; the services hear of it a moment later.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration import background, shortcuts
from mktg_integration.audit import Actor, record
from mktg_integration.exceptions import NotNowError, UnsupportedError
from mktg_integration.models import AuditAction, Connection, Contact, Kind, Lane, Lead, OutboxRow
from mktg_integration.people import (
    addresses_left,
    is_possible,
    lead_for,
    lead_subject,
    parse_subject,
    person_of,
    subject_of,
    user_by_email,
    user_subject,
)
from mktg_integration.profile import normal_email
from mktg_integration.providers.base import Verb
from mktg_integration.providers.registry import get_provider
from mktg_integration.push import outbox, wake

DRAIN = "mktg_integration.tasks.drain"


class Evidence(NamedTuple):
    """How it is known that a person agreed to be mailed."""

    how: str
    """``"signed the list at the fair"``."""
    when: datetime
    """Aware, and not in the future."""
    who: str = ""
    """Who said so; default: whoever acts."""


def sync(actor: Actor, subjects: Iterable[str], connections: Collection[Connection] | None = None) -> int:
    """Bring the services to what is wanted of these people, now: their marks are made or due again. The number of them.

    Reads ``subjects`` by the page, so that a generator of a million is never held; more than a page are a backfill.
    Raises ``NotNowError`` where a connection is switched off or nobody of this site has the address, and
    ``UnsupportedError`` for what is no subject.
    """
    for connection in connections or ():
        if not connection.push_enabled:
            raise NotNowError(gettext("%(name)s is switched off: nothing is sent over it.") % {"name": connection})
    ids = None if connections is None else sorted(connection.pk for connection in connections)
    count = 0
    only = ""
    for page in _pages(_known(subject) for subject in subjects):
        is_first = count == 0
        count += len(page)
        only = page[0] if count == 1 else ""
        outbox.mark(page, lane=Lane.LIVE if is_first and len(page) < outbox.PAGE else Lane.BACKFILL, connections=ids)
        if is_first:
            _make_due(page, ids)
    if count:
        wake.wake_on_commit()
        _record(actor, AuditAction.SYNCED, only, count, connections=sorted(str(one) for one in connections or ()))
    return count


def tag(actor: Actor, subjects: Iterable[str], name: str, connection: Connection | None = None) -> int:
    """Give these people a tag beside those of the mapping (ConvertLoop: a segment). The number of them.

    Raises ``UnsupportedError`` for an empty name, or a connection that has no tags.
    """
    return _change_tag(actor, subjects, name, connection, wanted=True)


def untag(actor: Actor, subjects: Iterable[str], name: str, connection: Connection | None = None) -> int:
    """Take a tag from these people, whoever added it. As ``tag``."""
    return _change_tag(actor, subjects, name, connection, wanted=False)


def subscribe(
    actor: Actor, subject: str, evidence: Evidence, connection: Connection | None = None, form: str = ""
) -> None:
    """Note that the person agreed to be mailed: the one act that lifts an earlier opt-out. It needs evidence.

    ``form``: of a service that asks for the confirmation itself, by name or id there. Raises ``UnsupportedError``
    without evidence or where the connection cannot, ``NotNowError`` for somebody who is not there any more.
    """
    if not evidence.how.strip():
        raise UnsupportedError(gettext("Say how the person agreed: without evidence nobody is subscribed."))
    if evidence.when > timezone.now():
        raise UnsupportedError(gettext("The person cannot have agreed in the future."))
    person = _person(subject)
    shortcuts.subscribe(
        person,
        who=evidence.who.strip() or _said_by(actor),
        how=evidence.how.strip(),
        when=evidence.when,
        form=form,
        connection=_name(connection),
    )
    _record(actor, AuditAction.SUBSCRIBED, subject_of(person), 1, connection, agreed_at=evidence.when.isoformat())


def unsubscribe(actor: Actor, subjects: Iterable[str], connection: Connection | None = None) -> int:
    """These people are not to be mailed any more, until they subscribe. The number of them."""
    return _each(
        actor,
        AuditAction.UNSUBSCRIBED,
        subjects,
        connection,
        lambda person: shortcuts.unsubscribe(person, who=_said_by(actor), how=actor.via, connection=_name(connection)),
    )


def forget(actor: Actor, subject: str) -> None:
    """Have the person erased at every service and in the mirror; the user's own row is the site's to delete.

    Also of a user who is not there any more, by the addresses that the services know. Raises ``NotNowError`` where
    there is no such address.
    """
    person = _find(subject)
    if person is not None:
        shortcuts.forget(person)
        _record(actor, AuditAction.FORGOTTEN, subject_of(person), 1)
        return
    addresses = addresses_left(subject)
    if not addresses:
        raise NotNowError(gettext("Nobody is known under %(person)s any more.") % {"person": subject})
    for address in addresses:
        shortcuts.forget(address)
    _record(actor, AuditAction.FORGOTTEN, subject, 1)


# Who is meant


def _known(subject: str) -> str:
    """A subject, of an address too, where somebody of this site has it."""
    if not _is_address(subject):
        return _markable(subject)
    user = user_by_email(subject)
    if user is not None:
        return user_subject(user)
    lead = Lead.objects.filter(email_key=normal_email(subject)).only("pk").first()
    if lead is None:
        raise NotNowError(gettext("Nobody of this site has this address, so there is nothing to send."))
    return lead_subject(lead)


def _is_address(subject: str) -> bool:
    return "@" in subject and not subject.startswith(("user:", "lead:"))


def _checked(subject: str) -> str:
    try:
        parse_subject(subject)
    except ValueError:
        raise UnsupportedError(gettext("Name a person as user:<id> or lead:<id>, or by an address.")) from None
    return subject


def _markable(subject: str) -> str:
    """One whom somebody can be: a mark for another key would wait in vain."""
    if not is_possible(_checked(subject)):
        raise UnsupportedError(gettext("Name a person as user:<id> or lead:<id>, or by an address."))
    return subject


def _find(subject: str) -> models.Model | None:
    """The user or lead; an address that nobody has becomes a lead's. None where the subject is of nobody any more."""
    if _is_address(subject):
        return user_by_email(subject) or _lead_of(subject)
    return person_of(_checked(subject))


def _lead_of(address: str) -> Lead:
    """With the name that a service knows, so that the first push does not empty it there."""
    named = Contact.objects.filter(email_key=normal_email(address), deleted_at=None).exclude(first_name="")
    first_name = named.values_list("first_name", flat=True).first()
    return lead_for(address, first_name=first_name or "")


def _person(subject: str) -> models.Model:
    person = _find(subject)
    if person is None:
        raise NotNowError(gettext("%(person)s is not there any more.") % {"person": subject})
    return person


# The work, and its entry


def _pages(subjects: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(subjects)
    while page := list(islice(rest, outbox.PAGE)):
        yield page


def _make_due(page: list[str], ids: list[int] | None) -> None:
    """Whoever waits to be tried again is tried now; connections that wait go on waiting."""
    ids = list(Connection.objects.filter(push_enabled=True).values_list("pk", flat=True)) if ids is None else ids
    keys = [f"{pk}:{Kind.PROFILE.value}:{subject}" for pk in ids for subject in page]
    OutboxRow.objects.filter(pk__in=keys, due_at__gt=timezone.now()).update(due_at=timezone.now())
    for pk in ids:
        background.enqueue(DRAIN, pk)


def _change_tag(
    actor: Actor, subjects: Iterable[str], name: str, connection: Connection | None, *, wanted: bool
) -> int:
    if not name.strip() or len(name.strip()) > 255:
        raise UnsupportedError(gettext("A tag needs a name, of at most 255 characters."))
    verb = Verb.TAG if wanted else Verb.UNTAG
    rows = Connection.objects.filter(push_enabled=True).values_list("provider", flat=True)
    if connection is None and not any(verb in get_provider(name).verbs for name in rows):
        raise UnsupportedError(gettext("No connection that is switched on has tags."))
    count = 0
    only = ""
    for page in _pages(subject_of(_person(one)) if _is_address(one) else _markable(one) for one in subjects):
        count += len(page)
        only = page[0] if count == 1 else ""
        shortcuts.say_tag(page, name, wanted=wanted, connection=_name(connection))
    if count:
        _record(
            actor, AuditAction.TAGGED if wanted else AuditAction.UNTAGGED, only, count, connection, tag=name.strip()
        )
    return count


def _each(
    actor: Actor,
    action: AuditAction,
    subjects: Iterable[str],
    connection: Connection | None,
    act: Callable[[models.Model], None],
) -> int:
    count = 0
    only = ""
    for subject in subjects:
        person = _person(subject)
        act(person)
        count += 1
        only = subject_of(person) if count == 1 else ""
    if count:
        _record(actor, action, only, count, connection)
    return count


def _record(
    actor: Actor,
    action: AuditAction,
    subject: str,
    people: int,
    connection: Connection | None = None,
    **detail: str | list[str],
) -> None:
    told = {key: value for key, value in detail.items() if value}
    record(actor, action, connection=connection, subject=subject, people=people, **told)


def _said_by(actor: Actor) -> str:
    user = actor.user
    return user_subject(user) if user is not None and user.is_authenticated else actor.via


def _name(connection: Connection | None) -> str | None:
    return connection.name if connection is not None else None
