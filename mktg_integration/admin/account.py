"""What the services last told beside contacts: forms, sequences, mail, purchases, the account; and how far each
resource has been read."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Q
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import ReadOnlyAdmin, TabularInline
from mktg_integration.admin.indexed import IndexedAdmin, by_address, by_remote_id, connection_ids, is_address
from mktg_integration.admin.mirror import Answered, MirrorAdmin
from mktg_integration.models import (
    AccountSnapshot,
    Broadcast,
    BroadcastStats,
    EmailTemplate,
    Form,
    PullCheckpoint,
    Purchase,
    PurchaseItem,
    Segment,
    Sequence,
    ServiceAccount,
    Webhook,
)
from mktg_integration.models.mirror import Mirrored

_TIMES = ("seen_at", "deleted_at")


class _ReadOnlyInline(TabularInline):
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class _WithMembers(MirrorAdmin):
    """``members_lookup`` is the contacts' lookup of those who are in the row."""

    members_lookup: ClassVar[str]

    @admin.display(description=_("contacts"))
    def members_link(self, row: Mirrored) -> SafeString:
        query = urlencode({self.members_lookup: row.pk})
        address = reverse(f"{self.admin_site.name}:mktg_integration_contact_changelist")
        return format_html('<a href="{}?{}">{}</a>', address, query, _("show"))


@admin.register(Form)
class FormAdmin(_WithMembers):
    members_lookup = "form_members__form__key__exact"
    list_display = ["name", "type", "archived", "connection", "members_link", "seen_at"]
    list_filter = ["connection", "archived", "type"]
    search_fields = ["name"]
    fields = [
        "name",
        ("type", "format", "archived"),
        "url",
        ("connection", "remote_id"),
        "members_link",
        _TIMES,
        "answer",
    ]
    readonly_fields = ["members_link", "answer"]


@admin.register(Sequence)
class SequenceAdmin(_WithMembers):
    members_lookup = "sequence_members__sequence__key__exact"
    list_display = ["name", "hold", "repeat", "connection", "members_link", "seen_at"]
    list_filter = ["connection", "hold"]
    search_fields = ["name"]
    fields = ["name", ("hold", "repeat"), ("connection", "remote_id"), "members_link", _TIMES, "answer"]
    readonly_fields = ["members_link", "answer"]


@admin.register(Segment)
class SegmentAdmin(MirrorAdmin):
    list_display = ["name", "connection", "seen_at"]
    search_fields = ["name"]
    fields = ["name", ("connection", "remote_id"), _TIMES, "answer"]
    readonly_fields = ["answer"]


@admin.register(EmailTemplate)
class EmailTemplateAdmin(MirrorAdmin):
    list_display = ["name", "category", "is_default", "connection", "seen_at"]
    search_fields = ["name"]
    fields = ["name", ("category", "is_default"), ("connection", "remote_id"), _TIMES, "answer"]
    readonly_fields = ["answer"]


class BroadcastStatsInline(_ReadOnlyInline):
    model = BroadcastStats
    fields: ClassVar[Any] = [
        "status",
        "recipients",
        "open_rate",
        "click_rate",
        "unsubscribes",
        "total_clicks",
        "seen_at",
    ]
    readonly_fields: ClassVar[Any] = fields


@admin.register(Broadcast)
class BroadcastAdmin(MirrorAdmin):
    list_display = ["title", "connection", "send_at", "published_at", "public", "seen_at"]
    list_filter = ["connection", "public"]
    search_fields = ["subject"]
    fields = [
        ("subject", "preview_text"),
        ("send_at", "published_at", "public"),
        "template",
        ("connection", "remote_id"),
        _TIMES,
        "answer",
    ]
    readonly_fields = ["answer"]
    inlines = [BroadcastStatsInline]

    @admin.display(description=_("subject"), ordering="subject")
    def title(self, broadcast: Broadcast) -> str:
        return str(broadcast)


class PurchaseItemInline(_ReadOnlyInline):
    model = PurchaseItem
    fields: ClassVar[Any] = ["position", "name", "product", "sku", "quantity", "unit_price"]
    readonly_fields: ClassVar[Any] = fields
    ordering = ["position"]


@admin.register(Purchase)
class PurchaseAdmin(Answered, IndexedAdmin):
    list_display = ["transaction_id", "connection", "email", "total", "currency", "status", "transaction_time"]
    list_filter: ClassVar[Any] = ["connection"]
    search_help_text = _("Search for a whole address, or the whole id of a transaction.")
    order = ("connection_id", "-transaction_time")
    personal_fields = ("email", "raw")
    fields = [
        ("transaction_id", "status"),
        ("email", "transaction_time"),
        ("subtotal", "discount", "tax", "total", "currency"),
        ("connection", "remote_id"),
        _TIMES,
        "answer",
    ]
    readonly_fields = ["answer"]
    inlines = [PurchaseItemInline]

    def found_by(self, term: str) -> Q:
        if is_address(term):
            return by_address(term)
        return Q(connection__in=connection_ids(), transaction_id=term) | by_remote_id(term)


@admin.register(ServiceAccount)
class ServiceAccountAdmin(MirrorAdmin):
    list_display = ["name", "plan", "email", "connection", "seen_at"]
    personal_fields = ("email", "raw")
    fields = ["name", ("plan", "email"), ("connection", "remote_id"), _TIMES, "answer"]
    readonly_fields = ["answer"]


@admin.register(AccountSnapshot)
class AccountSnapshotAdmin(MirrorAdmin):
    list_display = [
        "day", "connection", "subscribers", "new_subscribers", "cancellations", "emails_sent", "emails_opened",
    ]  # fmt: skip
    ordering = ["-day"]
    fields = [
        ("account", "day", "days"),
        ("subscribers", "new_subscribers", "cancellations", "net_new_subscribers"),
        ("emails_sent", "emails_opened", "emails_clicked"),
        ("connection", "seen_at"),
        "answer",
    ]
    readonly_fields = ["answer"]


@admin.register(Webhook)
class WebhookAdmin(MirrorAdmin):
    list_display = ["event", "parameter", "target_url", "connection", "seen_at"]
    fields = [("event", "parameter"), "target_url", ("connection", "remote_id"), _TIMES]


@admin.register(PullCheckpoint)
class PullCheckpointAdmin(ReadOnlyAdmin):
    list_display = ["stream", "connection", "phase", "read_through", "full_at", "missing"]
    list_filter = ["connection", "phase"]
    list_select_related = ["connection"]
    ordering = ["connection", "stream"]
    fields = [
        ("connection", "stream"),
        ("phase", "full", "started_at"),
        "since",
        ("read_through", "confirmed_through"),
        ("finished_at", "full_at"),
        "missing",
    ]
