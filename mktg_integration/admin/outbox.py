"""The outbox: what has still to be sent."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mktg_integration.admin.base import actor_of, number
from mktg_integration.admin.indexed import CONNECTION, IndexedAdmin, chosen_connection, connection_ids
from mktg_integration.models import Kind, Lane, OutboxRow
from mktg_integration.operations import deliveries


class LaneFilter(admin.SimpleListFilter):
    """Offered once a connection is chosen, because the index begins with it."""

    title = _("lane")
    parameter_name = "lane__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        self.connection = chosen_connection(request)
        return [(str(value), label) for value, label in Lane.choices] if self.connection is not None else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        if self.value() is None:
            return None
        lane = number(self.value() or "")
        return queryset.filter(connection=self.connection, lane=lane) if lane in Lane.values else queryset.none()


@admin.register(OutboxRow)
class OutboxRowAdmin(IndexedAdmin):
    order = ("connection_id", "lane", "due_at", "key")
    lookups = frozenset({CONNECTION, "lane__exact"})
    list_display = ["subject", "connection", "kind", "lane", "due_at", "attempts", "in_flight"]
    list_filter = ["connection", LaneFilter]
    fields = ["connection", "kind", "subject", "lane", "marked_at", "due_at", "attempts", "in_flight"]
    search_help_text = _("Search for one person's profile, as in user:1.")
    # An occurrence's payload may hold an address; it is nobody's to read here.
    secret_fields = ("payload",)
    exclude = ["payload"]
    actions = ["push_now"]

    def found_by(self, term: str) -> models.Q:
        # By the key: an index of people would cost every save of a user.
        return models.Q(pk__in=[f"{pk}:{Kind.PROFILE.value}:{term}" for pk in connection_ids()])

    @admin.display(description=_("in flight"), boolean=True)
    def in_flight(self, row: OutboxRow) -> bool:
        return bool(row.claim_token)

    @admin.action(description=_("Push now"), permissions=["sync"])
    def push_now(self, request: HttpRequest, queryset: models.QuerySet[OutboxRow]) -> None:
        count = deliveries.send_now(actor_of(request), queryset)
        text = ngettext("%d row is being sent.", "%d rows are being sent.", count) % count
        self.message_user(request, text, messages.SUCCESS)
