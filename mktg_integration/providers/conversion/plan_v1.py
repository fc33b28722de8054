"""The plan in v1: contacts are known by their address alone, and status, fields and company are said apart.

A contact cannot be renamed. So an email change makes the new contact, gives it the same or a stricter status, and
removes the old one, in this order; ``sent.email`` stays the old address until that is done. Where two people swap their
addresses, or one takes over what another leaves, the old address is another's by then, and nothing is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mktg_integration.profile import ConsentStatus, normal_email
from mktg_integration.providers.base import Intent, Patch, Person, Snapshot
from mktg_integration.providers.consent import Step, consent_step
from mktg_integration.providers.conversion import steps
from mktg_integration.providers.conversion.normal import (
    COMPANY_ID,
    EXTERNAL_CONTACT,
    SUBSCRIBED,
    UNSUBSCRIBED,
)
from mktg_integration.providers.conversion.options import ConversionOptions
from mktg_integration.providers.conversion.steps import Need, Next
from mktg_integration.records import ContactStatus

JSON = Any


def next_step(person: Person, options: ConversionOptions) -> Next:
    """What comes next for this person."""
    if person.intent in (Intent.SYNC, Intent.LEAVE) and _has_leftover(person):
        return _end_renaming(person)
    if person.intent is Intent.FORGET:
        return steps.erase(person, options, _unsubscribe)
    if person.wanted is None:
        if consent_step(person) is Step.UNSUBSCRIBE:
            return _unsubscribe(person)
        return _clear_tags(person, options)
    return _sync(person, person.wanted, options)


def _sync(person: Person, wanted: Snapshot, options: ConversionOptions) -> Next:
    if consent_step(person) is Step.UNSUBSCRIBE:
        return _unsubscribe(person)
    if steps.is_moved(person) and not person.absent:
        return _rename(person, wanted, options)
    if person.known is None:
        return _create(person, wanted, options)
    return _update(person, wanted, options)


def _create(person: Person, wanted: Snapshot, options: ConversionOptions) -> Next:
    if wanted.consent is ConsentStatus.REFUSED:
        # An upsert would create; v1 has no other way to change fields.
        return Next()
    is_new = person.sent is None or person.absent
    differs = steps.changed_values(person)
    if not is_new and not differs and consent_step(person) is Step.NONE:
        return Next(needs=_company(person, wanted))
    values = {**steps.filled(wanted.values), **({} if is_new else differs)}
    need = _upsert(wanted.email, values, Patch(email=wanted.email, values=values))
    return Next(needs=(need, *_company(person, wanted)))


def _update(person: Person, wanted: Snapshot, options: ConversionOptions) -> Next:
    needs = list(_company(person, wanted))
    values = steps.changed_values(person)
    if values:
        needs.append(_upsert(wanted.email, values, Patch(values=values), is_update=True))
    step, note = consent_step(person), ""
    if step is Step.SUBSCRIBE and steps.is_unread(person):
        step = Step.NONE
        if steps.may_read(person, options):
            needs.append(_read(person, Patch()))
        else:
            note = steps.STATUS_WITHHELD
    if step is not Step.NONE:
        patch = Patch(consent=ConsentStatus.GRANTED, evidence=wanted.evidence, status=ContactStatus.ACTIVE)
        needs.append(_status(wanted.email, SUBSCRIBED, patch))
    return Next(needs=tuple(needs), note=note)


# An email change


def with_held(people: Sequence[Person]) -> Iterable[Person]:
    """These people, each whose address changes with what the others of them want or have."""
    holders: dict[str, set[str]] = {}
    for person in people:
        for email in _held_by(person):
            holders.setdefault(normal_email(email), set()).add(person.key)
    for person in people:
        if person.sent is None or not (steps.is_moved(person) or _has_leftover(person)):
            yield person
            continue
        concerned = {normal_email(email) for email in steps.addresses(person)}
        others = {email for email in concerned if holders.get(email, set()) - {person.key}}
        yield replace(person, held=person.held | others)


def _held_by(person: Person) -> Iterable[str]:
    if person.wanted is not None and person.intent is Intent.SYNC:
        yield person.wanted.email
    if person.known is not None and person.intent is not Intent.FORGET:
        yield person.known.email


def _rename(person: Person, wanted: Snapshot, options: ConversionOptions) -> Next:
    known, sent = person.known, person.sent
    was_granted = sent is not None and sent.consent is ConsentStatus.GRANTED
    is_unsure = known is None or known.status is ContactStatus.UNREAD or was_granted
    if is_unsure and not steps.holds_refusal(person) and steps.may_read(person, options):
        # The old contact may have opted out since. What it was granted is to be granted anew to the new one.
        return Next(needs=(_read(person, Patch(consent=ConsentStatus.UNKNOWN) if sent is not None else Patch()),))
    is_held = normal_email(wanted.email) in person.held
    # What the address's earlier holder leaves empty would else stay with the contact.
    values = dict(wanted.values) if is_held else steps.filled(wanted.values)
    patch = Patch(
        email=steps.address(person),
        values=values,
        consent=ConsentStatus.REFUSED if steps.holds_refusal(person) else None,
    )
    is_withheld = was_granted and not steps.holds_refusal(person)
    return Next(needs=(_upsert(wanted.email, values, patch),), note=steps.STATUS_WITHHELD if is_withheld else "")


def _has_leftover(person: Person) -> bool:
    """The new contact is there and the old one has still to go."""
    known, sent = person.known, person.sent
    return known is not None and sent is not None and normal_email(known.email) != normal_email(sent.email)


def _end_renaming(person: Person) -> Next:
    known, sent = person.known, person.sent
    if known is None or sent is None:
        return Next()
    if sent.consent is ConsentStatus.REFUSED and not known.status.opted_out and person.intent is Intent.SYNC:
        return _unsubscribe(person)
    over = Patch(email=known.email)
    if normal_email(sent.email) in person.held:
        return Next(needs=(_upsert(known.email, steps.filled(sent.values), over, is_update=True),))
    return Next(needs=(Need(operation=steps.V1_REMOVE, item={"email": sent.email}, patch=over),))


# Items


def _upsert(email: str, values: Mapping[str, JSON], patch: Patch, *, is_update: bool = False) -> Need:
    """``is_update``: only what differs is carried, so that it is not enough for a contact that turns out to be new."""
    variables = {name: value for name, value in values.items() if name != EXTERNAL_CONTACT}
    contact: dict[str, JSON] = {"email": email}
    if variables:
        contact["variables"] = variables
    if values.get(EXTERNAL_CONTACT):
        contact[EXTERNAL_CONTACT] = values[EXTERNAL_CONTACT]
    return Need(operation=steps.V1_UPSERT, item={"contact": contact, "is_update": is_update}, patch=patch)


def _status(email: str, status: str, patch: Patch, *, urgent: bool = False) -> Need:
    item = {"email": email, "subscriptionStatus": status}
    return Need(operation=steps.V1_STATUS, item=item, patch=patch, urgent=urgent)


def _unsubscribe(person: Person) -> Next:
    """Alone and first; it creates nobody."""
    email = steps.address(person)
    patch = steps.refusal(person, email=email if person.sent is None else None)
    return Next(needs=(_status(email, UNSUBSCRIBED, patch, urgent=True),))


def _read(person: Person, patch: Patch) -> Need:
    remote_id = person.known.remote_id if person.known is not None else ""
    item = {"email": steps.address(person), "remote_id": remote_id}
    return Need(operation=steps.READ, item=item, patch=patch)


def _company(person: Person, wanted: Snapshot) -> tuple[Need, ...]:
    company = dict(wanted.company)
    sent = person.sent.company if person.sent is not None else {}
    if not company:
        return ()
    differs = steps.changed(company, sent if sent.get(COMPANY_ID) == company[COMPANY_ID] else {}, {})
    if not differs:
        return ()
    item = {"company": {**steps.filled(company), **differs}}
    return (Need(operation=steps.V1_COMPANIES, item=item, patch=Patch(company=company)),)


def _clear_tags(person: Person, options: ConversionOptions) -> Next:
    name = options.tags_field
    if not name or person.known is None or person.sent is None or person.sent.values.get(name) is None:
        return Next()
    return Next(needs=(_upsert(person.known.email, {name: None}, Patch(values={name: None}), is_update=True),))
