"""A site with something on each of its pages: people who arrived, one who did not, runs of all kinds, figures."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from mktg_integration import shortcuts
from mktg_integration.models import (
    AuditEntry,
    Connection,
    Contact,
    DailyFigures,
    DeadRow,
    Heartbeat,
    OutboxRow,
    Run,
    RunKind,
    RunStatus,
)
from mktg_integration.operations import people, runs
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, send
from tests.runs.conftest import COMMAND, QUEUE

ENGINE = "tests.runs.conftest.enqueue"
TOPICS = {"news": {"TAG": "News", "LABEL": "News, once a month"}, "offers": {"TAG": "Offers", "LABEL": "Offers"}}


def furnish(connect: Connect, sign_up: Callable[..., Any], sandbox: Sandbox, url: str) -> dict[str, str]:
    """Furnish the site at ``url``, and answer the paths of its pages by name."""
    QUEUE.tasks.clear()
    keys = {"TASK_ENGINE": ENGINE, "TOPICS": TOPICS, "PUBLIC_URL": url, "LIST_LAG_SECONDS": 0.0}
    connections = connect("kit", "convertloop", **keys)
    kit, loop = connections["kit"], connections["convertloop"]
    world = sandbox.dump()
    world["kit"]["settings"]["rate_limit"] = None
    sandbox.load(world)
    ada = sign_up("ada", plan="gold", groups=("VIP",))
    send(kit)
    rule = sandbox.fail("convertloop", "status", status=422, method="POST", times=1)
    send(loop)
    sandbox.faults.remove(rule)
    people.tag(COMMAND, [f"user:{ada.pk}"], "Gold", kit)
    send(kit)
    pulled = runs.start_pull(COMMAND, kit)
    QUEUE.all()
    model = get_user_model()
    model.objects.bulk_create(model(username=f"p{n}", email=f"p{n}@example.com") for n in range(3))
    preview = runs.start_reconcile(COMMAND, kit)
    QUEUE.all()
    failed = Run.objects.create(
        connection=kit, kind=RunKind.PULL, status=RunStatus.FAILED, started_at=timezone.now(), counts={},
        finished_at=timezone.now(), detail="tags: no answer",
        errors=[{"about": "tags", "code": "no_answer", "reason": "no answer", "status": None, "request_id": ""}],
    )  # fmt: skip
    at_work = Run.objects.create(
        connection=loop, kind=RunKind.PUSH, started_at=timezone.now(), moved_at=timezone.now(), total=100,
        counts={"marked": 100, "sent": 40},
    )  # fmt: skip
    sign_up("bob")
    measure(kit)
    Heartbeat.objects.update_or_create(name="worker", defaults={"at": timezone.now()})
    for model_class in (Contact, DeadRow, OutboxRow, AuditEntry):
        assert model_class._default_manager.exists(), model_class

    def change(name: str, row: Any) -> str:
        return reverse(f"admin:mktg_integration_{name}_change", args=[quote(row.pk)])

    dead, contact = DeadRow.objects.get(), Contact.objects.get(connection=kit, email="ada@example.com")
    person = reverse("admin:mktg_integration_contact_person", args=[f"user:{ada.pk}"])
    discard = reverse("admin:mktg_integration_deadrow_act", args=["discard"])
    base = "/admin/mktg_integration/"
    return {
        "home": base,
        "connections": f"{base}connection/",
        "connection": change("connection", kit),
        "test": reverse("admin:mktg_integration_connection_test", args=[kit.pk]),
        "mapping": reverse("admin:mktg_integration_connection_mapping", args=[kit.pk]),
        "disconnect": reverse("admin:mktg_integration_connection_disconnect", args=[kit.pk]),
        "runs": f"{base}run/",
        "pull": change("run", pulled),
        "failed run": change("run", failed),
        "run at work": change("run", at_work),
        "preview": change("run", preview),
        "compare and confirm": reverse("admin:mktg_integration_run_reconciles"),
        "deliveries": f"{base}deadrow/",
        "row": change("deadrow", dead),
        "confirmation": f"{discard}?{urlencode({'key': dead.pk})}",
        "outbox": f"{base}outboxrow/",
        "contacts": f"{base}contact/",
        "contact": change("contact", contact),
        "person": person,
        "consent": f"{person}subscribe/",
        "forget": f"{person}forget/",
        "figures": f"{base}dailyfigures/?connection={kit.pk}&days=90",
        "audit": f"{base}auditentry/",
        "audit entry": change("auditentry", AuditEntry.objects.latest("pk")),
        "preferences": shortcuts.preference_url(ada).removeprefix(url),
        "no such preferences": f"{reverse('mktg_integration:preferences', args=['nothing'])}",
    }


def measure(connection: Connection, days: int = 90) -> None:
    """Figures as the schedule measures them."""
    today = timezone.localdate()
    DailyFigures.objects.bulk_create(
        DailyFigures(
            key=f"{connection.pk}:{today - timedelta(days=n)}", connection=connection, day=today - timedelta(days=n),
            active=1000 - 7 * n, joined=n % 5 + 3, unsubscribed=n % 3, sent=40 + n % 7, rejected=n % 4,
            postponed=n % 2, outbox=n * 3,
        )
        for n in range(days)
    )  # fmt: skip
