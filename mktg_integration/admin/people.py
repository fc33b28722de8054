"""Leads, opt-outs, and what was last sent of whom."""

from __future__ import annotations

from django.contrib import admin
from django.db import models
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import ByAddress, ReadOnlyAdmin, pretty
from mktg_integration.encryption import address_hash
from mktg_integration.models import ExplicitActs, Lead, OptOut, SyncState


@admin.register(Lead)
class LeadAdmin(ByAddress, ReadOnlyAdmin):
    list_display = ["email", "first_name", "last_name", "user", "created_at"]
    list_select_related = ["user"]
    search_fields = ["email_key"]
    search_help_text = _("Search for a whole address.")
    fields = ["email", ("first_name", "last_name"), "told_fields", "tags", "user", "created_at"]
    readonly_fields = ["told_fields"]

    @admin.display(description=_("fields"))
    def told_fields(self, lead: Lead) -> SafeString | str:
        return pretty(lead.fields)


@admin.register(OptOut)
class OptOutAdmin(ReadOnlyAdmin):
    """Addresses are known here by a hash alone; a search for an address looks for its hash."""

    list_display = ["short_hash", "kind", "scope", "source", "at"]
    list_filter = ["kind"]
    search_fields = ["address_hash"]
    search_help_text = _("Search for a whole address.")
    fields = ["address_hash", "kind", "scope", "source", "at"]

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[OptOut], search_term: str
    ) -> tuple[models.QuerySet[OptOut], bool]:
        term = search_term.strip()
        return (queryset.filter(address_hash=address_hash(term)) if term else queryset), False

    @admin.display(description=_("address"))
    def short_hash(self, opt_out: OptOut) -> str:
        return f"{opt_out.address_hash[:12]}…"


@admin.register(ExplicitActs)
class ExplicitActsAdmin(ByAddress, ReadOnlyAdmin):
    list_display = ["subject", "scope", "consent", "consent_who", "consent_when", "consent_how"]
    list_filter = ["consent"]
    search_fields = ["subject"]
    search_help_text = _("Search for one person, as in user:1.")
    fields = ["subject", "scope", "consent", "consent_who", "consent_when", "consent_how", "tags"]


@admin.register(SyncState)
class SyncStateAdmin(ByAddress, ReadOnlyAdmin):
    list_display = ["subject", "connection", "email_key", "sent_at", "note"]
    list_filter = ["connection"]
    list_select_related = ["connection"]
    search_fields = ["email_key", "subject"]
    search_help_text = _("Search for a whole address, or one person, as in user:1.")
    fields = [("subject", "connection"), "email_key", "last_sent", "owned_tags", "sent_at", "note"]
    readonly_fields = ["last_sent"]

    @admin.display(description=_("last sent"))
    def last_sent(self, state: SyncState) -> SafeString | str:
        return pretty(state.sent)
