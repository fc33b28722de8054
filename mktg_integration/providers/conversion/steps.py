"""What both dialects' plans are made of: one person's next step, what differs, and what a refusal is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mktg_integration.profile import ConsentStatus, normal_email
from mktg_integration.providers.base import Patch, Person, Verdict, VerdictKind
from mktg_integration.providers.consent import Step, consent_step
from mktg_integration.providers.conversion.options import ConversionOptions, Dialect
from mktg_integration.providers.values import is_same
from mktg_integration.records import ContactStatus

JSON = Any

# Operations: what ``execute`` can do.
UPSERT = "upsert"
LINK = "link"
READ = "read"
ERASE = "erase"
EVENT = "event"
V1_UPSERT = "v1_upsert"
V1_STATUS = "v1_status"
V1_REMOVE = "v1_remove"
V1_COMPANIES = "v1_companies"
V1_ENGAGEMENT = "v1_engagement"

OPTIONAL: Mapping[str, JSON] = {"optional": True}
"""The call may be refused for want of rights; the plan knows what to do without it."""

STATUS_WITHHELD = (
    "not subscribed: the contact was in Conversion before and its subscription status could not be read, so it may "
    "have opted out. Let the API key read contacts by v1, or subscribe the person explicitly"
)
ERASE_BY_HAND = Verdict(
    kind=VerdictKind.NEEDS_PERSON,
    code="erase_by_hand",
    reason="the API key may not delete contacts: the contact is unsubscribed; delete it in Conversion's own pages",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One item of a call to be."""

    operation: str
    item: Mapping[str, JSON]
    patch: Patch = field(default_factory=Patch)
    common: Mapping[str, JSON] = field(default_factory=dict)
    urgent: bool = False
    repeatable: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """What comes next for one person; nothing at all: done."""

    needs: tuple[Need, ...] = ()
    verdict: Verdict | None = None
    note: str = ""


def changed(wanted: Mapping[str, JSON], sent: Mapping[str, JSON], known: Mapping[str, JSON]) -> dict[str, JSON]:
    """The three-way difference: what we have not sent and the service does not already have."""
    return {
        name: value
        for name, value in wanted.items()
        if not is_same(value, sent.get(name)) and not (name in known and is_same(value, known[name]))
    }


def changed_values(person: Person) -> dict[str, JSON]:
    sent = person.sent.values if person.sent is not None else {}
    known = person.known.values if person.known is not None else {}
    return changed(person.wanted.values, sent, known) if person.wanted is not None else {}


def changed_company(person: Person) -> dict[str, JSON]:
    """The whole company where anything of it differs: part of it might be taken for another company's."""
    if person.wanted is None:
        return {}
    wanted = person.wanted.company
    sent = person.sent.company if person.sent is not None else {}
    known = person.known.company if person.known is not None else {}
    differs = changed(wanted, sent, known)
    return {**filled(wanted), **differs} if differs else {}


def filled(values: Mapping[str, JSON]) -> dict[str, JSON]:
    """What a contact that has nothing yet is told."""
    return {name: value for name, value in values.items() if value is not None}


def address(person: Person) -> str:
    """Where the contact is now, as far as is known."""
    if person.known is not None:
        return person.known.email
    return person.sent.email if person.sent is not None else person.email


def addresses(person: Person) -> tuple[str, ...]:
    """Every address that the person is known by: a renaming may have been under way."""
    known = (address(person), person.sent.email if person.sent is not None else "", person.email)
    return tuple({normal_email(email): email for email in reversed(known) if email}.values())


def erase(person: Person, options: ConversionOptions, unsubscribe: Callable[[Person], Next]) -> Next:
    """Delete by v1; where that cannot be, ``unsubscribe`` and leave the rest to a person."""
    emails = addresses(person)
    is_able = may_read(person, options)
    if person.absent and (is_able or len(emails) < 2):
        return Next()
    if is_able:
        # Only the v2 dialect can do anything without v1.
        common: Mapping[str, JSON] = OPTIONAL if options.dialect is Dialect.V2 else {}
        return Next(
            needs=tuple(Need(operation=ERASE, item={"email": email}, common=common, urgent=True) for email in emails)
        )
    return unsubscribe(person) if consent_step(person) is Step.UNSUBSCRIBE else Next(verdict=ERASE_BY_HAND)


def is_moved(person: Person) -> bool:
    """The person has another address than the one that the service has."""
    if person.wanted is None or (person.known is None and person.sent is None):
        return False
    return normal_email(address(person)) != normal_email(person.wanted.email)


def holds_refusal(person: Person) -> bool:
    """The contact that the service has is opted out: whatever takes its place is told so as well."""
    status = person.known.status if person.known is not None else ContactStatus.UNREAD
    if status is ContactStatus.UNREAD:
        return person.sent is not None and person.sent.consent is ConsentStatus.REFUSED
    return status.opted_out


def is_unread(person: Person) -> bool:
    """The contact may have opted out without our knowing."""
    return person.known is not None and person.known.status is ContactStatus.UNREAD and not person.fresh


def may_read(person: Person, options: ConversionOptions) -> bool:
    """Reading and deleting are v1's alone; a key may lack the right to them."""
    return options.read_status and not person.barred


def refusal(person: Person, *, email: str | None = None) -> Patch:
    """What an UNSUBSCRIBED tells."""
    return Patch(
        email=email,
        consent=ConsentStatus.REFUSED,
        evidence=person.wanted.evidence if person.wanted is not None else "",
        status=ContactStatus.UNSUBSCRIBED,
    )
