"""Pages of the admin with 1,000,000 contacts beside 10,000: statements and milliseconds of each.

python -m benchmarks.admin_pages [--people 1000000] [--repeats 10]

Each page is opened once unmeasured and then ``--repeats`` times; told are its statements, and of the fastest time the
milliseconds of the whole page as the server needs them, of all statements, and of the longest one. Every table that
grows with people is as full as the contacts':
taggings, members of a form and of a sequence, purchases, what was last sent, leads, opt-outs; everybody waits in the
outbox, one in ten was rejected. Bound (DESIGN, section 4, and the admin): no statement reads a whole table, so a page
takes as many statements as with 10,000 and about the same time. The database is that of ``DATABASE_URL``.
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any, NamedTuple

from benchmarks.site import connected, database

# isort: split
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from mktg_integration.models import Connection, OutboxRow
from tests.admin.crowd import fill, queue

BASELINE = 10_000
DECLARED = {"PROVIDER": "kit", "BASE_URL": "http://127.0.0.1:9", "ACCESS_TOKEN": "token"}
LIST = "/admin/mktg_integration/contact/"


class Measured(NamedTuple):
    statements: int
    milliseconds: float
    database: float
    longest: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=10)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    found = {people: measure_all(people, given.repeats) for people in (BASELINE, given.people)}
    print(f"{connection.vendor}: statements; ms of the page, of all statements, of the longest")
    print(f"{'':40} {BASELINE:>31,} {given.people:>31,}")
    for page in found[given.people]:
        columns = [found[people][page] for people in found]
        told = "".join(
            f" {one.statements:4} {one.milliseconds:9.1f} {one.database:8.1f} {one.longest:7.1f}" for one in columns
        )
        print(f"{page:40}{told}")


def measure_all(people: int, repeats: int) -> dict[str, Measured]:
    """By page, with so many contacts."""
    declared = {"small": DECLARED, "large": {**DECLARED, "ACCESS_TOKEN": "another"}}
    with database(), connected(declared) as connections:
        start = time.perf_counter()
        client = Client()
        client.force_login(User.objects.create_superuser("root", "person1@example.com"))
        OutboxRow.objects.all().delete()
        fill(connections["small"], connections["large"], people)
        queue(connections["large"], people)
        if connection.vendor == "postgresql":
            # As autovacuum does it after a while, and so that it does not do it meanwhile.
            with connection.cursor() as cursor:
                cursor.execute("VACUUM ANALYZE")
        print(f"{people:,} people in {time.perf_counter() - start:.0f} s", flush=True)
        return {name: measure(client, url, repeats) for name, url in pages(connections["large"]).items()}


def pages(large: Connection) -> dict[str, str]:
    """What is opened, by what it is."""
    where = f"{LIST}?connection__id__exact={large.pk}"
    return {
        "home": "/admin/mktg_integration/",
        "contacts": LIST,
        "contacts, page 200": f"{LIST}?p=200",
        "contacts of a connection": where,
        "contacts of a status (one in a thousand)": f"{where}&status__exact=bounced",
        "contacts with a tag (everybody)": f"{LIST}?taggings__tag__key__exact={large.pk}:all",
        "contacts in a form (everybody)": f"{LIST}?form_members__form__key__exact={large.pk}:all",
        "search for an address": f"{LIST}?q=PERSON77@example.com",
        "search for nobody": f"{LIST}?q=nobody@example.com",
        "a contact": f"{LIST}{large.pk}_3A1/change/",
        "a person at all services": f"{LIST}person/user:1/",
        "purchases of a connection": f"/admin/mktg_integration/purchase/?connection__id__exact={large.pk}",
        "what was last sent": "/admin/mktg_integration/syncstate/",
        "outbox": "/admin/mktg_integration/outboxrow/",
        "deliveries": "/admin/mktg_integration/deadrow/",
    }


def measure(client: Client, url: str, repeats: int) -> Measured:
    """Open the page and take the times of its statements."""
    found: list[Measured] = []

    def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        start = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            taken.append(1000 * (time.perf_counter() - start))

    for _ in range(repeats + 1):
        taken: list[float] = []
        start = time.perf_counter()
        with connection.execute_wrapper(note):
            answer = client.get(url)
        milliseconds = 1000 * (time.perf_counter() - start)
        assert answer.status_code == 200, (url, answer.status_code)
        found.append(Measured(len(taken), milliseconds, sum(taken), max(taken)))
    return min(found[1:], key=lambda one: one.milliseconds)


if __name__ == "__main__":
    main()
