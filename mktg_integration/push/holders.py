"""Whose an address is, where somebody's address changes: what one person leaves may be another's by now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mktg_integration.models import Connection, SyncState
from mktg_integration.profile import normal_email
from mktg_integration.providers.base import Person


def with_held(connection: Connection, people: Mapping[str, Person]) -> dict[str, Person]:
    """Those of ``people`` whose address changes, each with the addresses that are somebody else's (``Person.held``).

    Others are the people of the same batch, by what is wanted of them, and whoever was last sent with that address.
    One statement, none where no address changes.
    """
    addresses = {key: found for key, person in people.items() if (found := _changing(person))}
    if not addresses:
        return {}
    holders: dict[str, set[str]] = {}
    for key, person in people.items():
        if person.wanted is not None:
            holders.setdefault(normal_email(person.wanted.email), set()).add(key)
    asked = sorted(set[str]().union(*addresses.values()))
    states = SyncState.objects.filter(connection=connection, email_key__in=asked)
    for email, subject in states.values_list("email_key", "subject"):
        holders.setdefault(email, set()).add(subject)
    return {
        key: replace(people[key], held=frozenset(email for email in found if holders.get(email, set()) - {key}))
        for key, found in addresses.items()
    }


def _changing(person: Person) -> set[str]:
    """The addresses of a person who has more than one; empty for all others."""
    told = person.sent.email if person.sent is not None else ""
    known = person.known.email if person.known is not None else ""
    wanted = person.wanted.email if person.wanted is not None else ""
    found = {normal_email(email) for email in (told, known, wanted)} - {""}
    return found if len(found) > 1 else set()
