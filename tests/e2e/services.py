"""What the three services hold and were asked, in a form in which two runs can be compared."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from django.contrib.auth import get_user_model

from mktg_integration.sandbox.server import Sandbox

SERVICES = ("kit", "conversion", "convertloop")

World = dict[str, list[dict[str, Any]]]


def world(sandbox: Sandbox) -> World:
    """Who is at each service, with all that it knows of them, and the events that it was told.

    Users are named, because their numbers differ from run to run; for the same reason no ids of the services.
    """
    names = {str(user.pk): user.get_username() for user in get_user_model()._default_manager.all()}
    found = {service: [dict(row) for row in sandbox.people(service)] for service in SERVICES}
    for row in found["convertloop"]:
        row["user_id"] = names.get(row["user_id"], row["user_id"])
    return {service: sorted(rows, key=lambda row: str(row["email"])) for service, rows in found.items()}


def made(sandbox: Sandbox) -> dict[str, int]:
    """How many people each service made, also of such as are there no more."""
    stats = sandbox.stats()
    return {service: sum(stats[service]["service"]["created"].values()) for service in SERVICES}


def calls(sandbox: Sandbox) -> dict[str, Counter[str]]:
    """The request log: by service and operation, how many were answered with success."""
    counted: dict[str, Counter[str]] = {service: Counter() for service in SERVICES}
    for entry in sandbox.log.entries():
        if entry.service in counted and entry.status is not None and entry.status < 400:
            counted[entry.service][str(entry.operation)] += 1
    return counted


def check_manners(sandbox: Sandbox) -> None:
    """No request was undocumented, none beyond the rate, none brought anybody back."""
    assert sandbox.undocumented() == []
    assert [entry.operation for entry in sandbox.log.entries() if entry.status == 429] == []
    assert {service: sandbox.resubscribed(service) for service in SERVICES} == dict.fromkeys(SERVICES, 0)


def first_told(sandbox: Sandbox, service: str) -> dict[str, float]:
    """By address, when the service answered the first request that it accepted and that named it (epoch seconds).

    For a sandbox that keeps bodies.
    """
    told: dict[str, float] = {}
    for entry in sandbox.log.entries(service):
        if entry.service_status is not None and entry.service_status < 400 and entry.body is not None:
            for address in _addresses(entry.body):
                told.setdefault(address, entry.time + entry.seconds)
    return told


def _addresses(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for value in body.values():
            yield from _addresses(value)
    elif isinstance(body, list):
        for value in body:
            yield from _addresses(value)
    elif isinstance(body, str) and "@" in body:
        yield body


def percentile(values: Iterable[float], share: float) -> float:
    """The least of the values that ``share`` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
