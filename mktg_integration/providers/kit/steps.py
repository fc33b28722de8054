"""One person's next step at Kit: what still differs, and which requests it needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from mktg_integration.profile import ConsentStatus, normal_email
from mktg_integration.providers.base import (
    Catalogue,
    Intent,
    Patch,
    Person,
    Snapshot,
    Verdict,
    VerdictKind,
    normal_name,
)
from mktg_integration.providers.consent import Step, consent_step, may_be_mailed
from mktg_integration.providers.kit.normal import FIELD, FIRST_NAME, field_key
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.records import ContactRecord, ContactStatus, CustomFieldRecord

JSON = Any

# Operations: what ``push.execute`` can do.
FIND = "find"
READ = "read"
UPSERT = "upsert"
UPDATE = "update"
BULK_UPSERT = "bulk_upsert"
UNSUBSCRIBE = "unsubscribe"
TAG = "tag"
BULK_TAG = "bulk_tag"
UNTAG = "untag"
CREATE_TAG = "create_tag"
BULK_CREATE_TAGS = "bulk_create_tags"
LIST_TAGS = "list_tags"
CREATE_FIELD = "create_field"
BULK_CREATE_FIELDS = "bulk_create_fields"
LIST_FIELDS = "list_fields"
ADD_TO_FORM = "add_to_form"
LIST_FORMS = "list_forms"

INHERITED = "inherited"
"""In place of evidence: a contact was linked whose predecessor had opted out, and has still to be unsubscribed."""
_KEPT = "kept"

NEEDS_CONFIRMATION = (
    "not subscribed: Kit's API cannot activate an inactive subscriber; add the person to a form with confirmation"
)
CANNOT_RESUBSCRIBE = (
    "not subscribed: Kit's API cannot bring back who opted out; the person can, with a form and its confirmation"
)
AWAITS_CONFIRMATION = "not subscribed yet: the person is on a form of Kit's and has still to confirm"
LINKED = (
    "the new address belonged to another Kit subscriber, which is now this person's; the subscriber at the old address "
    "was left, without our tags: delete it in Kit's own pages if it is not needed"
)
ERASE_BY_HAND = Verdict(
    kind=VerdictKind.NEEDS_PERSON,
    code="erase_by_hand",
    reason="Kit's API cannot delete subscribers: this one is unsubscribed and without our tags; delete it in Kit's own "
    "pages",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Need:
    """One item of a call to be."""

    operation: str
    item: JSON
    patch: Patch = field(default_factory=Patch)


@dataclass(frozen=True, kw_only=True, slots=True)
class Next:
    """What comes next for one person; no needs and no verdict: done."""

    needs: tuple[Need, ...] = ()
    verdict: Verdict | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class World:
    """The account as the plan knows it."""

    catalogue: Catalogue
    options: KitOptions
    fields: Mapping[str, CustomFieldRecord] = field(init=False)
    """By key, and by the key that their label makes."""

    def __post_init__(self) -> None:
        records = self.catalogue.fields.values()
        by_key = {record.key.casefold(): record for record in records}
        object.__setattr__(self, "fields", {**{field_key(record.label): record for record in records}, **by_key})


def next_step(person: Person, world: World) -> Next:
    """The requests that this person needs now; those that need an earlier answer come with a later plan."""
    if person.intent is not Intent.SYNC or person.wanted is None:
        return _leaving(person, world)
    if person.known is None:
        return _missing(person, person.wanted, world)
    return _existing(person, person.wanted, person.known, world)


# Going


def _leaving(person: Person, world: World) -> Next:
    known = person.known
    if known is None:
        is_due = consent_step(person) is Step.UNSUBSCRIBE or person.intent is Intent.FORGET
        return Next(needs=(_find(person),)) if is_due and not person.absent else Next()
    if consent_step(person) is Step.UNSUBSCRIBE:
        return Next(needs=(_unsubscribe(known, ""),))
    untags = _untags(person, known, world)
    if untags or person.intent is not Intent.FORGET:
        return Next(needs=untags)
    return Next(verdict=ERASE_BY_HAND)


# New


def _missing(person: Person, wanted: Snapshot, world: World) -> Next:
    """Somebody of whom no contact is known."""
    step = consent_step(person)
    if wanted.consent is ConsentStatus.REFUSED:
        # To be unsubscribed wherever there is a contact; nobody is created for it.
        return Next(needs=(_find(person),) if step is Step.UNSUBSCRIBE else ())
    if person.sent is not None and not person.absent:
        return Next(needs=(_find(person),))
    changes = _changes(person, wanted, None, world)
    tags = _tag_changes(person, wanted, None, world)
    notes = changes.notes + tags.notes
    if changes.to_create:
        return Next(needs=(*_create_fields(person, changes.to_create), *tags.needs), notes=notes)
    # Whom a form asks for confirmation stays inactive until it comes.
    granted = step in (Step.SUBSCRIBE, Step.RESUBSCRIBE) and not _form(person, wanted, world)
    item = {
        "email_address": wanted.email,
        "first_name": wanted.values.get(FIRST_NAME),
        "state": "active" if granted else "inactive",
        "fields": changes.fields,
    }
    # The bulk call makes active subscribers and takes no fields. Whom it did not return is asked for singly.
    in_bulk = world.options.is_oauth and granted and not changes.fields and not person.absent
    patch = Patch(
        email=wanted.email,
        values=changes.values,
        consent=ConsentStatus.GRANTED if granted else None,
        evidence=wanted.evidence if granted else "",
    )
    upsert = Need(operation=BULK_UPSERT if in_bulk else UPSERT, item=item, patch=patch)
    return Next(needs=(upsert, *tags.needs), notes=notes)


# There


def _existing(person: Person, wanted: Snapshot, known: ContactRecord, world: World) -> Next:
    step = consent_step(person)
    inherits = person.sent is not None and person.sent.evidence == INHERITED and not known.status.opted_out
    if step is Step.UNSUBSCRIBE or (inherits and step is not Step.RESUBSCRIBE):
        # Alone in its round: an answer given before it would take the contact for active again.
        return Next(needs=(_unsubscribe(known, wanted.evidence),))
    if step is not Step.NONE and known.status is ContactStatus.UNREAD:
        return Next(needs=(Need(operation=READ, item={"id": known.remote_id}),))
    if person.taken:
        return _link(person, wanted, known, world)
    changes = _changes(person, wanted, known, world)
    tags = _tag_changes(person, wanted, known, world)
    form = _join_form(person, wanted, known, world)
    notes = (*changes.notes, *tags.notes, *(() if form else _consent_notes(person, step, known, world)))
    if changes.to_create:
        return Next(needs=(*_create_fields(person, changes.to_create), *tags.needs), notes=notes)
    moved = _is_moved(person, wanted, known)
    needs = [*tags.needs, *form]
    if changes.values or moved:
        needs.insert(0, _update(person, wanted, known, changes, moved=moved, is_oauth=world.options.is_oauth))
    return Next(needs=tuple(needs), notes=notes)


def _update(
    person: Person, wanted: Snapshot, known: ContactRecord, changes: _Changes, *, moved: bool, is_oauth: bool
) -> Need:
    item: dict[str, JSON] = {
        "id": known.remote_id,
        "email_address": wanted.email if moved else known.email,
        "fields": changes.fields,
        "moved": moved,
    }
    if FIRST_NAME in changes.values:
        item["first_name"] = changes.values[FIRST_NAME]
    patch = Patch(email=wanted.email if moved else None, values=changes.values)
    in_bulk = (
        is_oauth
        and set(changes.values) == {FIRST_NAME}
        and not moved
        and known.status is ContactStatus.ACTIVE
        and may_be_mailed(person)
    )
    return Need(operation=BULK_UPSERT if in_bulk else UPDATE, item=item, patch=patch)


def _is_moved(person: Person, wanted: Snapshot, known: ContactRecord) -> bool:
    """The address was changed here and is not yet so there; one changed there only is drift."""
    email = normal_email(wanted.email)
    was_sent = person.sent is not None and normal_email(person.sent.email) == email
    return not was_sent and normal_email(known.email) != email


def _link(person: Person, wanted: Snapshot, known: ContactRecord, world: World) -> Next:
    """The address belongs to another contact: our tags leave the old one, then the other one takes its place."""
    untags = tuple(_untag(name, known, world) for name in sorted(person.owned_tags & world.catalogue.tags.keys()))
    if untags:
        return Next(needs=untags, notes=(LINKED,))
    told_refused = person.sent is not None and person.sent.consent is ConsentStatus.REFUSED
    is_out = known.status.opted_out or (known.status is ContactStatus.UNREAD and told_refused)
    inherits = is_out and consent_step(person) is not Step.RESUBSCRIBE
    patch = Patch(
        email=wanted.email,
        # What was sent went to the old contact: of this one nothing has been told yet.
        values=dict.fromkeys(person.sent.values) if person.sent is not None else {},
        consent=ConsentStatus.REFUSED if inherits else None,
        evidence=INHERITED if inherits else "",
    )
    find = Need(operation=FIND, item={"email_address": wanted.email, "is_there": True}, patch=patch)
    return Next(needs=(find,), notes=(LINKED,))


# Confirmation by a form


def _form(person: Person, wanted: Snapshot, world: World) -> str:
    """The form for a ``subscribe()`` of which Kit has not been told yet; nothing else puts anybody on a form."""
    if not person.explicit or consent_step(person) is not Step.RESUBSCRIBE:
        return ""
    return wanted.form or world.options.form


def _join_form(person: Person, wanted: Snapshot, known: ContactRecord, world: World) -> tuple[Need, ...]:
    name = _form(person, wanted, world)
    if not name or known.status in (ContactStatus.BOUNCED, ContactStatus.COMPLAINED):
        # Kit keeps both as they are, whatever a form says.
        return ()
    form = name if name.isdigit() else world.catalogue.forms.get(normal_name(name))
    if form is None:
        return (Need(operation=LIST_FORMS, item=name),)
    patch = Patch(consent=ConsentStatus.GRANTED, evidence=wanted.evidence)
    return (Need(operation=ADD_TO_FORM, item={"id": known.remote_id, "form": form}, patch=patch),)


def _consent_notes(person: Person, step: Step, known: ContactRecord, world: World) -> tuple[str, ...]:
    granted = person.wanted is not None and person.wanted.consent is ConsentStatus.GRANTED
    if not granted or (step is Step.NONE and not person.explicit):
        return ()
    if known.status is ContactStatus.INACTIVE:
        by_form = person.wanted is not None and (person.wanted.form or world.options.form)
        return (AWAITS_CONFIRMATION if person.explicit and by_form else NEEDS_CONFIRMATION,)
    return (CANNOT_RESUBSCRIBE,) if known.status.opted_out else ()


# Values


@dataclass(frozen=True, kw_only=True, slots=True)
class _Changes:
    """``values`` by their normal names, ``fields`` of them by Kit's keys; ``to_create`` by normal names."""

    values: Mapping[str, JSON]
    fields: Mapping[str, str]
    to_create: tuple[str, ...]
    notes: tuple[str, ...]


