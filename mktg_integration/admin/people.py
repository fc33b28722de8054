"""Leads, opt-outs, and what was last sent of whom."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import pretty
from mktg_integration.admin.indexed import IndexedAdmin, by_address, connection_ids, is_address
from mktg_integration.encryption import address_hash
from mktg_integration.models import ExplicitActs, Lead, OptOut, SyncState


@admin.register(Lead)
class LeadAdmin(IndexedAdmin):
    list_display = ["email", "first_name", "last_name", "user", "created_at"]
    search_help_text = _("Search for a whole address.")
    order = ("-id",)
    lookups: ClassVar[frozenset[str]] = frozenset()
    read_once = ("user",)
    personal_fields = ("email", "first_name", "last_name", "fields", "user")
    fields = ["email", ("first_name", "last_name"), "told_fields", "tags", "user", "created_at"]
    readonly_fields = ["told_fields"]

    def found_by(self, term: str) -> Q:
        return by_address(term)

    @admin.display(description=_("fields"))
    def told_fields(self, lead: Lead) -> SafeString | str:
        return pretty(lead.fields)


@admin.register(OptOut)
class OptOutAdmin(IndexedAdmin):
    """Addresses are known here by a hash alone; a search for an address looks for its hash."""

    list_display = ["short_hash", "kind", "scope", "source", "at"]
    search_help_text = _("Search for a whole address.")
    order = ("key",)
    lookups: ClassVar[frozenset[str]] = frozenset()
    fields = ["address_hash", "kind", "scope", "source", "at"]

    def found_by(self, term: str) -> Q:
        return Q(address_hash=address_hash(term))

    @admin.display(description=_("address"))
    def short_hash(self, opt_out: OptOut) -> str:
        return f"{opt_out.address_hash[:12]}…"


@admin.register(ExplicitActs)
class ExplicitActsAdmin(IndexedAdmin):
    list_display = ["subject", "scope", "consent", "consent_who", "consent_when", "consent_how"]
    search_help_text = _("Search for one person, as in user:1.")
    order = ("key",)
    lookups: ClassVar[frozenset[str]] = frozenset()
    personal_fields = ("consent_who",)
    fields = ["subject", "scope", "consent", "consent_who", "consent_when", "consent_how", "tags"]

    def found_by(self, term: str) -> Q:
        return Q(subject=term)


@admin.register(SyncState)
class SyncStateAdmin(IndexedAdmin):
    list_display = ["subject", "connection", "email_key", "sent_at", "note"]
    list_filter: ClassVar[Any] = ["connection"]
    search_help_text = _("Search for a whole address, or one person, as in user:1.")
    order = ("connection_id", "email_key")
    personal_fields = ("email_key", "sent")
    fields = [("subject", "connection"), "email_key", "last_sent", "owned_tags", "sent_at", "note"]
    readonly_fields = ["last_sent"]

    def found_by(self, term: str) -> Q:
        if is_address(term):
            return Q(connection__in=connection_ids()) & by_address(term)
        return Q(subject=term)

    @admin.display(description=_("last sent"))
    def last_sent(self, state: SyncState) -> SafeString | str:
        return pretty(state.sent)
