"""A Kit account read into the mirror over HTTP, beside what it is bound by: rows a second, memory, statements a page.

python -m benchmarks.pull [--contacts 100000] [--many 1000000] [--part load …] [--database URL …] [--dlt PYTHON]

Parts, all of them by default, for each database (default: that of ``DATABASE_URL``; ``sqlite`` for a file of its own):

load    a first pull of contacts with their tags, again unchanged, again after 1 % changed. "bare skip" fetches and
        parses the same pages and compares digests, nothing else; "update_or_create" writes a sample of the same
        contacts row by row into the same database; "HTTP alone" fetches and parses, and writes nothing. With ``--dlt``
        (a Python that has ``dlt[postgres]``) dlt merges the same contacts into the same PostgreSQL.
slow    wall time against a service that answers late, beside the sum of what the service took for each page.
memory  growth of peak memory from a tenth of ``--many`` contacts to all of them.

The sandbox runs in a process of its own. In the part "load" pages are asked for once before they are measured and then
answered from memory, for everybody alike: what a stand-in takes to make a page says nothing of whoever reads it.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

from benchmarks.site import Sandbox, connected, counting_statements, database, database_url
from mktg_integration.http import Unlimited
from mktg_integration.mirror.known import read_before
from mktg_integration.models import Connection, Contact, RateSlot, Tagging
from mktg_integration.providers.kit.client import KitClient
from mktg_integration.providers.kit.pull import read
from mktg_integration.pull.engine import PullReport, pull
from mktg_integration.records import ContactRecord, Record, TagRecord
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.wire import Request, Response

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


class FromMemory:
    """Answers a question that was asked before with what was answered then."""

    def __init__(self, answer: Callable[[Request], Response]) -> None:
        self._answer = answer
        self._answers: dict[str, Response] = {}

    def __call__(self, request: Request) -> Response:
        asked = f"{request.method} {request.path} {sorted(request.query.items())}"
        if asked not in self._answers:
            self._answers[asked] = self._answer(request)
        return self._answers[asked]

    def clear(self) -> None:
        self._answers.clear()


def serve(pipe: Pipe, contacts: int) -> None:
    with Sandbox() as sandbox:
        given = sandbox.dump()
        given["kit"]["settings"]["rate_limit"] = None  # the rate is measured by benchmarks.rate
        pipe.send(sandbox.kit_url)
        kit = sandbox.services["kit"]
        answers = kit.handle = FromMemory(kit.handle)  # type: ignore[method-assign]

        def change(count: int) -> None:
            given["kit"].update(world(contacts, changed=count))
            sandbox.load(given)
            answers.clear()

        def be_late(seconds: float) -> None:
            sandbox.faults.add(service="kit", effect="slow", seconds=seconds)
            sandbox.log.clear()

        def seconds_of_pages(_: float) -> float:
            return sum(entry.seconds for entry in sandbox.log.entries("kit"))

        acts: dict[str, Callable[[Any], Any]] = {
            "change": change,
            "be_late": be_late,
            "seconds_of_pages": seconds_of_pages,
        }
        change(0)
        pipe.send("loaded")
        while True:
            act, value = pipe.recv()
            pipe.send(acts[act](value))


class Service:
    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe
        self.url: str = pipe.recv()
        pipe.recv()

    def change(self, count: int) -> None:
        """So many contacts have another name."""
        self._ask("change", count)

    def be_late(self, seconds: float) -> None:
        """Every answer from now on takes so much longer."""
        self._ask("be_late", seconds)

    def seconds_of_pages(self) -> float:
        """From each request's arrival to its answer, all of them together."""
        return float(self._ask("seconds_of_pages", 0))

    def _ask(self, act: str, value: float) -> Any:
        self._pipe.send((act, value))
        return self._pipe.recv()


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
    for page in pages("contacts", client):
        yield [record for record in page if isinstance(record, ContactRecord)]


def pages(stream: str, client: KitClient) -> Iterator[Sequence[Record]]:
    cursor: str | None = None
    while True:
        page = read(stream, cursor, client)
        yield page.records
        cursor = page.cursor
        if cursor is None:
            return


def warm_up(client: KitClient) -> None:
    """Let the service remember all pages, and this process its code."""
    tags = [record.remote_id for page in pages("tags", client) for record in page if isinstance(record, TagRecord)]
    for stream in ("contacts", *(f"taggings:{tag}" for tag in tags)):
        for _ in pages(stream, client):
            pass


