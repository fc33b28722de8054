"""What the services last told: contacts, tags, custom fields, companies."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import NOTHING, ByAddress, ReadOnlyAdmin, TabularInline, pretty
from mktg_integration.admin.tags import WritesTags
from mktg_integration.models import Company, Contact, CustomField, Tag, Tagging
from mktg_integration.models.mirror import Mirrored

MEMBERSHIPS = (
    "taggings__tag__key__exact",
    "form_members__form__key__exact",
    "sequence_members__sequence__key__exact",
)


class MirrorAdmin(ReadOnlyAdmin):
    """``seen_at`` is the time as of which a row is true."""

    list_filter: ClassVar[Any] = ["connection"]
    list_select_related: ClassVar[Any] = ["connection"]

    @admin.display(description=_("as answered"))
    def answer(self, row: Mirrored) -> SafeString | str:
        return pretty(row.raw)


class TaggingInline(TabularInline):
    model = Tagging
    fields = ["tag", "tagged_at", "deleted_at"]
    readonly_fields = ["tag", "tagged_at", "deleted_at"]
    extra = 0
    can_delete = False
    show_change_link = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).select_related("tag")


@admin.register(Contact)
class ContactAdmin(ByAddress, MirrorAdmin):
    list_display = ["email", "connection", "status", "first_name", "subject", "last_seen", "last_pushed_at"]
    list_filter = ["connection", "status"]
    list_display_links = ["email"]
    search_fields = ["email_key", "remote_id", "subject"]
    search_help_text = _("Search for a whole address, a whole remote id, or one person, as in user:1.")
    fields = [
        ("email", "status"),
        ("connection", "remote_id"),
        ("subject", "user"),
        "first_name",
        "told_values",
        "told_company",
        ("last_seen", "last_pushed_at"),
        ("remote_created_at", "deleted_at"),
        "answer",
    ]
    readonly_fields = ["last_seen", "told_values", "told_company", "answer"]
    inlines = [TaggingInline]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        # The links from a tag, form or sequence to those who are in it.
        if lookup in MEMBERSHIPS:
            return True
        return super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]

    @admin.display(description=_("last seen"), ordering="seen_at")
    def last_seen(self, contact: Contact) -> datetime | None:
        """Empty where it is only known by what was sent: a service that cannot be read has shown nothing."""
        return None if contact.seen_at == contact.last_pushed_at else contact.seen_at

    @admin.display(description=_("fields"))
    def told_values(self, contact: Contact) -> SafeString | str:
        return pretty(contact.values)

    @admin.display(description=_("company"))
    def told_company(self, contact: Contact) -> SafeString | str:
        return pretty(contact.company_values)


@admin.register(Tag)
class TagAdmin(WritesTags, MirrorAdmin):
    list_display = ["name", "connection", "ours", "contacts_link", "seen_at"]
    list_filter = ["connection", "ours"]
    search_fields = ["name"]
    fields = ["name", ("connection", "remote_id"), "ours", "contacts_link", "seen_at", "deleted_at", "answer"]
    readonly_fields = ["contacts_link", "answer"]

    @admin.display(description=_("contacts"))
    def contacts_link(self, tag: Tag) -> SafeString:
        # A link and no number: counting the members of every tag would read the whole table.
        query = urlencode({"taggings__tag__key__exact": tag.pk})
        address = reverse(f"{self.admin_site.name}:mktg_integration_contact_changelist")
        return format_html('<a href="{}?{}">{}</a>', address, query, _("show"))


@admin.register(CustomField)
class CustomFieldAdmin(MirrorAdmin):
    list_display = ["label", "field_key", "connection", "seen_at"]
    search_fields = ["label", "field_key"]
    fields = ["label", "field_key", ("connection", "remote_id"), "seen_at", "deleted_at", "answer"]
    readonly_fields = ["answer"]


@admin.register(Company)
class CompanyAdmin(MirrorAdmin):
    list_display = ["title", "domain", "connection", "seen_at"]
    search_fields = ["name", "domain"]
    fields = ["name", "domain", ("connection", "remote_id"), "told_values", "seen_at", "deleted_at", "answer"]
    readonly_fields = ["told_values", "answer"]

    @admin.display(description=_("name"), ordering="name")
    def title(self, company: Company) -> str:
        return company.name or company.remote_id or NOTHING

    @admin.display(description=_("fields"))
    def told_values(self, company: Company) -> SafeString | str:
        return pretty(company.values)
