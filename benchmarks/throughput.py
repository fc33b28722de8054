"""Calls a second to a service that documents no rate and answers late (ConvertLoop), by one drain and its pool.

python -m benchmarks.throughput [--people 800] [--latency 0.2]

``mktg_push`` runs as a process of its own; the calls are counted at the service, from the first one's arrival to the
last one's answer. Bound (DESIGN: what it must cost): 32 a second at 200 ms with the pool of 8, whose most is 40.
"""

from __future__ import annotations

import argparse

from benchmarks.site import Sandbox, connected, database, make_users, site_of

# isort: split
from django.contrib.auth import get_user_model

from mktg_integration.conf import settings
from mktg_integration.people import user_subject
from mktg_integration.push import outbox
from tests.push.conftest import MAPPING, declared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=800)
    parser.add_argument("--latency", type=float, default=0.2)
    given = parser.parse_args()
    with database() as vendor, Sandbox(latency=given.latency) as sandbox:
        connections = declared(sandbox, "convertloop")
        keys = {"CONNECTIONS": connections, "PROFILE": MAPPING}
        with connected(connections, PROFILE=MAPPING), site_of(keys) as site:
            make_users(given.people, fields=True, groups=("VIP",))
            users = get_user_model().objects.values_list("pk", flat=True)
            outbox.mark([user_subject(pk) for pk in users])
            if site.run("mktg_push") != 0:
                raise SystemExit(site.output())
            entries = sandbox.log.entries("convertloop")
            assert len(sandbox.people("convertloop")) == given.people
            seconds = max(entry.time + entry.seconds for entry in entries) - min(entry.time for entry in entries)
            most = settings.POOL_SIZE / given.latency
            rate = len(entries) / seconds
            print(
                f"{vendor}: {len(entries)} calls in {seconds:.1f} s: {rate:.1f} a second; "
                f"a pool of {settings.POOL_SIZE} can make {most:.0f} ({rate / most:.0%})"
            )


if __name__ == "__main__":
    main()