def bare_skip(connection: Connection, client: KitClient) -> int:
    """The same pages, fetched one after the other: rows made, digests read and compared; nothing kept."""
    from django.utils import timezone

    from mktg_integration.mirror.rows import KINDS, Context

    _, make = KINDS[ContactRecord]
    rows = 0
    for records in contact_pages(client):
        context = Context(connection, timezone.now(), False, {}, "")
        made = [row for record in records if (row := make(context, record)) is not None]
        before = read_before(Contact, [row["key"] for row in made], as_of=context.as_of)
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
    """Seconds, the report, and the statements of a page. The rate is for ``benchmarks.rate``: here it is free."""
    RateSlot.objects.all().delete()
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


def compare(contacts: int, dlt: str) -> None:
    with service(contacts) as at, database() as vendor, connected(declared(at.url), LIST_LAG_SECONDS=0.0) as known:
        connection = known["kit"]
        client = KitClient(access_token=credentials.KIT_ACCESS_TOKEN, base_url=at.url, limiter=Unlimited())
        print(f"{vendor}, {contacts} contacts")
        warm_up(client)
        first, report = pulled("first pull, contacts", connection, "contacts")
        assert Contact.objects.count() == contacts
        _, report = pulled("first pull, tags and taggings", connection, "tags", "taggings")
        assert Tagging.objects.count() == report.streams["taggings"]["added"]
        print(f"{'':44} peak of {peak():.0f} MB")
        _, report = pulled("all again, unchanged", connection, "tags", "contacts", "taggings")
        assert not any(counts["changed"] for counts in report.streams.values())
        unchanged, _ = pulled("contacts again, unchanged", connection, "contacts")
        bare, rows = timed(lambda: bare_skip(connection, client))
        say("bare skip of the same pages", rows, bare, f"the pull is {bare / unchanged:.2f} times as fast")
        alone, rows = timed(lambda: sum(len(records) for records in contact_pages(client)))
        say("HTTP alone", rows, alone)
        at.change(contacts // 100)
        warm_up(client)
        _, report = pulled("contacts after 1 % changed", connection, "contacts")
        assert report.streams["contacts"]["changed"] == contacts // 100
        singly = row_by_row(connection, client)
        ratio = contacts / first / singly
        print(f"{'update_or_create, row by row (1000 of them)':44} {singly:32.0f} rows/s  ", end="")
        print(f"the first pull is {ratio:.1f} times as fast")
        if dlt and vendor == "postgresql":
            merged = merged_by_dlt(dlt, at.url)
            for name, took in merged.items():
                say(f"dlt's merge, {name}", int(took["rows"]), took["seconds"])
            ratio = merged["first"]["seconds"] / first
            print(f"{'':44} the first pull of contacts is {ratio:.2f} times as fast as dlt's first load")


def pulled(what: str, connection: Connection, *resources: str) -> tuple[float, PullReport]:
    """Measured and told; its seconds and report."""
    seconds, report, statements = one_pull(connection, *resources)
    say(what, rows_of(report), seconds, f"{statements:.1f} statements a page")
    return seconds, report


def merged_by_dlt(python: str, url: str) -> dict[str, dict[str, float]]:
    script = Path(__file__).with_name("dlt_merge.py")
    command = [python, str(script), url, credentials.KIT_ACCESS_TOKEN, database_url()]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    told: dict[str, dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return told


def slow(contacts: int, seconds: float) -> None:
    """Bound: 1.1 of the summed page latencies."""
    with service(contacts) as at, database() as vendor, connected(declared(at.url), LIST_LAG_SECONDS=0.0) as known:
        at.be_late(seconds)
        took, report, _ = one_pull(known["kit"], "contacts")
        pages = at.seconds_of_pages()
        say(f"{vendor}, each page {seconds:g} s late", rows_of(report), took, f"{took / pages:.3f} of {pages:.2f} s")


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


PARTS = ("load", "slow", "memory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--contacts", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=1_000_000, help="contacts of the part memory")
    parser.add_argument("--late", type=float, default=0.5, help="seconds a page, of the part slow")
    parser.add_argument("--part", choices=PARTS, action="append", help="may be given several times")
    parser.add_argument("--database", action="append", default=[], help="may be given several times")
    parser.add_argument("--dlt", default="", help="a Python that has dlt[postgres]")
    given = parser.parse_args()
    if given.database:
        each_database(given.database)
        return
    parts = given.part or PARTS
    if "load" in parts:
        compare(given.contacts, given.dlt)
    if "slow" in parts:
        slow(min(given.contacts, 20_000), given.late)
    if "memory" in parts:
        memory(given.many)


def each_database(urls: list[str]) -> None:
    """The same command for each, in a process of its own: settings are read once."""
    others = iter(sys.argv[1:])
    rest = [one for one in others if not (one == "--database" and next(others))]
    for url in urls:
        environment = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        given = {} if url == "sqlite" else {"DATABASE_URL": url}
        subprocess.run([sys.executable, "-m", "benchmarks.pull", *rest], check=True, env=environment | given)


if __name__ == "__main__":
    main()
