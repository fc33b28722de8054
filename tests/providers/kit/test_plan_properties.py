"""What holds of every plan, whatever people and accounts it meets."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mktg_integration.profile import ConsentStatus, normal_email
from mktg_integration.providers.base import Intent, Person, Snapshot, VerdictKind
from mktg_integration.providers.kit.options import KitOptions
from tests.providers.kit.fake import PROVIDER, FakeKit, settle

EMAILS = [f"p{number}@example.com" for number in range(6)]
TAGS = ["a", "b", "c"]
FIELDS = ["city", "role", "size"]
STATES = ["active", "inactive", "cancelled", "bounced", "complained"]
TEXT = st.sampled_from([None, "x", "y"])
TAG_SETS = st.frozensets(st.sampled_from(TAGS))
CONSENT = st.sampled_from(list(ConsentStatus))


def snapshots(email: st.SearchStrategy[str]) -> st.SearchStrategy[Snapshot]:
    values = st.fixed_dictionaries({"first_name": TEXT}, optional={f"fields.{name}": TEXT for name in FIELDS})
    return st.builds(
        Snapshot, email=email, values=values, tags=TAG_SETS, consent=CONSENT, evidence=st.sampled_from(["e1", "e2"])
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[FakeKit, list[Person], KitOptions]:
    """An account, and people as the engine would hand them over: some known, some told of before, some neither."""
    is_oauth = draw(st.booleans())
    kit = FakeKit(is_oauth=is_oauth, fields={name: name for name in draw(st.sets(st.sampled_from(FIELDS)))})
    for name in draw(st.sets(st.sampled_from(TAGS))):
        kit.tag_id(name.upper())
    for email in draw(st.sets(st.sampled_from(EMAILS))):
        kit.add(
            email,
            state=draw(st.sampled_from(STATES)),
            first_name=draw(TEXT),
            fields={name: draw(TEXT) for name in kit.fields},
            tags=draw(st.sets(st.sampled_from(sorted(kit.tags)))) if kit.tags else set(),
        )
    account_tags = {name.lower() for name in kit.tags.values()}
    people = []
    for number, email in enumerate(draw(st.lists(st.sampled_from(EMAILS), unique=True))):
        intent = draw(st.sampled_from([Intent.SYNC] * 4 + [Intent.WITHDRAW, Intent.LEAVE, Intent.FORGET]))
        moves_from = draw(st.none() | st.just(f"old{number}@example.com"))
        sent = draw(st.none() | snapshots(st.just(moves_from or email)))
        stored = kit.by_email(email)
        if sent is not None and moves_from is not None:
            stored = kit.add(moves_from, state=draw(st.sampled_from(STATES)))
        is_known = stored is not None and draw(st.booleans())
        tags = kit.tag_names(stored) if stored is not None else set()
        people.append(
            Person(
                key=f"user:{number}",
                email=email,
                intent=intent,
                wanted=draw(snapshots(st.just(email))) if intent is Intent.SYNC else None,
                explicit=draw(st.booleans()),
                sent=sent,
                owned_tags=sent.tags & tags if sent is not None else frozenset(),
                drop_tags=frozenset(draw(TAG_SETS) & account_tags),
                known=kit.record(stored) if is_known and stored is not None else None,
                known_tags=frozenset(tags) if is_known and draw(st.booleans()) else None,
            )
        )
    options = KitOptions(is_oauth=is_oauth, create_fields=draw(st.booleans()), create_tags=draw(st.booleans()))
    return kit, people, options


@given(situations())
@settings(max_examples=150, deadline=None)
def test_every_plan_settles_and_then_sends_nothing(situation: tuple[FakeKit, list[Person], KitOptions]) -> None:
    kit, people, options = situation
    settled = settle(people, kit, options=options)
    assert not settled.failed
    assert not settled.rejected
    # Only a taken address, met late, with a contact that has to be unsubscribed after it, takes longer.
    assert settled.rounds <= (8 if settled.notes else 6)
    again = PROVIDER.plan(list(settled.people.values()), settled.catalogue, options)
    assert again.calls == ()
    assert {verdict.kind for verdict in settled.verdicts.values()} <= {VerdictKind.NEEDS_PERSON}


@given(situations())
@settings(max_examples=150, deadline=None)
def test_nobody_is_brought_back_and_nothing_of_others_is_touched(
    situation: tuple[FakeKit, list[Person], KitOptions],
) -> None:
    kit, people, options = situation
    before = copy.deepcopy(kit)
    settle(people, kit, options=options)
    wanted = {normal_email(person.wanted.email): person for person in people if person.wanted is not None}
    for stored in kit.subscribers.values():
        was = before.subscribers.get(stored.id)
        person = wanted.get(normal_email(stored.email))
        if was is None:
            assert person is not None
            assert person.wanted is not None
            assert person.wanted.consent is not ConsentStatus.REFUSED
            assert stored.state == "inactive" or person.wanted.consent is ConsentStatus.GRANTED
            continue
        assert stored.state in (was.state, "cancelled")
        named = set().union(*(person.wanted.values for person in people if person.wanted is not None))
        for name, value in was.fields.items():
            assert f"fields.{name}" in named or stored.fields[name] == value


@given(situations())
@settings(max_examples=100, deadline=None)
def test_only_our_tags_are_taken_away(situation: tuple[FakeKit, list[Person], KitOptions]) -> None:
    kit, people, options = situation
    before = copy.deepcopy(kit)
    settle(people, kit, options=options)
    may_go = {tag for person in people for tag in person.owned_tags | person.drop_tags}
    for stored in before.subscribers.values():
        gone = kit.tag_names(stored) - kit.tag_names(kit.subscribers[stored.id])
        assert gone <= may_go


@given(situations())
@settings(max_examples=40, deadline=None)
def test_a_plan_changes_nothing_that_it_was_given(situation: tuple[FakeKit, list[Person], KitOptions]) -> None:
    kit, people, options = situation
    plan = PROVIDER.plan(people, kit.catalogue(), options)
    assert PROVIDER.plan(copy.deepcopy(people), kit.catalogue(), options) == plan
    for call in plan.calls:
        assert call.only(call.items) == call
        assert set(call.patches) <= set(call.items)


def newcomers(number: int, *, tags: int, with_fields: int) -> list[Person]:
    def values(index: int) -> dict[str, Any]:
        named = {"first_name": f"N{index}"}
        return named | {"fields.city": "Paris", "fields.role": "x"} if index < with_fields else named

    return [
        Person(
            key=f"user:{index}",
            email=f"p{index}@example.com",
            wanted=Snapshot(
                email=f"p{index}@example.com",
                values=values(index),
                tags=frozenset(f"t{tag}" for tag in range(tags)),
                consent=ConsentStatus.GRANTED,
                evidence="e",
            ),
        )
        for index in range(number)
    ]


@given(number=st.integers(1, 450), tags=st.integers(0, 3), share=st.sampled_from([0, 0.1, 0.5, 1]))
@settings(max_examples=40, deadline=None)
def test_the_least_calls_by_oauth(number: int, tags: int, share: float) -> None:
    kit = FakeKit(is_oauth=True)
    with_fields = int(number * share)
    settle(newcomers(number, tags=tags, with_fields=with_fields), kit)
    hundreds = -(-number // 100)
    least = -(-(number - with_fields) // 100) + with_fields + tags * hundreds
    assert len(kit.log) <= least * 1.05 + 5
    assert len(kit.subscribers) == number
    assert all(len(stored.tags) == tags for stored in kit.subscribers.values())


@given(number=st.integers(1, 60), tags=st.integers(0, 3))
@settings(max_examples=30, deadline=None)
def test_the_least_calls_by_key(number: int, tags: int) -> None:
    kit = FakeKit(is_oauth=False)
    settle(newcomers(number, tags=tags, with_fields=number // 2), kit)
    assert len(kit.log) <= number * (1 + tags) + tags + 2


@pytest.mark.parametrize("is_oauth", [True, False])
def test_people_in_step_cost_nothing(is_oauth: bool) -> None:
    kit = FakeKit(is_oauth=is_oauth)
    people = newcomers(150, tags=2, with_fields=20)
    settled = settle(people, kit)
    kit.log.clear()
    rest = [replace(person, fresh=False) for person in settled.people.values()]
    settle(rest, kit, catalogue=settled.catalogue)
    assert kit.log == []
