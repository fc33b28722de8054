"""Rows a second that the mirror's writer takes, page by page, beside Django's own ways of writing the same rows.

python -m benchmarks.mirror_page [--rows 20000] [--page 1000]

The baselines of the same run: ``update_or_create`` row by row (on a share of the rows), ``bulk_create`` with
``update_conflicts``, and for unchanged rows a bare digest skip: read the digests of a page, compare, write nothing.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.site import connected, counting_statements, database

# isort: split
from django.db import connection

from mktg_integration.mirror import writer
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import Connection, Contact
from mktg_integration.records import ContactRecord, ContactStatus

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROW_BY_ROW = 1000


def record(n: int, plan: str) -> ContactRecord:
    """A subscriber as large as Kit's, with seven custom fields."""
    fields = {f"field_{k}": f"value {n} of {k}" for k in range(6)} | {"plan": plan}
    raw = {
        "id": n,
        "first_name": f"Name{n}",
        "email_address": f"person{n}@example.com",
        "state": "active",
        "created_at": "2025-02-17T11:43:55Z",
        "fields": fields,
    }
    return ContactRecord(
        remote_id=str(n),
        email=f"person{n}@example.com",
        status=ContactStatus.ACTIVE,
        values={"first_name": f"Name{n}"} | {f"fields.{key}": value for key, value in fields.items()},
        created_at=NOON - timedelta(days=300),
        raw=raw,
    )


def pages(records: Sequence[ContactRecord], size: int) -> Iterator[Sequence[ContactRecord]]:
    return (records[start : start + size] for start in range(0, len(records), size))


def timed(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def digest(told: ContactRecord) -> str:
    text = json.dumps([told.email, told.status, told.values, told.raw], sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def as_model(owner: Connection, told: ContactRecord) -> Contact:
    return Contact(
        key=remote_key(owner.pk, told.remote_id),
        connection=owner,
        remote_id=told.remote_id,
        email=told.email,
        email_key=told.email,
        status=told.status.value,
        values=told.values,
        raw=told.raw,
        digest=digest(told),
        seen_at=NOON,
        remote_created_at=told.created_at,
    )


def bulk_create(owner: Connection, records: Sequence[ContactRecord], size: int) -> None:
    unique = ["key"] if connection.features.supports_update_conflicts_with_target else None
    names = [field.name for field in Contact._meta.concrete_fields if field.name != "key"]
    for page in pages(records, size):
        rows = [as_model(owner, told) for told in page]
        Contact.objects.bulk_create(rows, update_conflicts=True, unique_fields=unique, update_fields=names)


def row_by_row(owner: Connection, records: Sequence[ContactRecord]) -> None:
    for told in records:
        row = as_model(owner, told)
        defaults = {field.attname: getattr(row, field.attname) for field in Contact._meta.concrete_fields}
        Contact.objects.update_or_create(key=defaults.pop("key"), defaults=defaults)


def bare_skip(owner: Connection, records: Sequence[ContactRecord], size: int) -> None:
    for page in pages(records, size):
        told = {remote_key(owner.pk, one.remote_id): digest(one) for one in page}
        known = dict(Contact.objects.filter(pk__in=list(told)).values_list("pk", "digest"))
        assert len([key for key, value in told.items() if known.get(key) != value]) <= len(page)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20000)
    parser.add_argument("--page", type=int, default=1000)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    first, second = ([record(n, plan) for n in range(given.rows)] for plan in ("silver", "gold"))
    with database() as vendor, connected({"kit": {"PROVIDER": "kit", "API_KEY": "k"}}) as found:
        kit = found["kit"]
        slowest = [0.0]

        def watch(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            started = time.perf_counter()
            result = execute(sql, params, many, context)
            if sql.startswith("INSERT"):
                slowest[0] = max(slowest[0], time.perf_counter() - started)
            return result

        def mirror(records: Sequence[ContactRecord], as_of: datetime) -> float:
            with connection.execute_wrapper(watch):
                return timed(lambda: [writer.write(kit, page, as_of=as_of) for page in pages(records, given.page)])

        seconds = {"update_or_create": timed(lambda: row_by_row(kit, first[:ROW_BY_ROW])) / ROW_BY_ROW * given.rows}
        Contact.objects.all().delete()
        seconds["bulk_create"] = timed(lambda: bulk_create(kit, first, given.page))
        seconds["bulk_create, all changed"] = timed(lambda: bulk_create(kit, second, given.page))
        Contact.objects.all().delete()
        seconds["mirror"] = mirror(first, NOON)
        seconds["mirror, all changed"] = mirror(second, NOON + timedelta(hours=1))
        seconds["mirror, nothing changed"] = mirror(second, NOON + timedelta(hours=2))
        seconds["bare digest skip"] = timed(lambda: bare_skip(kit, second, given.page))
        with counting_statements() as counted:
            writer.write(kit, first[: given.page], as_of=NOON + timedelta(hours=3))
    per_second = {name: given.rows / value for name, value in seconds.items()}
    print(f"{vendor}: {given.rows} rows, pages of {given.page}; statements a changed page: {sum(counted.values())}")
    for name, value in per_second.items():
        print(f"  {name:26} {value:9.0f} rows/s")
    print(f"  slowest INSERT of a page   {slowest[0] * 1000:9.1f} ms")
    against = [
        ("mirror", "bulk_create", "first load, of bulk_create (2 expected)"),
        ("mirror", "update_or_create", "first load, of update_or_create (at least 15)"),
        ("mirror, nothing changed", "bare digest skip", "nothing changed, of a bare digest skip (at least 0.8)"),
    ]
    for name, baseline, label in against:
        print(f"  {per_second[name] / per_second[baseline]:6.2f} {label}")


if __name__ == "__main__":
    main()
