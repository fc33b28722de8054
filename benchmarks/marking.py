"""What the app adds to a burst of ``user.save()``, beside what one ``async_task`` per save adds.

python -m benchmarks.marking [--saves 400] [--rounds 15]

A burst is measured in autocommit, where each mark is a commit of its own, and in one transaction. The variants take
turns, round by round, so that what else the machine does falls on all of them; of each the best round counts. Bounds
(DESIGN: what it must cost): 0.3 of ``async_task`` on SQLite, 0.5 on PostgreSQL and MariaDB.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from benchmarks.site import connected, counting_statements, database

# isort: split
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.db.models import Model
from django_q.models import OrmQ
from django_q.tasks import async_task

from mktg_integration.models import ConnectionState, OutboxRow
from mktg_integration.push import receivers

BOUNDS = {"sqlite": 0.3, "postgresql": 0.5, "mysql": 0.5}
CONNECTIONS = {
    "kit": {"PROVIDER": "kit", "API_KEY": "k"},
    "conversion": {"PROVIDER": "conversion", "API_KEY": "k"},
    "convertloop": {"PROVIDER": "convertloop", "APP_ID": "a", "API_KEY": "k"},
}
Burst = Callable[[list[Any], bool], float]


def burst(users: list[Any], together: bool, after: Callable[[], object] = lambda: None) -> float:
    """Microseconds a save."""
    started = time.perf_counter()
    with transaction.atomic() if together else nullcontext():
        for user in users:
            user.save()
            after()
    return (time.perf_counter() - started) / len(users) * 1e6


def empty(model: type[Model]) -> None:
    """So that no round pays for what an earlier one deleted."""
    with connection.cursor() as cursor:
        cursor.execute(("DELETE FROM " if connection.vendor == "sqlite" else "TRUNCATE ") + model._meta.db_table)  # noqa: S608 (a table of ours)


def bare(users: list[Any], together: bool) -> float:
    receivers.disconnect()
    return burst(users, together)


def one_task_each(users: list[Any], together: bool) -> float:
    receivers.disconnect()
    spent = burst(users, together, lambda: async_task("mktg_integration.tasks.drain", 1))
    empty(OrmQ)
    return spent


def with_app(names: list[str]) -> Burst:
    def run(users: list[Any], together: bool) -> float:
        with connected({name: CONNECTIONS[name] for name in names}):
            receivers.connect()
            # As if a drain had just cleared its flag: this burst pays for waking it too.
            ConnectionState.objects.update(woken_at=None)
            spent = burst(users, together)
        empty(OutboxRow)
        empty(OrmQ)
        return spent

    return run


VARIANTS: dict[str, Burst] = {
    "bare save": bare,
    "one async_task": one_task_each,
    "1 connection": with_app(["kit"]),
    "3 connections": with_app(list(CONNECTIONS)),
}


def statements_of_a_save(user: Any) -> int:
    with connected(CONNECTIONS), counting_statements() as counted:
        receivers.connect()
        user.save()
        counted.clear()
        user.save()
        return sum(counted.values())


def measure(users: list[Any], together: bool, rounds: int) -> dict[str, float]:
    measured: dict[str, list[float]] = {name: [] for name in VARIANTS}
    for _ in range(rounds):
        for name, variant in VARIANTS.items():
            measured[name].append(variant(users, together))
    return {name: min(values) for name, values in measured.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--saves", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    logging.disable(logging.INFO)
    with database() as vendor:
        # Else django-q2 opens a new connection for each task, and the baseline would be many times dearer.
        connection.settings_dict["CONN_MAX_AGE"] = connection.close_at = None
        model = get_user_model()
        users = [model.objects.create(username=f"user{n}", email=f"user{n}@example.com") for n in range(given.saves)]
        statements = statements_of_a_save(users[0])
        print(f"{vendor}: {given.saves} saves, best of {given.rounds}; statements a save: {statements}")
        for together in (False, True):
            best = measure(users, together, given.rounds)
            task = best["one async_task"] - best["bare save"]
            mode = "one transaction" if together else "autocommit"
            print(f"{mode:16} {'us a save':>10} {'added us':>10} {'of async_task':>14} {'bound':>6}")
            for name, value in best.items():
                added = value - best["bare save"]
                bound = f"{BOUNDS[vendor]:6.1f}" if "connection" in name else ""
                print(f"{name:16} {value:10.0f} {added:10.0f} {added / task:14.2f} {bound}")


if __name__ == "__main__":
    main()
