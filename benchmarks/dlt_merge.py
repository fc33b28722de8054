"""The baseline of ``benchmarks.pull``: dlt reads the same lists over the same HTTP and merges them into PostgreSQL.

Run by a Python that has ``dlt[postgres]`` and nothing of ours: ``python benchmarks/dlt_merge.py KIT_URL TOKEN
DATABASE_URL``. Prints JSON: rows and seconds of a first load and of one that finds everything unchanged.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

import dlt
import requests

PER_PAGE = 1000


def pages(session: requests.Session, url: str, key: str) -> Iterator[list[dict[str, Any]]]:
    query: dict[str, Any] = {"status": "all", "per_page": PER_PAGE}
    while True:
        answer = session.get(url, params=query, timeout=60)
        answer.raise_for_status()
        body = answer.json()
        yield body[key]
        if not body["pagination"]["has_next_page"]:
            return
        query["after"] = body["pagination"]["end_cursor"]


def with_password(database: str) -> str:
    """dlt wants one even where the server does not."""
    parts = urlsplit(database)
    if parts.password:
        return database
    return parts._replace(netloc=f"{parts.username}:none@{parts.hostname}:{parts.port or 5432}").geturl()


def main() -> None:
    url, token, database = sys.argv[1], sys.argv[2], with_password(sys.argv[3])
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    rows = 0

    @dlt.resource(
        name="contacts", primary_key="id", write_disposition="merge", columns={"fields": {"data_type": "json"}}
    )
    def contacts() -> Iterator[list[dict[str, Any]]]:
        nonlocal rows
        for page in pages(session, f"{url}/v4/subscribers", "subscribers"):
            rows += len(page)
            yield page

    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline(
            "mktg_benchmark",
            pipelines_dir=folder,
            destination=dlt.destinations.postgres(database),
            dataset_name="mktg_dlt_benchmark",
        )
        told = {}
        for name in ("first", "unchanged"):
            rows = 0
            begun = time.perf_counter()
            pipeline.run(contacts())
            told[name] = {"rows": rows, "seconds": time.perf_counter() - begun}
        with pipeline.sql_client() as client:
            client.drop_dataset()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
