"""How much of Kit's rate by key (120 requests in any rolling 60 s) four workers use, counted at the service.

python -m benchmarks.rate [--seconds 300] [--connections 4] [--latency 1.0]

Two clusters with two workers each serve ``--connections`` connections that share one API key, so that as many drains
run at a time. Every answer is late by up to ``--latency`` seconds, drawn at random.
"""

from __future__ import annotations

import argparse
import math
import time
from itertools import pairwise

from django.contrib.auth import get_user_model

from benchmarks.site import Sandbox, connected, database, make_users, site_of
from mktg_integration.models import OutboxRow
from mktg_integration.people import user_subject
from mktg_integration.push import outbox, wake
from tests.e2e.processes import Site, wait_until
from tests.push.conftest import MAPPING, declared

REQUESTS = 120
WINDOW_SECONDS = 60.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--latency", type=float, default=1.0)
    given = parser.parse_args()
    with database(), Sandbox() as sandbox:
        credentials = declared(sandbox, "kit_by_key")["kit_by_key"]
        connections = {f"kit-{number}": credentials for number in range(given.connections)}
        keys = {"CONNECTIONS": connections, "PROFILE": MAPPING}
        with connected(connections, PROFILE=MAPPING), site_of(keys) as site:
            queue_work(given.seconds, given.connections)
            sandbox.fail("kit", "slow", up_to=given.latency)
            with site.clusters(2):
                moments = watch(sandbox, site, given.seconds)
            report(sandbox, moments, site)


def queue_work(seconds: float, connections: int) -> None:
    """Twice as many requests as may be made in that time: a person is one request at each connection."""
    windows = math.ceil(seconds / WINDOW_SECONDS) + 1
    make_users(math.ceil(2 * REQUESTS * windows / connections))
    users = get_user_model().objects.values_list("pk", flat=True)
    outbox.mark([user_subject(pk) for pk in users])
    wake.wake(urgent=True)


def watch(sandbox: Sandbox, site: Site, seconds: float) -> list[float]:
    """The times of the requests, in seconds from the first one, for so long."""
    if wait_until(lambda: len(sandbox.log) > 0, 30) is None:
        raise SystemExit(f"nothing was sent; the processes said:\n{site.output()}")
    first = sandbox.log.entries()[0].time
    time.sleep(max(0.0, first + seconds - time.time()))
    assert OutboxRow.objects.exists(), "there was not enough work"
    return [entry.time - first for entry in sandbox.log.entries() if entry.time <= first + seconds]


def used(moments: list[float], seconds: float) -> float:
    """The share of the possible requests that were made. ``seconds`` counts from the first; a window's worth of them
    is possible at once, and as many again at the end of each window."""
    return len(moments) / (REQUESTS * math.ceil(seconds / WINDOW_SECONDS))


def report(sandbox: Sandbox, moments: list[float], site: Site) -> None:
    seconds = moments[-1]
    pauses = sorted((later - earlier for earlier, later in pairwise(moments)), reverse=True)[:5]
    for minute in range(math.ceil(seconds / WINDOW_SECONDS)):
        within = sum(minute * WINDOW_SECONDS <= moment < (minute + 1) * WINDOW_SECONDS for moment in moments)
        print(f"minute {minute + 1}: {within} requests")
    print(f"requests in {seconds:.0f} s: {len(moments)}; used: {used(moments, seconds):.1%}")
    print(f"most in any rolling {WINDOW_SECONDS:.0f} s: {sandbox.kit.rate_peak}; refused: {sandbox.kit.rejected}")
    print(f"longest pauses: {', '.join(f'{pause:.1f} s' for pause in pauses)}")
    if "Traceback" in site.output():
        raise SystemExit(site.output())


if __name__ == "__main__":
    main()
