"""Runs a provider's plan as the push engine does, in rounds, without a database: for tests of providers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.providers.base import Answer, Call, Catalogue, Outcome, Patch, Person, Provider, Result, Verdict
from mktg_integration.records import CompanyRecord

MOST_ROUNDS = 6


@dataclass
class Settled:
    """What became of the people, and every call that was made."""

    people: dict[str, Person]
    calls: list[Call] = field(default_factory=list)
    verdicts: dict[str, Verdict] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    ended: dict[str, Result] = field(default_factory=dict)
    """Who was rejected, or has to be tried again."""
    companies: list[CompanyRecord] = field(default_factory=list)
    catalogue: Catalogue = field(default_factory=Catalogue)
    """The tags and fields that the account was found to have, or given."""

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]


def settle(
    provider: Provider[Any, Any],
    people: Iterable[Person],
    client: Any,
    options: Any,
    *,
    catalogue: Catalogue | None = None,
    most_rounds: int = MOST_ROUNDS,
) -> Settled:
    """Plan, call, fold, until nothing is left to call.

    Raises ``AssertionError`` where that takes more than ``most_rounds``, where a round leads nowhere, or where an
    answer does not speak of exactly the people that its call carried; and what ``execute`` raises.
    """
    out = Settled(people={person.key: person for person in people}, catalogue=catalogue or Catalogue())
    active = set(out.people)
    for _ in range(most_rounds + 1):
        plan = provider.plan([out.people[key] for key in sorted(active)], out.catalogue, options)
        out.notes.update(plan.notes)
        out.verdicts.update(plan.verdicts)
        out.people |= {key: out.people[key].told(patch, Result()) for key, patch in plan.patches.items()}
        active = {key for call in plan.calls for key in call.items} - set(plan.verdicts)
        if not plan.calls:
            return out
        for call in sorted(plan.calls, key=lambda call: (not call.urgent, bool(call.items))):
            _make(out, provider, call, client)
        active -= set(out.ended)
    raise AssertionError(f"not settled after {most_rounds} rounds: {out.operations}")


def _make(out: Settled, provider: Provider[Any, Any], call: Call, client: Any) -> None:
    out.calls.append(call)
    answer = execute_or_bisect(provider.execute, call, client)
    assert set(answer.results) == set(call.items), f"{call.operation}: the answer speaks of others than the call"
    out.companies += answer.companies
    out.catalogue = Catalogue(
        tags={**out.catalogue.tags, **{provider.normal_tag(tag.name): tag for tag in answer.tags}},
        fields={**out.catalogue.fields, **{record.key: record for record in answer.fields}},
    )
    for key, result in answer.results.items():
        _fold(out, key, call.patches.get(key, Patch()), result)


def execute_or_bisect(execute: Callable[[Call, Any], Answer], call: Call, client: Any) -> Answer:
    """Make the call; a batch that is refused whole is cut in two, as the engine does."""
    try:
        return execute(call, client)
    except ServiceError as error:
        if error.action is not Action.REJECT or not call.items:
            raise
        keys = list(call.items)
        if len(keys) == 1:
            reason = "; ".join(error.messages)
            return Answer(results={keys[0]: Result(outcome=Outcome.REJECTED, code=error.code, reason=reason)})
        halves = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
        answers = [execute_or_bisect(execute, call.only(half), client) for half in halves]
        return Answer(
            results={key: result for answer in answers for key, result in answer.results.items()},
            companies=[company for answer in answers for company in answer.companies],
        )


def _fold(out: Settled, key: str, patch: Patch, result: Result) -> None:
    person = out.people[key]
    if result.outcome is Outcome.DONE:
        out.people[key] = person.told(patch, result)
    elif result.outcome is Outcome.ABSENT:
        out.people[key] = replace(person, known=None, known_tags=None, absent=True)
    elif result.outcome is Outcome.TAKEN:
        out.people[key] = replace(person, taken=True)
    else:
        out.ended[key] = result
