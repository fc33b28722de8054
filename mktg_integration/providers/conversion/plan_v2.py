"""The plan in v2: contacts are known by ``cnvContactId``, one upsert carries everything, nothing can be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Intent, Patch, Person, Snapshot
from mktg_integration.providers.consent import Step, consent_step
from mktg_integration.providers.conversion import steps
from mktg_integration.providers.conversion.normal import COMPANY_ID, SUBSCRIBED, UNSUBSCRIBED
from mktg_integration.providers.conversion.options import ConversionOptions
from mktg_integration.providers.conversion.steps import Need, Next
from mktg_integration.records import ContactStatus

JSON = Any

NOT_THERE = "Conversion has no such contact, and UPDATE_ONLY makes none"
LINKED = (
    "the new address belonged to another contact in Conversion: the person is that contact now. "
    "The earlier contact is still there: merge or delete it in Conversion's own pages"
)


def next_step(person: Person, options: ConversionOptions) -> Next:
    """What comes next for this person."""
    if person.intent is Intent.FORGET:
        return steps.erase(person, options, _unsubscribe)
    if person.intent is Intent.LEAVE and consent_step(person) is Step.UNSUBSCRIBE:
        return _unsubscribe(person)
    if person.wanted is None:
        return _clear_tags(person, options)
    return _sync(person, person.wanted, options)


def _sync(person: Person, wanted: Snapshot, options: ConversionOptions) -> Next:
    step = consent_step(person)
    if person.taken:
        return _link(person, wanted, options, step)
    if step is Step.UNSUBSCRIBE:
        return _unsubscribe(person)
    if person.known is None and person.absent:
        if wanted.consent is ConsentStatus.REFUSED:
            return Next()
        if options.update_only:
            return Next(note=NOT_THERE)
    elif person.known is None and steps.is_moved(person):
        return _find(person)
    note = ""
    if step is Step.SUBSCRIBE and steps.is_unread(person):
        if steps.may_read(person, options):
            return _read(person)
        step, note = Step.NONE, steps.STATUS_WITHHELD
    return _upsert(person, wanted, options, step, note)


def _upsert(person: Person, wanted: Snapshot, options: ConversionOptions, step: Step, note: str) -> Next:
    contact = _identity(person)
    values = steps.changed_values(person)
    company = steps.changed_company(person)
    is_known = person.known is not None
    is_moved = is_known and steps.is_moved(person)
    if not is_known:
        is_new = person.sent is None or person.absent
        if not (is_new or values or company or step is not Step.NONE):
            return Next()
        contact = {"email": wanted.email}
        values = {**steps.filled(wanted.values), **({} if is_new else values)}
        company = {**steps.filled(wanted.company), **({} if is_new else company)}
    elif is_moved:
        contact["email"] = wanted.email
    is_told = _may_tell_status(person, options, step)
    if is_known and not (values or company or is_moved or is_told):
        return Next(note=note)
    patch = Patch(
        email=None if is_known and not is_moved else wanted.email,
        values=values,
        company=company,
        consent=ConsentStatus.GRANTED if is_told else None,
        evidence=wanted.evidence if is_told else "",
        status=ContactStatus.ACTIVE if is_told else None,
    )
    contact |= _body(values, company, SUBSCRIBED if is_told else "", options)
    # A refusal never makes a contact; whoever is there already is kept in step.
    update_only = options.update_only or (not is_known and wanted.consent is ConsentStatus.REFUSED)
    common = _common(options, update_only=update_only)
    item = _with_company(_item(person, contact, wanted.email), company)
    return Next(needs=(Need(operation=steps.UPSERT, item=item, patch=patch, common=common),), note=note)


def _may_tell_status(person: Person, options: ConversionOptions, step: Step) -> bool:
    """SUBSCRIBED resubscribes whoever opted out, so it goes only where nobody can have."""
    if step is Step.RESUBSCRIBE:
        return True
    if step is not Step.SUBSCRIBE:
        return False
    if person.known is None:
        return person.sent is None and not options.existing_contacts and not person.tried
    return not steps.is_unread(person)


def _unsubscribe(person: Person) -> Next:
    """Alone and first: a field that is refused must not hold it up. Nobody is created by it."""
    is_new = person.known is None and person.sent is None
    email = steps.address(person)
    contact = {**_identity(person), "subscriptionStatus": UNSUBSCRIBED}
    need = Need(
        operation=steps.UPSERT,
        item=_item(person, contact, email),
        patch=steps.refusal(person, email=email if is_new else None),
        common={"updateOnly": True},
        urgent=True,
    )
    return Next(needs=(need,))


def _read(person: Person) -> Next:
    item = {"email": steps.address(person), "remote_id": _remote_id(person)}
    return Next(needs=(Need(operation=steps.READ, item=item, common=steps.OPTIONAL),))


def _find(person: Person) -> Next:
    """The id of a contact that we have made and no longer know, so that its address can be changed."""
    contact = _identity(person)
    item = _item(person, contact, steps.address(person))
    return Next(needs=(Need(operation=steps.UPSERT, item=item, common={"updateOnly": True}),))


def _link(person: Person, wanted: Snapshot, options: ConversionOptions, step: Step) -> Next:
    """The wanted address is another contact's: leave ours without our tags, and become the other."""
    cleared = _clear_tags(person, options)
    if cleared.needs:
        return cleared
    status, patch = "", Patch(email=wanted.email, values=steps.filled(wanted.values), company=wanted.company)
    if step is Step.RESUBSCRIBE:
        status = SUBSCRIBED
        patch = replace(patch, consent=ConsentStatus.GRANTED, evidence=wanted.evidence, status=ContactStatus.ACTIVE)
    elif steps.holds_refusal(person):
        status = UNSUBSCRIBED
        patch = replace(patch, consent=ConsentStatus.REFUSED, status=ContactStatus.UNSUBSCRIBED)
    company = steps.filled(wanted.company)
    contact = {"email": wanted.email, **_body(patch.values, company, status, options)}
    common = _common(options, update_only=True)
    item = _with_company({"contact": contact, "email": wanted.email, "remote_id": ""}, company)
    return Next(needs=(Need(operation=steps.LINK, item=item, patch=patch, common=common),), note=LINKED)