def _changes(person: Person, wanted: Snapshot, known: ContactRecord | None, world: World) -> _Changes:
    """The three-way difference, as far as the account has (or may be given) the fields for it."""
    sent = person.sent.values if person.sent is not None and known is not None else {}
    values: dict[str, JSON] = {}
    fields: dict[str, str] = {}
    to_create: list[str] = []
    notes: list[str] = []
    for name, value in wanted.values.items():
        if value == sent.get(name):
            if known is None and not name.startswith(FIELD):
                values[name] = value
            continue
        if not name.startswith(FIELD):
            if known is None or known.values.get(name) != value:
                values[name] = value
            continue
        key = name.removeprefix(FIELD)
        record = world.fields.get(key)
        if record is None:
            if value is None:
                continue
            if world.options.create_fields:
                to_create.append(name)
            else:
                label = wanted.labels.get(name, key)
                notes.append(f"custom field {label!r} was left out: create it in Kit, or set CREATE_FIELDS")
            continue
        if known is None or known.values.get(FIELD + record.key) != value:
            values[name] = value
            fields[record.key] = value or ""
    return _Changes(values=values, fields=fields, to_create=tuple(to_create), notes=tuple(notes))


def _create_fields(person: Person, names: Iterable[str]) -> tuple[Need, ...]:
    # A refused creation means that the field is there: then it is looked up.
    operation = LIST_FIELDS if person.barred else CREATE_FIELD
    labels = person.wanted.labels if person.wanted is not None else {}
    return (Need(operation=operation, item=[labels.get(name, name.removeprefix(FIELD)) for name in names]),)


