"""The outbox, and what could not be sent."""

from __future__ import annotations

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mktg_integration.admin.base import ByAddress, ReadOnlyAdmin
from mktg_integration.audit import Actor
from mktg_integration.models import DeadRow, OutboxRow
from mktg_integration.operations import deliveries


class _RowAdmin(ByAddress, ReadOnlyAdmin):
    list_select_related = ["connection"]
    search_fields = ["subject"]
    search_help_text = _("Search for one person, as in user:1.")
    # An occurrence's payload may hold an address; it is nobody's to read here.
    secret_fields = ("payload",)
    exclude = ["payload"]


@admin.register(OutboxRow)
class OutboxRowAdmin(_RowAdmin):
    list_display = ["subject", "connection", "kind", "lane", "due_at", "attempts", "in_flight"]
    list_filter = ["connection", "lane", "kind"]
    fields = ["connection", "kind", "subject", "lane", "marked_at", "due_at", "attempts", "in_flight"]
    ordering = ["connection", "lane", "due_at", "key"]
    actions = ["push_now"]

    @admin.display(description=_("in flight"), boolean=True)
    def in_flight(self, row: OutboxRow) -> bool:
        return bool(row.claim_token)

    @admin.action(description=_("Push now"), permissions=["push"])
    def push_now(self, request: HttpRequest, queryset: models.QuerySet[OutboxRow]) -> None:
        count = deliveries.send_now(Actor(request.user, "admin"), queryset)
        text = ngettext("%d row is being sent.", "%d rows are being sent.", count) % count
        self.message_user(request, text, messages.SUCCESS)


@admin.register(DeadRow)
class DeadRowAdmin(_RowAdmin):
    list_display = ["subject", "connection", "state", "code", "reason", "died_at"]
    list_filter = ["connection", "state", "kind"]
    fields = [
        ("connection", "kind", "subject"),
        "state",
        "code",
        "reason",
        "status",
        "request_id",
        "attempts",
        "marked_at",
        "died_at",
    ]
    actions = ["replay", "confirm"]

    @admin.action(description=_("Replay"), permissions=["push"])
    def replay(self, request: HttpRequest, queryset: models.QuerySet[DeadRow]) -> None:
        self._replayed(request, deliveries.replay(Actor(request.user, "admin"), queryset))

    @admin.action(description=_("Confirm the unsubscribes and erasures that wait for it"), permissions=["push"])
    def confirm(self, request: HttpRequest, queryset: models.QuerySet[DeadRow]) -> None:
        self._replayed(request, deliveries.confirm(Actor(request.user, "admin"), queryset))

    def _replayed(self, request: HttpRequest, count: int) -> None:
        text = ngettext("%d row is in the outbox again.", "%d rows are in the outbox again.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)
