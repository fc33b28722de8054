"""What the admin's pages have in common: nothing is written by hand, no page counts a whole table, and personal data is
masked for those who may not see it."""

from __future__ import annotations

import json
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest
from django.utils import formats
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from mktg_integration.audit import Actor
from mktg_integration.insight.masking import masked, sees_people
from mktg_integration.moments import local
from mktg_integration.permissions import CONNECT, ERASE, REPLAY, SYNC, may
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


def actor_of(request: HttpRequest) -> Actor:
    """Whoever presses a button of the admin, for operations and the audit."""
    return Actor(request.user, "admin")


def number(text: str) -> int | None:
    """The key of a row as an address or a form has it; None for what no row has."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def require(request: HttpRequest, *permissions: str) -> None:
    """Raises ``PermissionDenied`` unless the visitor has all of these (names of ``permissions``, or Django's own)."""
    if not all(may(request.user, permission) for permission in permissions):
        raise PermissionDenied


class Guarded(ModelAdmin):
    """For the ``permissions=[…]`` of actions: ``sync``, ``connect``, ``replay`` and ``erase``."""

    def has_sync_permission(self, request: HttpRequest) -> bool:
        return may(request.user, SYNC)

    def has_connect_permission(self, request: HttpRequest) -> bool:
        return may(request.user, CONNECT)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return may(request.user, REPLAY)

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return may(request.user, ERASE)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Only what the list's own filters ask for: any other column could be guessed letter by letter, and has no
        index."""
        filters = self.list_filter if request is None else self.get_list_filter(request)
        columns = {str(one[0] if isinstance(one, tuple | list) else one) for one in filters}
        column, has_more, _lookup = lookup.partition("__")
        is_named = bool(has_more) and column in columns
        is_named = is_named or lookup in {getattr(one, "parameter_name", "") for one in filters}
        return is_named and bool(super().lookup_allowed(lookup, value, request))  # type: ignore[arg-type]

    # Its older name.
    has_push_permission = has_sync_permission


class Masking(ModelAdmin):
    """Masks the columns in ``personal_fields`` for whoever may not see personal data, on lists and pages alike.

    It is the objects that are masked, once they are read, so whatever is shown of them is; they must never be saved,
    which is why this is for tables that are only looked at. Actions get the rows as they are.
    """

    personal_fields: tuple[str, ...] = ()
    """Names of columns; of a link to a person the link is left out."""

    def mask(self, row: Any) -> None:
        """Take out of ``row`` what tells of its person."""
        for name in self.personal_fields:
            field = row._meta.get_field(name)
            setattr(row, name, None if field.is_relation else masked(getattr(row, name)))

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        row = super().get_object(request, object_id, from_field)
        if row is not None and not sees_people(request.user):
            self.mask(row)
        return row

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Nobody chooses a person from a list of names (Django's autocomplete) without seeing personal data."""
        return sees_people(request.user) and super().to_field_allowed(request, to_field)

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        if not sees_people(request.user):
            # Read here, so that these objects are the ones that are shown.
            changes.result_list = list(changes.result_list)
            for row in changes.result_list:
                self.mask(row)
        return changes


class ReadOnlyAdmin(Masking, Guarded):
    """A table that staff may look at; ``actions`` are all that they may do."""

    list_per_page = 50
    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False
    secret_fields: tuple[str, ...] = ()
    """Fields that no page shows."""

    class Media:
        css: ClassVar[Any] = {"all": ["mktg_integration/admin.css"]}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

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
    return str(formats.localize(local(value)))


def pretty(value: Any) -> SafeString | str:
    """JSON as people read it."""
    if value in (None, "", {}, []):
        return NOTHING
    text = json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)
    return format_html('<pre class="mktg-json">{}</pre>', text)
