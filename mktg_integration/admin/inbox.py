"""What the services told: the inbox, and what they were asked to tell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from mktg_integration.admin.base import NOTHING, ReadOnlyAdmin, actor_of, pretty
from mktg_integration.admin.indexed import CONNECTION, IndexedAdmin
from mktg_integration.exceptions import DecryptionError
from mktg_integration.insight.masking import DOTS
from mktg_integration.models import InboxRow, WebhookSubscription
from mktg_integration.operations.inbox import apply_again


@admin.register(InboxRow)
class InboxRowAdmin(IndexedAdmin):
    """What was not understood comes first, then what is to be applied, the newest of each before the others."""

    order = ("-state", "-received_at")
    lookups = frozenset({CONNECTION, "state__exact"})
    search_fields = ()
    list_display = ["received_at", "connection", "kind", "event", "state", "attempts", "detail"]
    list_filter = ["state", "connection"]
    fields = [
        ("connection", "kind"),
        ("event", "parameter"),
        ("received_at", "due_at", "applied_at"),
        ("state", "attempts"),
        "detail",
        "told",
    ]
    readonly_fields = ["told"]
    secret_fields = ("body",)
    actions = ["apply_again"]

    def index_order(self, request: HttpRequest) -> Sequence[str]:
        return ("-connection_id", "-state", "-due_at") if request.GET.get(CONNECTION) else self.order

    def mask(self, row: Any) -> None:
        """A body is all about people: who may not see them is not shown it at all."""
        row.body_is_hidden = True

    @admin.display(description=_("as received"))
    def told(self, row: InboxRow) -> SafeString | str:
        if getattr(row, "body_is_hidden", False):
            return DOTS
        try:
            raw = str(row.body.get("raw", ""))
        except DecryptionError as error:
            return str(error)
        try:
            return pretty(json.loads(raw))
        except (ValueError, RecursionError):
            text = raw.encode("utf-8", "replace").decode()[:10_000]
            return format_html('<pre class="mktg-json">{}</pre>', text) if text else NOTHING

    @admin.action(description=_("Apply again"), permissions=["sync"])
    def apply_again(self, request: HttpRequest, queryset: models.QuerySet[InboxRow]) -> None:
        count = apply_again(actor_of(request), queryset)
        text = ngettext("%d delivery is being applied.", "%d deliveries are being applied.", count) % count
        self.message_user(request, text, messages.SUCCESS if count else messages.WARNING)


@admin.register(WebhookSubscription)
class WebhookSubscriptionAdmin(ReadOnlyAdmin):
    list_display = ["event", "parameter", "connection", "is_registered", "registered_at"]
    list_filter = ["connection"]
    list_select_related = ["connection"]
    fields = ["connection", "event", "parameter", "is_registered", "registered_at"]
    readonly_fields = ["is_registered"]
    secret_fields = ("secrets",)

    @admin.display(description=_("registered"), boolean=True)
    def is_registered(self, row: Any) -> bool:
        return bool(row.remote_id)
