"""A reconcile's speed, statements and memory: everybody is compared, in a preview and then marking whoever differs.

python -m benchmarks.reconcile [--people 100000] [--memory]

Half of the people were sent before and have changed, half were never sent. No service is called. ``--memory`` tells the
growth of peak memory from a tenth of the people to all of them, each size in a process of its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from multiprocessing.connection import Connection as Pipe
from typing import Any

from benchmarks.site import connected, counting_statements, database, make_users
from mktg_integration.models import Connection, OutboxRow, SyncState
from mktg_integration.people import user_subject
from mktg_integration.push.reconcile import Reconciled, reconcile

CHUNK = 2000
"""People made at once, so that making them needs as little memory of many as of few."""
DECLARED: dict[str, dict[str, Any]] = {
    "kit": {"PROVIDER": "kit", "BASE_URL": "http://127.0.0.1:9", "ACCESS_TOKEN": "none", "UNKNOWN_CONSENT": "inactive"}
}


def fill(connection: Connection, people: int) -> None:
    from django.contrib.auth import get_user_model

    for start in range(0, people, CHUNK):
        make_users(min(CHUNK, people - start), fields=True, start=start)
        made = get_user_model().objects.order_by("-pk").values_list("pk", "email")[: CHUNK // 2]
        SyncState.objects.bulk_create(
            SyncState(
                key=f"{connection.pk}:{user_subject(pk)}",
                connection=connection,
                subject=user_subject(pk),
                email_key=email,
                sent={
                    "email": email, "values": {"first_name": "Before"}, "company": {}, "tags": [],
                    "consent": "granted", "evidence": "",
                },
            )
            for pk, email in made
        )  # fmt: skip


def one(connection: Connection, what: str, *, dry_run: bool) -> Reconciled:
    start = time.perf_counter()
    with counting_statements() as statements:
        found = reconcile(connection, dry_run=dry_run)
    seconds = time.perf_counter() - start
    a_thousand = statements.total() / max(found.people / 1000, 1)
    print(
        f"{what:24} {found.people:9} people {seconds:8.1f} s {found.people / seconds:8.0f} people/s "
        f"{a_thousand:6.1f} statements per 1,000  {found.missing} missing, {found.different} different",
        flush=True,
    )
    return found


def compare(people: int) -> None:
    with database() as vendor, connected(DECLARED, PROFILE="tests.testapp.mappings.newsletter") as known:
        connection = known["kit"]
        fill(connection, people)
        print(vendor)
        one(connection, "preview", dry_run=True)
        assert not OutboxRow.objects.exists()
        found = one(connection, "marking who differs", dry_run=False)
        assert OutboxRow.objects.count() == found.marked == people
        one(connection, "again, all marked", dry_run=False)


def measure_peak(people: int, pipe: Pipe) -> None:
    compare(people)
    pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def memory(people: int) -> None:
    context = multiprocessing.get_context("spawn")
    peaks = []
    for size in (people // 10, people):
        ours, theirs = context.Pipe()
        process = context.Process(target=measure_peak, args=(size, theirs))
        process.start()
        peaks.append(ours.recv())
        process.join()
        print(f"{size:9} people: peak of {peaks[-1]:.1f} MB", flush=True)
    print(f"growth: {peaks[1] - peaks[0]:.1f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    (memory if given.memory else compare)(given.people)


if __name__ == "__main__":
    main()
