"""What the admin's pages have in common: nothing is written by hand, and no page counts a whole table."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mktg_integration.permissions import SYNC, may
from mktg_integration.profile import normal_email

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
    BoundedPaginatorBase = Paginator[Any]
else:
    ModelAdmin = admin.ModelAdmin
    TabularInline = admin.TabularInline
    BoundedPaginatorBase = Paginator

NOTHING = "–"


class BoundedPaginator(BoundedPaginatorBase):
    """Counts no further than ``LIMIT`` rows, so that a list of millions opens as fast as one of thousands.

    What lies beyond is reached by a filter or by searching for an address.
    """

    LIMIT = 10_000

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows.order_by()[: self.LIMIT].count() if isinstance(rows, models.QuerySet) else len(rows)


class ReadOnlyAdmin(ModelAdmin):
    """A table that staff may look at; ``actions`` are all that they may do."""

    list_per_page = 50
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    secret_fields: tuple[str, ...] = ()
    """Fields that no page shows."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_push_permission(self, request: HttpRequest) -> bool:
        """For the actions that make the app send something."""
        return may(request.user, SYNC)

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        # Not even read, so that a wrong key breaks no page.
        return super().get_queryset(request).defer(*self.secret_fields)


class ByAddress(ModelAdmin):
    """Searches for a whole address or a whole id, each by its index; parts of them would read the whole table."""

    search_help_text: ClassVar[Any]

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = normal_email(search_term)
        if not term:
            return queryset, False
        found = models.Q()
        for name in self.search_fields:
            found |= models.Q(**{name: term})
        return queryset.filter(found), False


def moment(value: datetime | None) -> str:
    """A time as the visitor's language writes it, in the site's time zone."""
    if value is None:
        return NOTHING
    return str(formats.localize(timezone.localtime(value) if timezone.is_aware(value) else value))


def pretty(value: Any) -> SafeString | str:
    """JSON as people read it."""
    if value in (None, "", {}, []):
        return NOTHING
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    return format_html('<pre style="margin:0;white-space:pre-wrap">{}</pre>', text)
