"""Who did what. Written by operations alone; nobody changes it here."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import NOTHING, ByAddress, ReadOnlyAdmin, pretty
from mktg_integration.admin.csv_export import export_csv
from mktg_integration.models import AuditAction, AuditEntry, Connection
from mktg_integration.people import user_subject

RECENT = 10_000
"""A filter looks at so many of the newest entries: there is no index for each of them."""


class RecentFilter(admin.SimpleListFilter):
    """A filter over the newest entries only, so that a value that is rare does not read the whole table."""

    column: ClassVar[str]

    def choices_of(self) -> Iterable[tuple[Any, Any]]:
        raise NotImplementedError

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return list(self.choices_of())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() is None:
            return queryset
        if not any(str(value) == self.value() for value, _label in self.choices_of()):
            return queryset.none()
        oldest = AuditEntry.objects.order_by("-at").values_list("at", flat=True)[RECENT : RECENT + 1].first()
        recent = queryset.filter(at__gt=oldest) if oldest is not None else queryset
        return recent.filter(**{self.column: self.value()})


class TimeFilter(admin.DateFieldListFilter):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.title = _("time")


class ActionFilter(RecentFilter):
    title = _("action")
    parameter_name = "action"
    column = "action"

    def choices_of(self) -> Iterable[tuple[Any, Any]]:
        return AuditAction.choices


class ViaFilter(RecentFilter):
    title = _("way")
    parameter_name = "via"
    column = "via"

    def choices_of(self) -> Iterable[tuple[Any, Any]]:
        return [
            ("admin", _("the admin")),
            ("api", _("the API")),
            ("command", _("a command")),
            ("link", _("a preference link")),
            ("oauth", _("connecting")),
        ]


class ConnectionFilter(RecentFilter):
    title = _("connection")
    # As links from a connection's page have it.
    parameter_name = "connection__id__exact"
    column = "connection_id"

    def choices_of(self) -> Iterable[tuple[Any, Any]]:
        return Connection.objects.order_by("name").values_list("pk", "name")


@admin.register(AuditEntry)
class AuditEntryAdmin(ByAddress, ReadOnlyAdmin):
    list_display = ["at", "act", "by", "via", "connection_name", "subject", "in_short"]
    list_display_links = ["at"]
    actions = [export_csv]
    list_filter = [("at", TimeFilter), ActionFilter, ViaFilter, ConnectionFilter]
    list_select_related = ["actor"]
    search_fields = ["subject"]
    search_help_text = _("Search for one person, as in user:1.")
    fields = ["at", "act", "by", "via", "connection_name", "subject", "told"]
    readonly_fields = ["act", "by", "told"]
    sortable_by = ["at"]
    ordering = ["-at", "-pk"]

    def mask(self, row: Any) -> None:
        row.actor_is_hidden = True

    @admin.display(description=_("by"))
    def by(self, entry: AuditEntry) -> str:
        """People who choose for themselves are among them, so a name is personal."""
        if entry.actor is None:
            return NOTHING
        return user_subject(entry.actor) if getattr(entry, "actor_is_hidden", False) else str(entry.actor)

    @admin.display(description=_("action"))
    def act(self, entry: AuditEntry) -> str:
        return entry.get_action_display()

    @admin.display(description=_("detail"))
    def in_short(self, entry: AuditEntry) -> str:
        told = {name: value for name, value in entry.detail.items() if value not in (None, "", [], {})}
        return ", ".join(f"{name}: {_plain(value)}" for name, value in told.items()) or NOTHING

    @admin.display(description=_("detail"))
    def told(self, entry: AuditEntry) -> SafeString | str:
        return pretty(entry.detail)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