# Tags


@dataclass(frozen=True, kw_only=True, slots=True)
class _TagChanges:
    needs: tuple[Need, ...]
    notes: tuple[str, ...]


def _tag_changes(person: Person, wanted: Snapshot, known: ContactRecord | None, world: World) -> _TagChanges:
    """Tags to add and to remove; of a person who is not there yet only those that the account lacks."""
    sent = person.sent.tags if person.sent is not None and known is not None else frozenset()
    to_add = sorted(wanted.tags - sent - (person.known_tags or frozenset()))
    lacking = [name for name in to_add if name not in world.catalogue.tags]
    needs: list[Need] = []
    notes: list[str] = []
    if lacking and world.options.create_tags:
        operation = LIST_TAGS if person.barred else CREATE_TAG
        needs.append(Need(operation=operation, item=[wanted.labels.get(name, name) for name in lacking]))
    elif lacking:
        shown = ", ".join(repr(wanted.labels.get(name, name)) for name in lacking)
        notes.append(f"tags were left out: create {shown} in Kit, or set CREATE_TAGS")
    if known is not None:
        there = [name for name in to_add if name in world.catalogue.tags]
        needs += [_tag(name, known, world) for name in there]
        needs += _untags(person, known, world)
    return _TagChanges(needs=tuple(needs), notes=tuple(notes))


