"""Keeping what came, and waking the task that applies it. Nothing is parsed here."""

from __future__ import annotations

import hashlib
import logging
import time
import uuid
from collections.abc import Mapping
from typing import Any

from django.db import connections, router
from django.db.models import F
from django.utils import timezone

from mktg_integration import background, sql
from mktg_integration.conf import settings
from mktg_integration.inbound.addresses import SIGNED
from mktg_integration.models import InboundAddress, InboxKind, InboxRow, WebhookSubscription
from mktg_integration.providers.webhooks import Webhooks

logger = logging.getLogger("mktg_integration.inbound")

TASK = "mktg_integration.tasks.apply_inbox"
WOKEN_EXPIRES_SECONDS = 60.0


class ForgedError(Exception):
    """The signature is missing, wrong, or too old."""


def keep(
    address: InboundAddress, kind: InboxKind, event: str, parameter: str, headers: Mapping[str, str], body: bytes
) -> None:
    """Store a delivery and have it applied. Raises ``ForgedError``, and ``DatabaseError``."""
    key = uuid.uuid4().hex
    if kind == InboxKind.SIGNED:
        webhooks = _webhooks(address)
        _check_signature(address, webhooks, headers, body)
        told = webhooks.delivery_id(headers).encode("utf-8", "replace")
        # A repetition, whether the service's or somebody's who listened, is stored no second time.
        key = hashlib.sha256(told + b"\0" + body).hexdigest()[:48]
    now = timezone.now()
    raw: Any = {"raw": body.decode("utf-8", "surrogateescape")}
    row = InboxRow(
        key=f"{address.pk}:{key}",
        connection_id=address.pk,
        kind=kind,
        event="" if kind == InboxKind.CALLBACK else event,
        parameter=parameter,
        body=raw,
        received_at=now,
        due_at=now,
    )
    alias = router.db_for_write(InboxRow)
    table = InboxRow.objects.using(alias)
    sql.retrying(lambda: table.bulk_create([row], ignore_conflicts=kind == InboxKind.SIGNED), using=alias)
    wake(address.pk)


def wake(connection_id: int) -> None:
    """Have what came applied: one task for a burst. Where it cannot be queued the schedule does it, within a minute."""
    alias = router.db_for_write(InboundAddress)
    connection = connections[alias]
    table = connection.ops.quote_name(InboundAddress._meta.db_table)
    now = sql.now(connection)
    statement = (
        f"UPDATE {table} SET woken_at = {now}, last_received_at = {now} "  # noqa: S608 (constants and quoted names)
        f"WHERE connection_id = %s AND (woken_at IS NULL OR woken_at < {sql.later(connection, '%s')})"
    )

    def run() -> bool:
        with connection.cursor() as cursor:
            cursor.execute(statement, [connection_id, -WOKEN_EXPIRES_SECONDS])
            return bool(cursor.rowcount)

    try:
        if sql.retrying(run, using=alias):
            background.enqueue(TASK, connection_id)
    except Exception as error:  # noqa: BLE001 (whatever the task engine raises: the delivery is stored)
        logger.error("What came in could not be handed to a task (%s)", type(error).__name__)  # noqa: TRY400


def _webhooks(address: InboundAddress) -> Webhooks[object]:
    webhooks = address.connection.driver.webhooks
    if webhooks is None:
        raise ForgedError
    return webhooks


def _check_signature(
    address: InboundAddress, webhooks: Webhooks[object], headers: Mapping[str, str], body: bytes
) -> None:
    found = WebhookSubscription.objects.filter(pk=f"{address.pk}:{SIGNED}").first()
    secrets = found.secrets.get("secrets", []) if found is not None else []
    if webhooks.is_genuine(headers, body, secrets, now=time.time(), tolerance=settings.SIGNATURE_SECONDS):
        return
    InboundAddress.objects.filter(pk=address.pk).update(refused=F("refused") + 1)
    logger.warning("%s: a signed webhook was refused: its signature is missing, wrong or old", address.connection.name)
    raise ForgedError
