"""All people's next steps, gathered into the fewest calls that Kit's document allows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

from mktg_integration.providers.base import Call, Catalogue, Patch, Person, Plan
from mktg_integration.providers.kit import steps
from mktg_integration.providers.kit.client.base import MAX_SYNCHRONOUS
from mktg_integration.providers.kit.normal import field_key, normal_tag
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.providers.kit.steps import Need, World, next_step

JSON = Any
T = TypeVar("T")
Owned = tuple[str, Need]
"""A need and the key of the person who has it."""

_CREATIONS = {
    steps.CREATE_TAG: (steps.BULK_CREATE_TAGS, normal_tag),
    steps.CREATE_FIELD: (steps.BULK_CREATE_FIELDS, field_key),
}
_LATER = {steps.BULK_UPSERT, steps.TAG}
"""What Kit also carries out later, more than a hundred at a time ("Bulk and async processing")."""
_LISTS = (steps.LIST_TAGS, steps.LIST_FIELDS, steps.LIST_FORMS)


def plan(people: Sequence[Person], catalogue: Catalogue, options: KitOptions) -> Plan:
    """The calls that bring these people on, and what cannot be done by calls (a pure function)."""
    world = World(catalogue, options)
    verdicts = {}
    notes = {}
    needs: dict[str, list[Owned]] = {}
    for person in people:
        step = next_step(person, world)
        if step.verdict is not None:
            verdicts[person.key] = step.verdict
        if step.notes:
            notes[person.key] = "; ".join(dict.fromkeys(step.notes))
        for need in step.needs:
            needs.setdefault(need.operation, []).append((person.key, need))
    patient = _patient(people, needs)
    calls = [call for operation in sorted(needs) for call in _calls(operation, needs[operation], options, patient)]
    return Plan(calls=tuple(calls), verdicts=verdicts, notes=notes)


def _patient(people: Sequence[Person], needs: Mapping[str, Sequence[Owned]]) -> frozenset[str]:
    """Who needs one kind of bulk request and, but of the account, nothing else now: nobody is to be in two calls while
    one of them waits."""
    wanted: dict[str, set[str]] = {}
    for operation, owned in needs.items():
        if operation in _CREATIONS or operation in _LISTS:
            continue
        for key, _ in owned:
            wanted.setdefault(key, set()).add(operation)
    return frozenset(
        person.key
        for person in people
        if person.patient and len(wanted.get(person.key, ())) == 1 and wanted[person.key] <= _LATER
    )


def _apart(needs: list[Owned], patient: frozenset[str]) -> tuple[list[Owned], list[Owned]]:
    """What is asked for at once, and what later: only more items than the former can carry."""
    later = [owned for owned in needs if owned[0] in patient]
    if len(later) <= MAX_SYNCHRONOUS:
        return needs, []
    return [owned for owned in needs if owned[0] not in patient], later


def _calls(operation: str, needs: list[Owned], options: KitOptions, patient: frozenset[str]) -> Iterator[Call]:
    if operation in _CREATIONS:
        yield from _creations(operation, needs, options)
    elif operation in _LISTS:
        yield Call(operation=operation, items={key: need.item for key, need in needs})
    elif operation == steps.BULK_UPSERT:
        at_once, later = _apart(needs, patient)
        if later:
            yield replace(_bulk_upsert(later), later=True)
        for chunk in _chunks(at_once, MAX_SYNCHRONOUS):
            yield _bulk_upsert(chunk)
    elif operation == steps.TAG and options.is_oauth:
        at_once, later = _apart(needs, patient)
        if later:
            yield replace(_bulk_tag(later), later=True)
        by_tag = sorted(at_once, key=lambda owned: (owned[1].item["tag_id"], owned[0]))
        for chunk in _chunks(by_tag, MAX_SYNCHRONOUS):
            yield _bulk_tag(chunk)
    else:
        yield from (_single(operation, key, need) for key, need in needs)


def _single(operation: str, key: str, need: Need) -> Call:
    return Call(
        operation=operation,
        items={key: need.item},
        patches={key: need.patch},
        urgent=operation == steps.UNSUBSCRIBE,
    )


def _bulk_upsert(chunk: Sequence[Owned]) -> Call:
    if len(chunk) == 1:
        # As many calls, and a clearer answer.
        [(key, need)] = chunk
        return _single(steps.UPDATE if "id" in need.item else steps.UPSERT, key, need)
    return Call(
        operation=steps.BULK_UPSERT,
        items={key: need.item for key, need in chunk},
        patches={key: need.patch for key, need in chunk},
    )


def _bulk_tag(chunk: Sequence[Owned]) -> Call:
    if len(chunk) == 1:
        [(key, need)] = chunk
        return _single(steps.TAG, key, need)
    items: dict[str, list[JSON]] = {}
    added: dict[str, frozenset[str]] = {}
    for key, need in chunk:
        items.setdefault(key, []).append(need.item)
        added[key] = added.get(key, frozenset()) | need.patch.tags_added
    patches = {key: Patch(tags_added=names) for key, names in added.items()}
    return Call(operation=steps.BULK_TAG, items=items, patches=patches)


def _creations(operation: str, needs: list[Owned], options: KitOptions) -> Iterator[Call]:
    """One call for each name, or one for a hundred of them. The people who wait for a name are its items."""
    in_bulk, normal = _CREATIONS[operation]
    waiting: dict[str, tuple[str, list[str]]] = {}
    for key, need in needs:
        for name in need.item:
            waiting.setdefault(normal(name), (name, []))[1].append(key)
    size = MAX_SYNCHRONOUS if options.is_oauth else 1
    for chunk in _chunks(waiting.values(), size):
        items: dict[str, list[str]] = {}
        for name, keys in chunk:
            for key in keys:
                items.setdefault(key, []).append(name)
        yield Call(operation=operation if len(chunk) == 1 else in_bulk, items=items)


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk
