"""What arrived at each service, compared with who signed up, and the calls it took beside the least possible."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests

from example_project.demo.visitors import Visitor

Row = Mapping[str, Any]
# Reading the account before the first write, and creating its tags and fields.
SETUP_CALLS = 5
KIT_ITEMS_A_CALL = 100
CONVERSION_ITEMS_A_CALL = 1000


@dataclass(frozen=True, kw_only=True)
class Arrivals:
    """One service's state: how many are there, how many as they should be, and what it cost."""

    service: str
    expected: int
    people: int
    right: int
    mailable: int
    tags: int
    calls: int
    least: int
    undocumented: int
    rate_limited: int
    wrong: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Everyone is there exactly once, with the right fields and tags."""
        return self.people == self.right == self.expected

    def as_json(self) -> dict[str, Any]:
        return {
            "people": self.people,
            "right": self.right,
            "may_be_mailed": self.mailable,
            "tags": self.tags,
            "calls": self.calls,
            "least_possible": self.least,
            "setup_allowance": SETUP_CALLS,
            "undocumented": self.undocumented,
            "rate_limited": self.rate_limited,
            "complete": self.complete,
            "wrong": list(self.wrong),
        }


@dataclass(frozen=True)
class _Service:
    name: str
    faults: Callable[[Visitor, Row], list[str]]
    is_mailable: Callable[[Row], bool]
    tags: Callable[[Row], Sequence[str]]
    least: Callable[[Sequence[Visitor]], int]


def look(sandbox: str, people: Sequence[Visitor]) -> list[Arrivals]:
    """Ask the sandbox who is in its services and what they were asked."""
    received = requests.get(f"{sandbox}/_sandbox/people", timeout=10).json()
    stats = requests.get(f"{sandbox}/_sandbox/stats", timeout=10).json()
    return [_compare(service, people, received[service.name], stats[service.name]) for service in SERVICES]


def _compare(service: _Service, people: Sequence[Visitor], rows: Sequence[Row], stats: Row) -> Arrivals:
    expected = {person.email: person for person in people}
    ours = [row for row in rows if row["email"] in expected]
    times = Counter(row["email"] for row in ours)
    wrong: set[str] = set()
    right = 0
    for row in ours:
        faults = service.faults(expected[row["email"]], row)
        if times[row["email"]] > 1:
            faults.append("there more than once")
        wrong.update(faults)
        right += not faults
    return Arrivals(
        service=service.name,
        expected=len(people),
        people=len(ours),
        right=right,
        mailable=sum(service.is_mailable(row) for row in ours),
        tags=sum(len(service.tags(row)) for row in ours),
        calls=stats["calls"],
        least=service.least(people),
        undocumented=stats["undocumented"],
        rate_limited=stats["rate_limited"],
        wrong=tuple(sorted(wrong)),
    )


def _differences(where: Mapping[str, Any], wanted: Mapping[str, str]) -> list[str]:
    return [name for name, value in wanted.items() if (where.get(name) or "") != value]


def _details(person: Visitor) -> dict[str, str]:
    return {"last_name": person.last_name, "city": person.city, "job_title": person.job_title}


# Kit


def _kit_faults(person: Visitor, row: Row) -> list[str]:
    faults = _differences(row, {"first_name": person.first_name})
    faults += _differences(row["fields"], _details(person))
    faults += ["tags"] if set(row["tags"]) != person.topics else []
    return faults + (["state"] if row["state"] != ("active" if person.newsletter else "inactive") else [])


def _kit_least(people: Sequence[Visitor]) -> int:
    """Bulk calls carry 100; fields, and anyone who must not be made active, take a call each."""
    alone = sum(1 for person in people if not person.newsletter or any(_details(person).values()))
    tags = Counter(topic for person in people for topic in person.topics)
    batches = math.ceil((len(people) - alone) / KIT_ITEMS_A_CALL)
    return alone + batches + sum(math.ceil(count / KIT_ITEMS_A_CALL) for count in tags.values())


# Conversion


def _conversion_faults(person: Visitor, row: Row) -> list[str]:
    wanted = {"first_name": person.first_name, "last_name": person.last_name, "job_title": person.job_title}
    faults = _differences(row["fields"], wanted)
    faults += _differences(row["company"], {"company_name": person.company})
    return faults + (["status"] if (row["status"] == "SUBSCRIBED") != person.newsletter else [])


# ConvertLoop


def _convertloop_faults(person: Visitor, row: Row) -> list[str]:
    faults = _differences(row["attributes"], {"first_name": person.first_name, **_details(person)})
    # A segment is where mail starts, so only those who want it are put into one.
    return faults + (["segments"] if set(row["segments"]) != (person.topics if person.newsletter else set()) else [])


SERVICES = (
    _Service("kit", _kit_faults, lambda row: bool(row["state"] == "active"), lambda row: list(row["tags"]), _kit_least),
    _Service(
        "conversion",
        _conversion_faults,
        lambda row: bool(row["status"] == "SUBSCRIBED"),
        lambda row: [],
        lambda people: math.ceil(len(people) / CONVERSION_ITEMS_A_CALL),
    ),
    _Service(
        "convertloop",
        _convertloop_faults,
        lambda row: bool(row["segments"]),
        lambda row: list(row["segments"]),
        len,
    ),
)
