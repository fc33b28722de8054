"""Statements of drains of 10,000 people with two groups: claim, mapping, diff, mirror, what was sent, settling.

python -m benchmarks.drain [--people 10000] [--list]

``first`` tells people of whom nothing was known, ``again`` those same people when all got one more group. Bound
(DESIGN: what it must cost): 12 statements for 1,000 people. ``--list`` shows which they are.
"""

from __future__ import annotations

import argparse
import logging
import time
from typing import Any

from benchmarks.site import Sandbox, connected, counting_statements, database, make_users

# isort: split
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group

from mktg_integration.people import user_subject
from mktg_integration.push import outbox
from mktg_integration.push.drain import drain
from tests.push.conftest import MAPPING, declared, define_conversion_fields

GROUPS = ("VIP", "Beta")
CASES = {"kit": False, "conversion": True, "convertloop": True}
"""By service, whether people have fields: at Kit each of them would be a request more, which is not what is counted."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--list", action="store_true")
    given = parser.parse_args()
    logging.disable(logging.INFO)
    print(f"{'':12} {'':6} {'people':>7} {'calls':>6} {'statements':>11} {'a thousand':>11} {'seconds':>8}")
    for service, fields in CASES.items():
        with database(), Sandbox() as sandbox:
            world = sandbox.dump()
            world["kit"]["settings"]["rate_limit"] = None  # the rate is measured by benchmarks.rate
            sandbox.load(world)
            define_conversion_fields(sandbox)
            with connected(declared(sandbox, service), PROFILE=MAPPING, WAKE_SECONDS=0.0) as connections:
                make_users(given.people, fields=fields, groups=GROUPS)
                measure("first", service, connections[service].pk, given)
                add_group("Late")
                measure("again", service, connections[service].pk, given)
            assert len(sandbox.people(service)) == given.people
            assert not sandbox.undocumented()


def add_group(name: str) -> None:
    group = Group.objects.create(name=name)
    through: Any = get_user_model().groups.through
    users = get_user_model().objects.values_list("pk", flat=True)
    through.objects.bulk_create(through(user_id=pk, group_id=group.pk) for pk in users)


def measure(which: str, service: str, connection_id: int, given: argparse.Namespace) -> None:
    users = get_user_model().objects.values_list("pk", flat=True)
    outbox.mark([user_subject(pk) for pk in users])
    start = time.perf_counter()
    with counting_statements() as statements:
        report = drain(connection_id, seconds=3600.0, foreground=True)
    seconds = time.perf_counter() - start
    assert report.done == given.people, report
    total = sum(statements.values())
    a_thousand = total * 1000 / given.people
    print(f"{service:12} {which:6} {given.people:7} {report.calls:6} {total:11} {a_thousand:11.1f} {seconds:8.1f}")
    if given.list:
        for statement, times in statements.most_common():
            print(f"{times:12} {statement}")


if __name__ == "__main__":
    main()
