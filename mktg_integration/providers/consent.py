"""The one place that decides what a push may say of a person's consent (pure; every provider's plan asks it)."""

from __future__ import annotations

from enum import StrEnum

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Intent, Person
from mktg_integration.records import ContactStatus


class Step(StrEnum):
    NONE = "none"
    """Say nothing of consent."""
    SUBSCRIBE = "subscribe"
    """Consent was granted and nobody is known to have opted out. Where the service has not told the contact's status
    (``UNREAD``, or not seen at all) it must be read first, unless our own call made the contact."""
    RESUBSCRIBE = "resubscribe"
    """An explicit ``subscribe()``: say so whatever the service holds."""
    UNSUBSCRIBE = "unsubscribe"


def consent_step(person: Person) -> Step:
    """What to say of this person's consent next."""
    if person.intent is Intent.WITHDRAW:
        return Step.NONE
    if person.intent is not Intent.SYNC or _wants(person, ConsentStatus.REFUSED):
        return Step.NONE if _is_out(person) else Step.UNSUBSCRIBE
    if not _wants(person, ConsentStatus.GRANTED) or _already_granted(person):
        return Step.NONE
    if person.explicit:
        return Step.RESUBSCRIBE
    status = _status(person)
    if status is ContactStatus.ACTIVE or _is_out(person):
        return Step.NONE
    return Step.SUBSCRIBE


def may_be_mailed(person: Person) -> bool:
    """Whether this person may be put where mail starts: a form, a sequence, a segment."""
    if person.intent is not Intent.SYNC or not _wants(person, ConsentStatus.GRANTED):
        return False
    return not _is_out(person) or (person.explicit and not _already_granted(person))


def _wants(person: Person, status: ConsentStatus) -> bool:
    return person.wanted is not None and person.wanted.consent is status


def _status(person: Person) -> ContactStatus | None:
    return person.known.status if person.known is not None else None


def _already_granted(person: Person) -> bool:
    sent, wanted = person.sent, person.wanted
    return (
        sent is not None
        and wanted is not None
        and sent.consent is ConsentStatus.GRANTED
        and sent.evidence == wanted.evidence
    )


def _is_out(person: Person) -> bool:
    """Not to be mailed as far as anyone knows: opted out, not there, or told by us and never contradicted."""
    status = _status(person)
    if status is None or status is ContactStatus.UNREAD:
        told = person.sent is not None and person.sent.consent is ConsentStatus.REFUSED
        return told or (person.absent and not _wants(person, ConsentStatus.GRANTED))
    return status.opted_out
