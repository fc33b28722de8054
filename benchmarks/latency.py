"""Seconds from a signup to each service, with two clusters.

python -m benchmarks.latency [--people 600] [--a-second 20]

A signup is a user, a row of preferences and a group, each saved by itself; the time counts from the last of them to
the service's answer to the first request that named the person. Bound (DESIGN: what it must cost): 95 of 100 in 5 s.
"""

from __future__ import annotations

import argparse
import time

from benchmarks.site import Sandbox, connected, database, site_of

# isort: split
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from mktg_integration.models import OutboxRow
from tests.e2e import services
from tests.e2e.processes import wait_until
from tests.push.conftest import MAPPING, declared, define_conversion_fields
from tests.testapp.models import Preference


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=600)
    parser.add_argument("--a-second", type=float, default=20.0)
    given = parser.parse_args()
    with database() as vendor, Sandbox(keep_bodies=True) as sandbox:
        define_conversion_fields(sandbox)
        connections = declared(sandbox, *services.SERVICES)
        keys = {"CONNECTIONS": connections, "PROFILE": MAPPING}
        with connected(connections, PROFILE=MAPPING), site_of(keys) as site, site.clusters(2):
            time.sleep(2.0)
            signed_up = sign_up(given.people, given.a_second)
            if wait_until(lambda: not OutboxRow.objects.exists(), 60) is None:
                raise SystemExit(site.output())
        print(f"{vendor}: {given.people} signups, {given.a_second:g} a second")
        print(f"{'service':12} {'calls':>6} {'50 of 100':>10} {'95 of 100':>10} {'99 of 100':>10} {'longest':>8}")
        for name in services.SERVICES:
            told = services.first_told(sandbox, name)
            waits = [told[address] - at for address, at in signed_up.items()]
            shares = " ".join(f"{services.percentile(waits, share):10.2f}" for share in (0.5, 0.95, 0.99))
            print(f"{name:12} {len(sandbox.log.entries(name)):6} {shares} {max(waits):8.2f}")
        services.check_manners(sandbox)


def sign_up(people: int, a_second: float) -> dict[str, float]:
    """By address, when the signup was complete."""
    group, _ = Group.objects.get_or_create(name="VIP")
    done = {}
    start = time.monotonic()
    for number in range(people):
        time.sleep(max(0.0, start + number / a_second - time.monotonic()))
        user = get_user_model().objects.create(username=f"user{number}", email=f"user{number}@example.com")
        Preference._default_manager.create(user=user, newsletter=True, asked_at=timezone.now())
        user.groups.add(group)
        done[user.email] = time.time()
    return done


if __name__ == "__main__":
    main()
