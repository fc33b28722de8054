"""Processes of a site at work, for the tests of concurrency: ``python -m tests.push.outbox.workers <role> <argument>``.

Savers give people new names; drains "send" what they find and note it where they last sent it.
Nothing is lost where in the end each person was last sent what was last saved. Each prints one line of JSON.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable
from typing import Any

CONNECTIONS = ("kit", "conversion", "convertloop")
PEOPLE = 60


def setup() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    import django

    django.setup()


def prepare(argument: str) -> dict[str, Any]:
    """Tables, three connections, and people whom nobody has marked yet."""
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    from mktg_integration.models import Connection, ConnectionState, OutboxRow

    if argument == "migrate":
        call_command("migrate", verbosity=0)
    for name in CONNECTIONS:
        connection, _ = Connection.objects.get_or_create(name=name, defaults={"provider": name})
        ConnectionState.objects.get_or_create(connection=connection)
    model = get_user_model()
    model._default_manager.bulk_create(
        model(**{model.USERNAME_FIELD: f"person{n}", "first_name": "0"}) for n in range(PEOPLE)
    )
    OutboxRow.objects.all().delete()
    return {}


def save(argument: str) -> dict[str, Any]:
    """Save people for so many seconds: one, or several in one transaction, always the first before the last."""
    from django.contrib.auth import get_user_model
    from django.db import transaction

    people = get_user_model()._default_manager
    pks = list(people.order_by("pk").values_list("pk", flat=True))
    ends_at = time.monotonic() + float(argument)
    saves, errors, seconds = 0, [], []
    while time.monotonic() < ends_at:
        chosen = sorted(random.sample(pks, random.choice((1, 1, 1, 3))))
        started = time.monotonic()
        try:
            if len(chosen) == 1 and random.random() < 0.5:
                people.filter(pk=chosen[0]).update(last_name=str(saves))
                _rename(people, chosen[0])
            else:
                with transaction.atomic():
                    for pk in chosen:
                        # A write first: a transaction that reads first cannot be saved from SQLite's deferred mode.
                        people.filter(pk=pk).update(last_name=str(saves))
                        _rename(people, pk)
                    if random.random() < 0.1:
                        transaction.set_rollback(True)
        except Exception as error:  # noqa: BLE001 (that none is raised is what is tested)
            errors.append(f"{type(error).__name__}: {error}")
        seconds.append(time.monotonic() - started)
        saves += 1
        time.sleep(random.random() * 0.01)
    seconds.sort()
    return {"saves": saves, "errors": errors, "p99": seconds[int(len(seconds) * 0.99)], "most": seconds[-1]}


def _rename(people: Any, pk: Any) -> None:
    user = people.get(pk=pk)
    user.first_name = str(random.getrandbits(40))
    user.save(update_fields=["first_name"])


def drain(argument: str) -> dict[str, Any]:
    """Drain all connections for so many seconds, as the push engine does; 0: until nothing is due."""
    from django.contrib.auth import get_user_model

    from mktg_integration.conf import settings
    from mktg_integration.mirror.upsert import upsert
    from mktg_integration.models import Connection, SyncState
    from mktg_integration.push import claims, wake

    settings.__dict__["BACKOFF_SECONDS"] = 0.0
    people = get_user_model()._default_manager
    ends_at = time.monotonic() + float(argument)
    done = {"settled": 0, "kept": 0, "busy": 0, "batches": 0, "longest": 0.0}

    def timed(work: Callable[..., Any], *arguments: Any) -> Any:
        started = time.monotonic()
        result = work(*arguments)
        done["longest"] = max(done["longest"], time.monotonic() - started)
        return result

    while True:
        found = False
        for pk in Connection.objects.order_by("?").values_list("pk", flat=True):
            lease = timed(claims.take_lease, pk)
            if lease is None:
                done["busy"] += 1
                continue
            timed(wake.clear, pk)
            rows = timed(claims.claim, lease, random.choice((5, 50, 500)))
            found = found or bool(rows)
            names = dict(people.filter(pk__in=[row.subject[5:] for row in rows]).values_list("pk", "first_name"))
            time.sleep(random.random() * 0.02)  # the calls
            sent = [
                {
                    "key": f"{pk}:{row.subject}",
                    "connection_id": pk,
                    "subject": row.subject,
                    "sent": {"name": names[int(row.subject[5:])]},
                }
                for row in rows
            ]
            timed(upsert, SyncState, sent)
            random.shuffle(rows)
            tenth = len(rows) // 10
            timed(claims.postpone, lease, rows[:tenth])
            timed(claims.release, lease, [row.key for row in rows[tenth : 2 * tenth]])
            rest = [row.key for row in rows[2 * tenth :]]
            gone = timed(claims.settle, lease, rest)
            done["settled"] += gone
            done["kept"] += len(rest) - gone
            done["batches"] += bool(rows)
            timed(lease.release)
        if not found and time.monotonic() >= ends_at:
            return done
        if not found:
            time.sleep(0.01)


def main() -> None:
    role, argument = sys.argv[1:]
    setup()
    print(json.dumps({"prepare": prepare, "save": save, "drain": drain}[role](argument)))  # noqa: T201


if __name__ == "__main__":
    main()