def _clear_tags(person: Person, options: ConversionOptions) -> Next:
    """Take our tags away, where they were written to a field."""
    name = options.tags_field
    if not name or person.absent or person.sent is None or person.sent.values.get(name) is None:
        return Next()
    contact = {**_identity(person), "fields": {name: None}}
    need = Need(
        operation=steps.UPSERT,
        item=_item(person, contact, steps.address(person)),
        patch=Patch(values={name: None}),
        common={"updateOnly": True},
    )
    return Next(needs=(need,))


def _identity(person: Person) -> dict[str, JSON]:
    if person.known is not None:
        return {"cnvContactId": person.known.remote_id}
    return {"email": steps.address(person)}


def _remote_id(person: Person) -> str:
    return person.known.remote_id if person.known is not None else ""


def _item(person: Person, contact: dict[str, JSON], email: str) -> dict[str, JSON]:
    return {"contact": contact, "email": email, "remote_id": _remote_id(person)}


def _with_company(item: dict[str, JSON], company: Mapping[str, JSON]) -> dict[str, JSON]:
    """What is told of a company that the site has an id of goes to the mirror, once it is taken."""
    return {**item, "company": dict(company)} if COMPANY_ID in company else item


def _body(values: Any, company: Mapping[str, JSON], status: str, options: ConversionOptions) -> dict[str, JSON]:
    body: dict[str, JSON] = {}
    if status:
        body["subscriptionStatus"] = status
    if values:
        body["fields"] = dict(values)
    fields = {name: value for name, value in company.items() if name != COMPANY_ID}
    if options.company_id_field and COMPANY_ID in company:
        fields[options.company_id_field] = company[COMPANY_ID]
    if fields:
        body["companyFields"] = fields
    return body


def _common(options: ConversionOptions, *, update_only: bool) -> dict[str, JSON]:
    flags = {
        "updateOnly": update_only,
        "syncToCRM": options.sync_to_crm,
        "preserveExistingFields": options.preserve_existing_fields,
    }
    return {name: True for name, value in flags.items() if value}
