"""What a ConvertLoop account holds: people, found by any of three identities, and event logs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import WorldError
from ..tally import Tally
from ..values import iso_time, same_address
from ..worldmodel import parse_world
from .world import EventLog, Moment, Person, World

IDENTITIES = ("user_id", "email", "pid")
"""From the strongest: when several match different people, the first one's person survives the merge."""


@dataclass(frozen=True)
class Identification:
    """What one request says of one person."""

    identity: dict[str, str]
    add_to_segments: list[str] = field(default_factory=list)
    remove_from_segments: list[str] = field(default_factory=list)
    seen: dict[str, Moment] = field(default_factory=dict)
    """``first_seen_at`` and ``last_seen_at``, where given."""
    resubscribe: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)


class Store:
    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.load({})

    def load(self, world: Mapping[str, Any]) -> None:
        parsed = parse_world(World, world, "convertloop")
        self._refuse_doubles(parsed)
        self.people: dict[int, Person] = {person.id: person for person in parsed.people}
        self.event_logs: list[EventLog] = parsed.event_logs
        self._index: dict[tuple[str, str], Person] = {}
        for person in parsed.people:
            self._enter(person)
        self._next_person = max(self.people, default=0) + 1
        self._next_event = max((event.id for event in self.event_logs), default=0) + 1
        self.tally = Tally("created", "updated", "merged", "resubscribed")

    @staticmethod
    def _refuse_doubles(world: World) -> None:
        seen: dict[tuple[str, Any], int] = {}
        for index, person in enumerate(world.people):
            for key in [("id", person.id), *_keys(person)]:
                if key in seen:
                    place = f"convertloop.people[{index}].{key[0]}"
                    raise WorldError(f"{place}: the same as that of people[{seen[key]}]")
                seen[key] = index

    def dump(self) -> dict[str, Any]:
        world = World(people=list(self.people.values()), event_logs=self.event_logs)
        return world.model_dump(mode="json")

    def now(self) -> str:
        return iso_time(self._clock())

    def find(self, **identity: str) -> Person | None:
        """The person that one of ``pid``, ``user_id``, ``email`` names."""
        return next((found for key in identity.items() if (found := self._index.get(_key(*key)))), None)

    def identify(self, said: Identification) -> Person:
        """Find, merge or make the person, then write what is said of them."""
        person = self._person(said.identity)
        self._leave(person)
        for name, value in said.identity.items():
            setattr(person, name, value)
        self._enter(person)
        person.attributes.update(said.attributes)
        for name, moment in said.seen.items():
            setattr(person, name, moment)
        kept = [*person.segments, *said.add_to_segments]
        person.segments = [s for s in dict.fromkeys(kept) if s not in said.remove_from_segments]
        if said.resubscribe and not person.subscribed:
            person.subscribed = True
            self.tally.add("resubscribed")
        person.updated_at = self.now()
        return person

    def log_event(
        self,
        name: str,
        person: Person | None,
        time_key: str | None,
        time: Moment | None,
        metadata: dict[str, Any],
    ) -> EventLog:
        event = EventLog(
            id=self._next_event,
            name=name,
            person_id=person.id if person else None,
            time_key=time_key,
            time=self.now() if time is None else time,
            metadata=metadata,
        )
        self._next_event += 1
        self.event_logs.append(event)
        return event

    def _person(self, identity: Mapping[str, str]) -> Person:
        matches: list[Person] = []
        for name in IDENTITIES:
            found = self._index.get(_key(name, identity[name])) if name in identity else None
            if found is not None and all(found is not match for match in matches):
                matches.append(found)
        if not matches:
            now = self.now()
            person = Person.model_validate({"id": self._next_person, "created_at": now, "updated_at": now, **identity})
            self._next_person += 1
            self.people[person.id] = person
            self.tally.add("created")
            return person
        survivor, *others = matches
        for other in others:
            self._merge(survivor, other)
        self.tally.add("updated")
        return survivor

    def _merge(self, survivor: Person, other: Person) -> None:
        """Two people found to be one: nothing known is lost, and one who unsubscribed stays unsubscribed."""
        self._leave(survivor)
        self._leave(other)
        for name in IDENTITIES:
            setattr(survivor, name, getattr(survivor, name) or getattr(other, name))
        survivor.subscribed = survivor.subscribed and other.subscribed
        survivor.segments = list(dict.fromkeys([*survivor.segments, *other.segments]))
        survivor.attributes = {**other.attributes, **survivor.attributes}
        survivor.first_seen_at = survivor.first_seen_at or other.first_seen_at
        survivor.last_seen_at = survivor.last_seen_at or other.last_seen_at
        for event in self.event_logs:
            if event.person_id == other.id:
                event.person_id = survivor.id
        del self.people[other.id]
        self._enter(survivor)
        self.tally.add("merged")

    def _enter(self, person: Person) -> None:
        self._index.update(dict.fromkeys(_keys(person), person))

    def _leave(self, person: Person) -> None:
        for key in _keys(person):
            self._index.pop(key, None)


def _key(name: str, value: str) -> tuple[str, str]:
    return name, same_address(value) if name == "email" else value


def _keys(person: Person) -> list[tuple[str, str]]:
    return [_key(name, value) for name in IDENTITIES if (value := getattr(person, name))]
