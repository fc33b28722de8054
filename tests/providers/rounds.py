"""Runs a provider's plan as the push engine does, in rounds, without database or HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.providers.base import Answer, Call, Catalogue, Outcome, Patch, Person, Provider, Result, Verdict

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

    @property
    def operations(self) -> list[str]:
        return [call.operation for call in self.calls]


def settle(
    provider: Provider[Any, Any],
    people: Iterable[Person],
    client: Any,
    options: Any,
    *,
    most_rounds: int = MOST_ROUNDS,
) -> Settled:
    """Plan, call, fold, until nothing is left to call; fails where that takes more than ``most_rounds``."""
    out = Settled(people={person.key: person for person in people})
    active = set(out.people)
    for _ in range(most_rounds + 1):
        plan = provider.plan([out.people[key] for key in sorted(active)], Catalogue(), options)
        out.notes.update(plan.notes)
        out.verdicts.update(plan.verdicts)
        active = {key for call in plan.calls for key in call.items} - set(plan.verdicts)
        if not plan.calls:
            return out
        for call in sorted(plan.calls, key=lambda call: not call.urgent):
            out.calls.append(call)
            answer = _execute(provider.execute, call, client)
            assert set(answer.results) == set(call.items)
            for key, result in answer.results.items():
                _fold(out, key, call.patches.get(key, Patch()), result)
        active -= set(out.ended)
    raise AssertionError(f"not settled after {most_rounds} rounds: {out.operations}")


def _execute(execute: Callable[[Call, Any], Answer], call: Call, client: Any) -> Answer:
    """A batch that is refused whole is cut in two, as the engine does."""
    try:
        return execute(call, client)
    except ServiceError as error:
        if error.action is not Action.REJECT:
            raise
        keys = list(call.items)
        if len(keys) == 1:
            return Answer(results={keys[0]: Result(outcome=Outcome.REJECTED, code=error.code)})
        halves = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
        return Answer(
            results={k: r for half in halves for k, r in _execute(execute, call.only(half), client).results.items()}
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
