"""One plan for many people: each person's next step, gathered into the fewest calls."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mktg_integration.providers.base import Call, Person, Plan, Verdict
from mktg_integration.providers.conversion import plan_v1, plan_v2, steps
from mktg_integration.providers.conversion.normal import COMPANY_ID
from mktg_integration.providers.conversion.options import ConversionOptions, Dialect
from mktg_integration.providers.conversion.steps import Need, Next

JSON = Any
Items = list[tuple[str, Need]]

SINGLE = frozenset({steps.READ, steps.ERASE, steps.V1_REMOVE})
"""Operations whose endpoint takes one address in its path."""


def plan(people: Sequence[Person], options: ConversionOptions) -> Plan:
    """The fewest next calls for these people; pure."""
    verdicts: dict[str, Verdict] = {}
    notes: dict[str, str] = {}
    gathered: dict[tuple[object, ...], Items] = {}
    for person, step in _next_steps(people, options):
        if step.verdict is not None:
            verdicts[person.key] = step.verdict
        if step.note:
            notes[person.key] = step.note
        for need in step.needs:
            kind = (need.operation, need.urgent, frozenset(need.common.items()))
            gathered.setdefault(kind, []).append((person.key, need))
    calls = tuple(_call(part) for items in gathered.values() for part in _parts(items, options))
    return Plan(calls=calls, verdicts=verdicts, notes=notes)


def _next_steps(people: Sequence[Person], options: ConversionOptions) -> Iterator[tuple[Person, Next]]:
    if options.dialect is Dialect.V2:
        return ((person, plan_v2.next_step(person, options)) for person in people)
    return ((person, plan_v1.next_step(person, options)) for person in plan_v1.with_held(people))


def _parts(items: Items, options: ConversionOptions) -> Iterable[Items]:
    operation = items[0][1].operation
    if operation == steps.V1_COMPANIES:
        return _by_company(items, options.batch_size)
    size = 1 if operation in SINGLE else options.batch_size
    return (items[start : start + size] for start in range(0, len(items), size))


def _by_company(items: Items, size: int) -> Iterator[Items]:
    """People of the same company share its item: ``size`` counts companies."""
    by_id: dict[str, Items] = {}
    for key, need in items:
        by_id.setdefault(need.item["company"][COMPANY_ID], []).append((key, need))
    groups = list(by_id.values())
    for start in range(0, len(groups), size):
        yield [item for group in groups[start : start + size] for item in group]


def _call(items: Items) -> Call:
    first = items[0][1]
    return Call(
        operation=first.operation,
        items={key: need.item for key, need in items},
        common=first.common,
        patches=_patches(items),
        urgent=first.urgent,
    )


def _patches(items: Items) -> Mapping[str, Any]:
    return {key: need.patch for key, need in items}
