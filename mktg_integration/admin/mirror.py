"""What the services last told: contacts, tags, custom fields, companies."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration import models
from mktg_integration.admin.base import NOTHING, ModelAdmin, ReadOnlyAdmin, pretty
from mktg_integration.admin.csv_export import export_csv
from mktg_integration.admin.indexed import (
    CONNECTION,
    IndexedAdmin,
    MembersFilter,
    StatusFilter,
    by_address,
    by_remote_id,
    is_address,
)
from mktg_integration.admin.person import PersonPages
from mktg_integration.admin.tags import WritesTags
from mktg_integration.insight import ids
from mktg_integration.insight.masking import masked
from mktg_integration.models import Company, Contact, CustomField, Form, Tag
from mktg_integration.models.mirror import Mirrored


class TagFilter(MembersFilter):
    title = _("tag")
    parameter_name = "taggings__tag__key__exact"
    container = Tag
    relation = "taggings__tag"


class FormFilter(MembersFilter):
    title = _("form")
    parameter_name = "form_members__form__key__exact"
    container = Form
    relation = "form_members__form"


class SequenceFilter(MembersFilter):
    title = _("sequence")
    parameter_name = "sequence_members__sequence__key__exact"
    container = models.Sequence
    relation = "sequence_members__sequence"


MEMBERSHIPS = tuple(one.parameter_name for one in (TagFilter, FormFilter, SequenceFilter))


class Answered(ModelAdmin):
    """For tables that keep what the service answered."""

    @admin.display(description=_("as answered"))
    def answer(self, row: Mirrored) -> SafeString | str:
        return pretty(row.raw)


class MirrorAdmin(Answered, ReadOnlyAdmin):
    """``seen_at`` is the time as of which a row is true."""

    list_filter: ClassVar[Any] = ["connection"]
    list_select_related: ClassVar[Any] = ["connection"]


@admin.register(Contact)
class ContactAdmin(PersonPages, Answered, IndexedAdmin):
    """Found by a whole address, a whole remote id or a subject. A tag's members are a list of their own."""

    list_display = ["email", "connection", "status", "first_name", "person", "last_seen", "last_pushed_at"]
    actions = [export_csv]
    list_filter: ClassVar[Any] = ["connection", StatusFilter, TagFilter, FormFilter, SequenceFilter]
    list_display_links = ["email"]
    search_help_text = _("Search for a whole address, a whole remote id, or one person, as in user:1.")
    order = ("connection_id", "status", "key")
    lookups = frozenset({CONNECTION, StatusFilter.parameter_name, *MEMBERSHIPS})
    personal_fields = ("email", "first_name", "values", "company_values", "raw", "user")
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

    def index_order(self, request: HttpRequest) -> Sequence[str]:
        # Members are found by their links, whose index has no order of contacts: sorting would read all of them.
        return () if any(request.GET.get(name) for name in MEMBERSHIPS) else self.order

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        is_list = request.resolver_match is not None and str(request.resolver_match.url_name).endswith("_changelist")
        return rows.defer("raw", "values", "company_values") if is_list else rows

    def mask(self, row: Any) -> None:
        super().mask(row)
        if not ids.is_plain(row.remote_id):
            row.remote_id = masked(row.remote_id)

    # A key may hold an address, and keys are in links, boxes and titles: so rows are shown by their sealed ids.

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, ids.key_of(object_id), from_field)
        return _sealed(row) if row is not None else None

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        if request.method != "POST":
            changes.result_list = [_sealed(row) for row in changes.result_list]
        return changes

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any], *args: Any, **options: Any) -> Any:
        given = request.POST.copy()
        chosen = given.getlist(ACTION_CHECKBOX_NAME)
        given.setlist(ACTION_CHECKBOX_NAME, [ids.key_of(str(one)) for one in chosen])
        request.POST = given  # type: ignore[assignment]
        return super().response_action(request, queryset, *args, **options)

    def found_by(self, term: str) -> Q:
        if is_address(term):
            return by_address(term)
        return Q(subject=term) if term.startswith(("user:", "lead:")) else by_remote_id(term)

    @admin.display(description=_("person"))
    def person(self, contact: Contact) -> SafeString | str:
        """The way to the person at all services."""
        if not contact.subject:
            return NOTHING
        address = reverse(f"{self.admin_site.name}:mktg_integration_contact_person", args=[contact.subject])
        return format_html('<a href="{}">{}</a>', address, contact.subject)

    @admin.display(description=_("last seen"))
    def last_seen(self, contact: Contact) -> datetime | None:
        """Empty where it is only known by what was sent: a service that cannot be read has shown nothing."""
        return None if contact.seen_at == contact.last_pushed_at else contact.seen_at

    @admin.display(description=_("fields"))
    def told_values(self, contact: Contact) -> SafeString | str:
        return pretty(contact.values)

    @admin.display(description=_("company"))
    def told_company(self, contact: Contact) -> SafeString | str:
        return pretty(contact.company_values)


def _sealed(contact: Contact) -> Contact:
    """With the id by which it may be named anywhere in place of its key: to be shown, never to be saved."""
    contact.key = ids.shown(contact.key)
    return contact


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
class CompanyAdmin(Answered, IndexedAdmin):
    list_display = ["title", "domain", "connection", "seen_at"]
    search_help_text = _("Search for the whole id of a company, as this site names it.")
    # The key begins with the connection, so each connection's are together.
    order = ("key",)
    lookups: ClassVar[frozenset[str]] = frozenset()
    fields = ["name", "domain", ("connection", "remote_id"), "told_values", "seen_at", "deleted_at", "answer"]
    readonly_fields = ["told_values", "answer"]

    def found_by(self, term: str) -> Q:
        return by_remote_id(term)

    @admin.display(description=_("name"))
    def title(self, company: Company) -> str:
        return company.name or company.remote_id or NOTHING

    @admin.display(description=_("fields"))
    def told_values(self, company: Company) -> SafeString | str:
        return pretty(company.values)
