"""Calls and statements of a backlog, beside the least possible.

python -m benchmarks.backlog [--people 1000]
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import NamedTuple

from django.contrib.auth import get_user_model

from benchmarks.site import Sandbox, connected, counting_statements, database, make_users
from mktg_integration.people import user_subject
from mktg_integration.push import outbox
from mktg_integration.push.drain import drain
from tests.push.conftest import MAPPING, declared, define_conversion_fields


class Case(NamedTuple):
    name: str
    connection: str
    fields: bool
    groups: tuple[str, ...]
    least: Callable[[int], int]
    options: dict[str, object]
    at_most: int = 1_000_000
    """People, so that the documented rate does not make it a measure of waiting."""


CASES = [
    Case("Kit by token, names only", "kit", False, (), lambda n: math.ceil(n / 100), {}),
    Case("Kit by token, names and two tags", "kit", False, ("VIP", "Beta"), lambda n: 3 * math.ceil(n / 100), {}),
    Case("Kit by token, fields", "kit", True, (), lambda n: n, {}, 500),
    Case("Kit by key, one tag", "kit_by_key", False, ("VIP",), lambda n: 2 * n, {}, 50),
    Case("Conversion, contacts may exist", "conversion", True, (), lambda n: math.ceil(n / 1000), {}),
    Case(
        "Conversion, new account",
        "conversion",
        True,
        (),
        lambda n: math.ceil(n / 1000),
        {"EXISTING_CONTACTS": False},
    ),
    Case("ConvertLoop, fields and a tag", "convertloop", True, ("VIP",), lambda n: n, {}),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1000)
    people = parser.parse_args().people
    print(f"{'case':36} {'people':>6} {'calls':>6} {'least':>6} {'bound':>6} {'statements/1000':>16} {'seconds':>8}")
    for case in CASES:
        with database(), Sandbox() as sandbox:
            world = sandbox.dump()
            world["kit"]["settings"]["rate_limit"] = None  # the rate is measured by benchmarks.rate
            sandbox.load(world)
            define_conversion_fields(sandbox)
            given = declared(sandbox, case.connection)
            given[case.connection].update(case.options)
            with connected(given, PROFILE=MAPPING, WAKE_SECONDS=0.0) as connections:
                measure(case, min(people, case.at_most), connections[case.connection].pk, sandbox)


def measure(case: Case, people: int, connection_id: int, sandbox: Sandbox) -> None:
    make_users(people, fields=case.fields, groups=case.groups)
    users = get_user_model().objects.values_list("pk", flat=True)
    outbox.mark([user_subject(pk) for pk in users])
    start = time.perf_counter()
    with counting_statements() as statements:
        report = drain(connection_id, foreground=True)
    seconds = time.perf_counter() - start
    service = "kit" if case.connection.startswith("kit") else case.connection
    assert len(sandbox.people(service)) == people, (report, len(sandbox.people(service)))
    assert not sandbox.undocumented()
    least = case.least(people)
    bound = 1.05 * least + 5
    per_thousand = sum(statements.values()) * 1000 / people
    figures = f"{people:6} {report.calls:6} {least:6} {bound:6.0f} {per_thousand:16.1f} {seconds:8.2f}"
    print(f"{case.name:36} {figures}", flush=True)


if __name__ == "__main__":
    main()
