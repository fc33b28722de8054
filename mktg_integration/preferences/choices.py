"""What a person chooses: to be mailed or not, and by which topics. Through ``shortcuts``, with evidence and audit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext

from mktg_integration import audit, shortcuts
from mktg_integration.audit import Actor
from mktg_integration.encryption import address_hash
from mktg_integration.mirror import optouts
from mktg_integration.models import AuditAction, ExplicitActs, Kind, Lane, OptOut, OptOutKind
from mktg_integration.people import ALL, address_of, addresses_left, person_of, subject_of
from mktg_integration.preference_links import Link
from mktg_integration.preferences.standing import Standing, standing, topic_names
from mktg_integration.profile import ConsentStatus
from mktg_integration.push import outbox, wake

THE_PERSON: Final = "the person"


def choose(
    person: Any, *, actor: Actor, how: str, subscribed: bool | None = None, topics: Mapping[str, bool] | None = None
) -> Standing:
    """Carry out what the person wants; None, or a topic that is not named: as it is. How the person stands then.

    Only what differs is said, so that no new consent comes of a form that was sent again. ``how`` is the evidence's.
    Raises ``ValueError`` naming topics that the setting ``TOPICS`` does not have.
    """
    names, wanted = topic_names(), dict(topics or {})
    if unknown := sorted(set(wanted) - set(names)):
        text = gettext("there is no topic {unknown}; there are: {known}")
        raise ValueError(text.format(unknown=", ".join(map(ascii, unknown)), known=", ".join(names) or gettext("none")))
    with transaction.atomic():
        now = standing(person)
        for topic in now.topics:
            if wanted.get(topic.key, topic.on) != topic.on:
                _switch(person, topic.tag, wanted[topic.key], actor=actor, how=how)
        if subscribed is False:
            _unsubscribe(person, actor=actor, how=how)
        elif subscribed and not now.subscribed:
            shortcuts.subscribe(person, who=THE_PERSON, how=how)
            audit.record(actor, AuditAction.SUBSCRIBED, subject=subject_of(person), how=how)
        return standing(person)


def leave(link: Link, *, actor: Actor, how: str) -> None:
    """Unsubscribe whom the link was made for, and the address that it was sent to, whatever became of either.

    An unsubscribe is always honoured: of an old link, of an address that is not the person's any more, and of somebody
    who is gone here and still known to a service.
    """
    with transaction.atomic():
        person = person_of(link.subject)
        if not _is_out(link.address_hash):
            optouts.opt_out_hash(link.address_hash, kind=OptOutKind.UNSUBSCRIBED)
        if person is not None:
            _unsubscribe(person, actor=actor, how=how)
        else:
            _unsubscribe_gone(link)
            audit.record(actor, AuditAction.UNSUBSCRIBED, subject=link.subject, how=how)


def _unsubscribe(person: Any, *, actor: Actor, how: str) -> None:
    if _has_left(person):
        return
    shortcuts.unsubscribe(person, who=THE_PERSON, how=how)
    audit.record(actor, AuditAction.UNSUBSCRIBED, subject=subject_of(person), how=how)


def _unsubscribe_gone(link: Link) -> None:
    """There is no profile to push any more: the services are told by the addresses that they know."""
    for address in addresses_left(link.subject):
        optouts.opt_out(address, kind=OptOutKind.UNSUBSCRIBED)
        payload = {"email": address, "leaves": True}
        key = f"left-{address_hash(address)[:32]}"
        outbox.add_occurrence(Kind.ERASURE, link.subject, key, payload, lane=Lane.URGENT)
    wake.wake_on_commit(urgent=True)


def _switch(person: Any, tag: str, on: bool, *, actor: Actor, how: str) -> None:
    (shortcuts.add_tag if on else shortcuts.remove_tag)(person, tag)
    audit.record(
        actor, AuditAction.TAGGED if on else AuditAction.UNTAGGED, subject=subject_of(person), tag=tag, how=how
    )


def _has_left(person: Model) -> bool:
    """Whether the person's last word, to all connections, was to leave: then there is nothing new to be told."""
    said = ExplicitActs.objects.filter(subject=subject_of(person)).exclude(consent_when=None)
    last = said.exclude(consent="").order_by("-consent_when").first()
    is_refused = last is not None and last.scope == ALL and last.consent == ConsentStatus.REFUSED
    return is_refused and _is_out(address_hash(address_of(person)))


def _is_out(hashed: str) -> bool:
    return OptOut.objects.filter(pk=f"{optouts.EVERYWHERE}:{hashed}").exclude(kind=optouts.LIFTED).exists()
