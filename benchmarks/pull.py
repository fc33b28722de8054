"""A Kit account read into the mirror over HTTP, beside what it is bound by: rows a second, memory, statements a page.

python -m benchmarks.pull [--contacts 100000] [--memory]

The sandbox runs in a process of its own. "bare skip" fetches and parses the same pages and compares digests, nothing
else; "update_or_create" writes a sample of the same contacts row by row into the same database. ``--memory`` tells the
growth of peak memory from a tenth of the contacts to all of them.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any

from benchmarks.site import Sandbox, connected, counting_statements, database
from mktg_integration.mirror import news
from mktg_integration.models import Connection, Contact, Tagging
from mktg_integration.providers.kit.client import KitClient
from mktg_integration.providers.kit.pull import read
from mktg_integration.pull.engine import PullReport, pull
from mktg_integration.records import ContactRecord
from mktg_integration.sandbox import credentials

STATES = ("active",) * 17 + ("cancelled", "bounced", "inactive")
CREATED = "2024-03-01T10:00:00Z"


def world(contacts: int, *, changed: int = 0) -> dict[str, Any]:
    """Contacts with four fields; each has one or two of ten tags. ``changed`` of them have another first name."""
    every = contacts // changed if changed else 0
    return {
        "subscribers": [
            {
                "id": n,
                "email_address": f"person{n}@example.com",
                "first_name": f"Changed{n}" if every and n % every == 0 else f"Name{n}",
                "state": STATES[n % len(STATES)],
                "created_at": CREATED,
                "updated_at": CREATED,
                "fields": {"last_name": f"Last{n}", "plan": "gold", "city": "Zürich", "score": str(n)},
            }
            for n in range(1, contacts + 1)
        ],
        "custom_fields": [
            {"id": n, "label": key, "key": key, "name": f"ck_field_{n}_{key}", "created_at": CREATED}
            for n, key in enumerate(("last_name", "plan", "city", "score"), start=1)
        ],
        "tags": [{"id": n, "name": f"Tag {n}", "created_at": CREATED} for n in range(1, 11)],
        "taggings": [
            {"tag_id": tag, "subscriber_id": n, "tagged_at": CREATED}
            for n in range(1, contacts + 1)
            for tag in {n % 10 + 1, n % 7 + 1}
        ],
    }


# The service, in its own process


def serve(pipe: Pipe, contacts: int) -> None:
    with Sandbox() as sandbox:
        given = sandbox.dump()
        given["kit"]["settings"]["rate_limit"] = None  # the rate is measured by benchmarks.rate
        pipe.send(sandbox.kit_url)
        changed = 0
        while changed is not None:
            given["kit"].update(world(contacts, changed=changed))
            sandbox.load(given)
            pipe.send("loaded")
            changed = pipe.recv()


class Service:
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.url: str = pipe.recv()
        pipe.recv()

    def change(self, count: int) -> None:
        self._pipe.send(count)
        self._pipe.recv()


@contextmanager
def service(contacts: int) -> Iterator[Service]:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs, contacts), daemon=True)
    process.start()
    try:
        yield Service(ours)
    finally:
        process.kill()
        process.join()


# What is measured


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def contact_pages(client: KitClient) -> Iterator[list[ContactRecord]]:
    cursor: str | None = None
    while True:
        page = read("contacts", cursor, client)
        yield [record for record in page.records if isinstance(record, ContactRecord)]
        cursor = page.cursor
        if cursor is None:
            return


def bare_skip(connection: Connection, client: KitClient) -> int:
    """The same pages, fetched one after the other: rows made, digests read and compared; nothing kept."""
    from django.utils import timezone

    from mktg_integration.mirror.rows import KINDS, Context

    _, make = KINDS[ContactRecord]
    rows = 0
    for records in contact_pages(client):
        context = Context(connection, timezone.now(), False, {}, "")
        made = [row for record in records if (row := make(context, record)) is not None]
        before = news.read_before(Contact, [row["key"] for row in made])
        assert all(before[row["key"]].digest == row["digest"] for row in made)
        rows += len(made)
    return rows


def row_by_row(connection: Connection, client: KitClient) -> float:
    """Rows a second of ``update_or_create``, into a table that is as full."""
    from django.utils import timezone

    from mktg_integration.mirror.rows import KINDS, Context

    _, make = KINDS[ContactRecord]
    context = Context(connection, timezone.now(), False, {}, "")
    made = [row for record in next(contact_pages(client)) if (row := make(context, record)) is not None]
    Contact.objects.filter(pk__in=[row["key"] for row in made]).delete()
    seconds, _ = timed(
        lambda: [
            Contact.objects.update_or_create(key=row["key"], defaults={k: v for k, v in row.items() if k != "key"})
            for row in made
        ]
    )
    return len(made) / seconds


def one_pull(connection: Connection, *resources: str) -> tuple[float, PullReport, float]:
    """Seconds, the report, and the statements of a page."""
    with counting_statements() as statements:
        seconds, report = timed(lambda: pull(connection.pk, resources=resources, full=True, patient=True))
    assert report.status == "done", report
    pages = sum(counts["pages"] for counts in report.streams.values())
    return seconds, report, statements.total() / pages


def rows_of(report: PullReport) -> int:
    return sum(counts[kind] for counts in report.streams.values() for kind in ("added", "changed", "unchanged"))


def say(what: str, rows: int, seconds: float, more: str = "") -> None:
    print(f"{what:44} {rows:9} rows {seconds:8.2f} s {rows / seconds:10.0f} rows/s  {more}", flush=True)


def declared(url: str) -> dict[str, dict[str, Any]]:
    return {"kit": {"PROVIDER": "kit", "BASE_URL": url, "ACCESS_TOKEN": credentials.KIT_ACCESS_TOKEN}}


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def compare(contacts: int) -> None:
    with service(contacts) as at, database() as vendor, connected(declared(at.url), LIST_LAG_SECONDS=0.0) as known:
        connection = known["kit"]
        client = KitClient(access_token=credentials.KIT_ACCESS_TOKEN, base_url=at.url)
        print(f"{vendor}, {contacts} contacts")
        seconds, report, statements = one_pull(connection, "tags", "contacts", "taggings")
        say("first pull, contacts and taggings", rows_of(report), seconds, f"{statements:.1f} statements a page")
        assert Contact.objects.count() == contacts
        assert Tagging.objects.count() == report.streams["taggings"]["added"]
        seconds, report, statements = one_pull(connection, "tags", "contacts", "taggings")
        assert not any(counts["changed"] for counts in report.streams.values())
        say("again, unchanged", rows_of(report), seconds, f"{statements:.1f} statements a page")
        seconds, report, statements = one_pull(connection, "contacts")
        bare, rows = timed(lambda: bare_skip(connection, client))
        say("contacts alone, unchanged", rows_of(report), seconds, f"{statements:.1f} statements a page")
        say("bare skip of the same pages", rows, bare, f"the pull is {bare / seconds:.2f} times as fast")
        at.change(contacts // 100)
        seconds, report, statements = one_pull(connection, "contacts")
        changed = report.streams["contacts"]["changed"]
        say(f"after {changed} contacts changed", rows_of(report), seconds, f"{statements:.1f} statements a page")
        singly = row_by_row(connection, client)
        Contact.objects.all().delete()
        seconds, report, statements = one_pull(connection, "contacts")
        say("contacts alone, first pull", rows_of(report), seconds, f"{statements:.1f} statements a page")
        print(f"{'update_or_create, row by row (1000 of them)':44} {singly:32.0f} rows/s  ", end="")
        print(f"the pull is {rows_of(report) / seconds / singly:.1f} times as fast")


def measure_peak(contacts: int, url: str, pipe: Pipe) -> None:
    with database(), connected(declared(url), LIST_LAG_SECONDS=0.0) as known:
        for _ in range(2):
            one_pull(known["kit"], "contacts")
    pipe.send(peak())


def memory(contacts: int) -> None:
    """Each size in a process of its own: first pull, then a full one that finds all of it unchanged."""
    context = multiprocessing.get_context("spawn")
    peaks = []
    for size in (contacts // 10, contacts):
        with service(size) as at:
            ours, theirs = context.Pipe()
            process = context.Process(target=measure_peak, args=(size, at.url, theirs))
            process.start()
            peaks.append(ours.recv())
            process.join()
            print(f"{size:9} contacts: peak of {peaks[-1]:.1f} MB", flush=True)
    print(f"growth: {peaks[1] - peaks[0]:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    (memory if given.memory else compare)(given.contacts)


if __name__ == "__main__":
    main()
