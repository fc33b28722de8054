"""A storm of webhooks: signed deliveries with duplicates, in shuffled order. The mirror must end right.

python -m benchmarks.webhooks [--deliveries 10000] [--contacts 500]

Receipt is the whole request through Django's handler, middleware included, beside a view of the same site that does
nothing. The database is that of ``DATABASE_URL``, by default an SQLite file.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from django.test import Client
from django.urls import reverse

from benchmarks.site import connected, counting_statements, database
from mktg_integration.inbound.addresses import SIGNED, address_of, token_of
from mktg_integration.inbound.apply import Applied, apply_inbox
from mktg_integration.models import Contact, InboxRow, OptOut, WebhookSubscription
from mktg_integration.sandbox import credentials
from tests.inbound.conftest import batch, signature, subscriber

SECRET = "whsec_of_a_benchmark"
STATES = ("active", "cancelled", "bounced", "inactive")
KINDS = {"cancelled": "subscriber.unsubscribed", "bounced": "subscriber.bounced"}
NAMES = {"cancelled": "unsubscribed"}
DUPLICATES = 0.2
APPLY_EVERY = 500


def note_task(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    """The task engine: what is woken is applied by this process."""


def storm(deliveries: int, contacts: int) -> tuple[list[tuple[str, bytes]], dict[str, str]]:
    """``(delivery id, body)`` in the order of arrival, and each contact's last state."""
    chosen = random.Random(4)
    began = time.time() - 86_400
    distinct = int(deliveries / (1 + DUPLICATES))
    made: list[tuple[str, bytes]] = []
    last: dict[str, str] = {}
    for number in range(distinct):
        who, state = number % contacts, chosen.choice(STATES)
        data = {"subscriber": subscriber(who, state, fields={"plan": "gold", "step": str(number)})}
        made.append((f"d{number}", batch((KINDS.get(state, "subscriber.activated"), data, began + number))))
        last[str(who)] = NAMES.get(state, state)
    made += chosen.choices(made, k=deliveries - distinct)
    chosen.shuffle(made)
    return made, last


class Taken(NamedTuple):
    """Seconds of one request: by the clock, and of this process's work, which other processes do not lengthen."""

    clock: float
    work: float


def timed(request: Callable[[], int]) -> Taken:
    clock, work = time.perf_counter(), time.process_time()
    status = request()
    taken = Taken(time.perf_counter() - clock, time.process_time() - work)
    assert status == 200, status
    return taken


def line(name: str, seconds: list[float]) -> None:
    ordered = sorted(1000 * one for one in seconds)
    p99 = ordered[int(len(ordered) * 0.99)]
    middle = ordered[len(ordered) // 2]
    print(
        f"{name:<36} mean {statistics.mean(ordered):6.2f} ms   median {middle:6.2f} ms"
        f"   99 of 100 within {p99:6.2f} ms   most {ordered[-1]:6.2f} ms"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deliveries", type=int, default=10_000)
    parser.add_argument("--contacts", type=int, default=500)
    given = parser.parse_args()
    declared = {
        "kit": {"PROVIDER": "kit", "BASE_URL": "http://127.0.0.1:9", "ACCESS_TOKEN": credentials.KIT_ACCESS_TOKEN}
    }
    with database() as vendor, connected(declared, TASK_ENGINE="benchmarks.webhooks.note_task") as connections:
        connection = connections["kit"]
        WebhookSubscription.objects.create(
            key=f"{connection.pk}:{SIGNED}", connection=connection, event=SIGNED, secrets={"secrets": [SECRET]}
        )
        url = reverse("mktg_integration:webhook", kwargs={"token": token_of(address_of(connection)), "event": SIGNED})
        client = Client()
        deliveries, last = storm(given.deliveries, given.contacts)

        def deliver(delivery: str, body: bytes) -> int:
            headers = {"X-Kit-Signature": signature(body, SECRET), "X-Kit-Delivery": delivery}
            return client.generic("POST", url, body, "application/json", headers=headers).status_code

        def nothing() -> int:
            return int(client.get("/admin/jsi18n/").status_code == 302) * 200

        total = Applied()
        receipts: list[Taken] = []
        applying = 0.0
        for position, (delivery, body) in enumerate(deliveries, 1):
            receipts.append(timed(partial(deliver, delivery, body)))
            if position % APPLY_EVERY == 0 or position == len(deliveries):
                started = time.perf_counter()
                total.applied += apply_inbox(connection, on_opt_out=lambda subjects: None, seconds=600).applied
                applying += time.perf_counter() - started
        with counting_statements() as counted:
            deliver("d-counted", batch(("subscriber.activated", {"subscriber": subscriber(0)}, time.time() - 90_000)))
        told = {row.remote_id: row.status for row in Contact.objects.all()}
        assert told == last, {key: (told.get(key), last[key]) for key in last if told.get(key) != last[key]}
        left = InboxRow.objects.exclude(state="applied").exclude(attempts=0).count()
        assert not left, left
        print(f"{vendor}: {len(deliveries)} deliveries, {total.applied} of them different, {len(told)} contacts: right")
        baseline = [timed(nothing) for _ in range(500)]
        line("a request that does nothing, clock", [taken.clock for taken in baseline])
        line("a request that does nothing, work", [taken.work for taken in baseline])
        line("receipt, clock", [taken.clock for taken in receipts])
        line("receipt, work", [taken.work for taken in receipts])
        print(f"statements of a receipt: {sum(counted.values())}")
        print(f"applied {total.applied / applying:,.0f} a second; {OptOut.objects.count()} opt-outs remembered")


if __name__ == "__main__":
    main()
