"""Lists of tables that grow with the number of people: each page is a walk along one index, whatever is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models import Prefetch
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import BoundedPaginator, ReadOnlyAdmin, number
from mktg_integration.insight.masking import sees_people
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import Connection
from mktg_integration.profile import normal_email

CONNECTION = "connection__id__exact"


class IndexedPaginator(BoundedPaginator):
    """Counts along the index of the list's order: without the order a database may read the table instead."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, models.QuerySet):
            return len(rows)
        # The index has these columns itself, so no row of the table is looked at.
        columns = [str(name).removeprefix("-") for name in rows.query.order_by] or ["pk"]
        return rows.values(*columns)[: self.LIMIT].count()

    def _check_object_list_is_ordered(self) -> None:
        # The members of a tag come in the order of the index that finds them.
        return None


class IndexedChangeList(ChangeList):
    """In the order of one index and no other, without Django's own additions to it."""

    def get_ordering(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> list[Any]:
        model_admin: Any = self.model_admin
        return [self._column(name) for name in model_admin.index_order(request)]

    def _column(self, name: str) -> str:
        """By the column of a link: by its name it would be the order of the rows it leads to, and so a join."""
        if name.removeprefix("-") == "pk":
            return name
        field: Any = self.lookup_opts.get_field(name.removeprefix("-"))
        return f"-{field.attname}" if name.startswith("-") else str(field.attname)


class IndexedAdmin(ReadOnlyAdmin):
    """``order`` names an index, beginning with the connection where ``filters_by_connection``.

    Columns cannot be sorted by, addresses cannot name other fields, and a search looks for whole words that an index
    has (``found_by``). Connections are read once for all rows, because a join would leave the order to the database.
    """

    order: ClassVar[Sequence[str]]
    lookups: ClassVar[frozenset[str]] = frozenset({CONNECTION})
    """What an address of the list may filter by."""
    paginator = IndexedPaginator
    sortable_by: ClassVar[Any] = ()
    list_select_related: ClassVar[Any] = ()
    # The search field is shown where there are some; what is searched is told by ``found_by``.
    search_fields: ClassVar[Any] = ("pk",)
    read_once: ClassVar[tuple[str, ...]] = ()
    """Other links that are read once for all rows."""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return IndexedChangeList

    def index_order(self, request: HttpRequest) -> Sequence[str]:
        """The order of this list, as the request filters it."""
        return self.order

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in self.lookups

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Any]:
        rows = super().get_queryset(request).prefetch_related(*self.read_once)
        if any(field.name == "connection" for field in self.model._meta.fields):
            rows = rows.prefetch_related(Prefetch("connection", Connection.objects.defer("credentials")))
        return rows

    def get_search_results(
        self, request: HttpRequest, queryset: models.QuerySet[Any], search_term: str
    ) -> tuple[models.QuerySet[Any], bool]:
        term = search_term.strip()
        if is_address(term) and not sees_people(request.user):
            # Whether somebody is there is personal, too.
            return queryset.none(), False
        is_search = bool(term and self.get_search_fields(request))
        return (queryset.filter(self.found_by(term)) if is_search else queryset), False

    def found_by(self, term: str) -> models.Q:
        """The condition for a term that is not empty: one index for each part."""
        raise NotImplementedError


def is_address(term: str) -> bool:
    return "@" in normal_email(term)


def by_address(term: str) -> models.Q:
    """By the index of addresses in their normal form."""
    return models.Q(email_key=normal_email(term))


def by_remote_id(term: str) -> models.Q:
    """By the primary key, which is made of connection and remote id."""
    return models.Q(pk__in=[remote_key(pk, term) for pk in connection_ids()])


def connection_ids() -> list[int]:
    return list(Connection.objects.order_by("pk").values_list("pk", flat=True))


def chosen_connection(request: HttpRequest) -> int | None:
    """The connection that the list is filtered by; the only one where there is but one."""
    given = number(request.GET.get(CONNECTION, ""))
    if given is not None:
        return given
    pks = list(Connection.objects.order_by("pk").values_list("pk", flat=True)[:2])
    return pks[0] if len(pks) == 1 else None


class StatusFilter(admin.SimpleListFilter):
    """Offered once a connection is chosen, because the index begins with it."""

    title = _("status")
    parameter_name = "status__exact"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        self.connection = chosen_connection(request)
        return model_admin.model._meta.get_field("status").choices if self.connection is not None else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        if self.value() is None:
            return None
        return queryset.filter(connection=self.connection, status=self.value())


class MembersFilter(admin.SimpleListFilter):
    """Who is in one tag, form or sequence: made by the link on its page, so it offers only what is chosen."""

    container: ClassVar[type[models.Model]]
    relation: ClassVar[str]

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        key = request.GET.get(str(self.parameter_name))
        if not key:
            return []
        row = self.container._default_manager.filter(pk=key).first()
        return [(key, str(row) if row is not None else key)]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        # One link for each contact and container, so nobody is found twice.
        return queryset.filter(**{self.relation: self.value()}) if self.value() else None
