"""The plan for ConvertLoop: one call carries all of one person. Nothing can be read, unsubscribed or deleted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from mktg_integration.profile import ConsentStatus, normal_email
from mktg_integration.providers.base import Call, Intent, Patch, Person, Plan, Snapshot, Verdict, VerdictKind
from mktg_integration.providers.consent import Step, consent_step, may_be_mailed
from mktg_integration.providers.convertloop.normal import IDENTITY, PASSING, identity
from mktg_integration.providers.values import is_same
from mktg_integration.records import ContactStatus

JSON = Any

REMOVED = "remove_from_segments"
"""Among the values last sent: the segments that ``remove_tag()`` took away. Nothing can be read, so it is remembered,
or each later save would take them away again."""

IDENTIFY = "identify"
LOG_EVENT = "log_event"

UNSUBSCRIBE_BY_HAND = Verdict(
    kind=VerdictKind.NEEDS_PERSON,
    code="unsubscribe_by_hand",
    reason="ConvertLoop has no call that unsubscribes: our segments are taken away; unsubscribe the person in "
    "ConvertLoop's own pages",
)
DELETE_BY_HAND = Verdict(
    kind=VerdictKind.NEEDS_PERSON,
    code="delete_by_hand",
    reason="ConvertLoop has no call that deletes: our segments are taken away; delete the person in ConvertLoop's "
    "own pages",
)
WOULD_BE_MADE = Verdict(
    kind=VerdictKind.REJECTED,
    code="may_not_be_mailed",
    reason="ConvertLoop does not know this person, who may not be mailed: the event would make them there",
)


class Next(NamedTuple):
    """What comes next for one person; nothing at all: done."""

    item: dict[str, JSON] | None = None
    patch: Patch = Patch()
    verdict: Verdict | None = None
    told: Patch | None = None
    """What counts as told once the verdict is given."""
    urgent: bool = False


def plan(people: Sequence[Person]) -> Plan:
    """The fewest next calls for these people; pure."""
    calls: list[Call] = []
    verdicts: dict[str, Verdict] = {}
    patches: dict[str, Patch] = {}
    for person in people:
        step = _next_step(person)
        if step.item is not None:
            calls.append(
                Call(
                    operation=IDENTIFY,
                    items={person.key: step.item},
                    patches={person.key: step.patch},
                    urgent=step.urgent,
                )
            )
        elif step.verdict is not None:
            verdicts[person.key] = step.verdict
            if step.told is not None:
                patches[person.key] = step.told
    return Plan(calls=tuple(calls), verdicts=verdicts, patches=patches)


def _next_step(person: Person) -> Next:
    was_there = _was_there(person)
    is_refused, told = _is_to_be_unsubscribed(person), None
    if person.wanted is not None and person.intent is Intent.SYNC:
        if person.wanted.consent is ConsentStatus.REFUSED and not was_there:
            return Next()
        step = _sync(person, person.wanted)
        told = Patch(consent=ConsentStatus.REFUSED, evidence=person.wanted.evidence) if is_refused else None
    elif was_there:
        step = _take_segments(person)
    else:
        return Next()
    verdict = UNSUBSCRIBE_BY_HAND if is_refused else None
    if person.intent is Intent.FORGET:
        verdict = DELETE_BY_HAND
    return step._replace(verdict=verdict, told=told, urgent=verdict is not None)


def _was_there(person: Person) -> bool:
    return person.sent is not None or person.known is not None


def would_be_made(person: Person) -> bool:
    """Whether an event would make somebody there who refused or leaves: whom an event names is made, to be mailed."""
    if _was_there(person):
        return False
    wanted = person.wanted if person.intent is Intent.SYNC else None
    return wanted is None or wanted.consent is ConsentStatus.REFUSED


def _is_to_be_unsubscribed(person: Person) -> bool:
    """A person is asked once for each refusal: again only where the row was tried before, and may not have said so."""
    wanted, sent = person.wanted, person.sent
    if person.intent is Intent.SYNC and sent is not None and sent.consent is ConsentStatus.REFUSED:
        return person.tried and wanted is not None and wanted.consent is ConsentStatus.REFUSED
    return consent_step(person) is Step.UNSUBSCRIBE


def _sync(person: Person, wanted: Snapshot) -> Next:
    step = consent_step(person)
    added = _tags_to_add(person, wanted)
    removed = _tags_to_remove(person, wanted)
    changed = _changed(person, wanted)
    gone = (_told_gone(person) | (removed & person.drop_tags)) - added
    is_moved = _last_address(person) != normal_email(wanted.email)
    resubscribes = step is Step.RESUBSCRIBE
    if not (added or removed or set(changed) - PASSING or is_moved or resubscribes):
        return Next()
    item = {**changed, **identity(wanted.email, wanted.values), **_segments(added, removed)}
    if resubscribes:
        item["resubscribe"] = True
    is_granted = step in (Step.SUBSCRIBE, Step.RESUBSCRIBE)
    patch = Patch(
        email=wanted.email,
        values=changed if gone == _told_gone(person) else {**changed, REMOVED: sorted(gone) or None},
        tags_added=added,
        tags_removed=removed,
        consent=ConsentStatus.GRANTED if is_granted else None,
        evidence=wanted.evidence if is_granted else "",
        status=ContactStatus.ACTIVE if resubscribes else None,
    )
    return Next(item, patch)


def _take_segments(person: Person) -> Next:
    removed = _tags_to_remove(person, None)
    if not removed:
        return Next()
    values = person.sent.values if person.sent is not None else {}
    if person.known is not None:
        values = {**person.known.values, **values}
    email = person.sent.email if person.sent is not None else person.email
    return Next({**identity(email, values), **_segments(frozenset(), removed)}, Patch(tags_removed=removed))


def _tags_to_add(person: Person, wanted: Snapshot) -> frozenset[str]:
    """Segments are where mail starts, so nobody is added who may not be mailed."""
    if not may_be_mailed(person):
        return frozenset()
    sent = person.sent.tags if person.sent is not None else frozenset()
    return wanted.tags - sent - (person.known_tags or frozenset())


def _tags_to_remove(person: Person, wanted: Snapshot | None) -> frozenset[str]:
    """Ours that are wanted no more, all of ours of somebody refused, and what was taken away explicitly."""
    kept = wanted.tags if wanted is not None else frozenset()
    is_refused = wanted is None or wanted.consent is ConsentStatus.REFUSED
    ours = person.owned_tags if is_refused else person.owned_tags - kept
    dropped = person.drop_tags - kept
    if person.known_tags is not None:
        return ours | (dropped & person.known_tags)
    return ours | (dropped - _told_gone(person))


def _told_gone(person: Person) -> frozenset[str]:
    return frozenset(person.sent.values.get(REMOVED) or ()) if person.sent is not None else frozenset()


def _changed(person: Person, wanted: Snapshot) -> dict[str, JSON]:
    """The three-way difference of attributes: not sent, and not so at the service as far as is known."""
    sent = person.sent.values if person.sent is not None else {}
    known = person.known.values if person.known is not None else {}
    return {
        name: value
        for name, value in wanted.values.items()
        if not is_same(value, sent.get(name)) and not (name in known and is_same(value, known[name]))
    }


def _last_address(person: Person) -> str:
    if person.known is not None:
        return normal_email(person.known.email)
    return normal_email(person.sent.email) if person.sent is not None else ""


def _segments(added: frozenset[str], removed: frozenset[str]) -> dict[str, list[str]]:
    named = {"add_to_segments": sorted(added), REMOVED: sorted(removed)}
    return {key: names for key, names in named.items() if names}


def riding(person: Person) -> Next | None:
    """All that is to be told of this person, where an event's ``person`` can hold it: attributes and segments; of
    ``resubscribe`` the document says nothing there."""
    if person.intent is not Intent.SYNC:
        return None
    step = _next_step(person)
    if step.item is None or step.verdict is not None or "resubscribe" in step.item:
        return None
    return step


def event_person(person: Person) -> dict[str, str]:
    """Who an event is of: as they were last sent, or the address alone."""
    snapshot = person.sent or person.wanted
    if snapshot is None:
        return identity(person.email, {})
    return identity(snapshot.email, {name: snapshot.values.get(name) for name in IDENTITY})