def _untags(person: Person, known: ContactRecord, world: World) -> tuple[Need, ...]:
    wanted = person.wanted.tags if person.wanted is not None else frozenset()
    sent = person.sent.tags if person.sent is not None else frozenset()
    may_have = person.drop_tags if person.known_tags is None else person.drop_tags & (person.known_tags | sent)
    names = ((person.owned_tags | may_have) - wanted) & world.catalogue.tags.keys()
    return tuple(_untag(name, known, world) for name in sorted(names))


# Requests


def _find(person: Person) -> Need:
    email = person.sent.email if person.sent is not None else person.email
    return Need(operation=FIND, item={"email_address": email, "is_there": False})


def _unsubscribe(known: ContactRecord, evidence: str) -> Need:
    patch = Patch(consent=ConsentStatus.REFUSED, evidence=evidence or _KEPT, status=ContactStatus.UNSUBSCRIBED)
    return Need(operation=UNSUBSCRIBE, item={"id": known.remote_id}, patch=patch)


def _tag(name: str, known: ContactRecord, world: World) -> Need:
    item = {"id": known.remote_id, "tag_id": world.catalogue.tags[name].remote_id, "name": name}
    return Need(operation=TAG, item=item, patch=Patch(tags_added=frozenset({name})))


def _untag(name: str, known: ContactRecord, world: World) -> Need:
    item = {"id": known.remote_id, "tag_id": world.catalogue.tags[name].remote_id}
    return Need(operation=UNTAG, item=item, patch=Patch(tags_removed=frozenset({name})))
