"""``audit/``: who did what."""

from __future__ import annotations

from typing import Final

from django_filters import rest_framework as filters
from rest_framework import mixins, serializers

from mktg_integration.api.base import Views
from mktg_integration.models import AuditEntry, Connection

VIEW: Final = "mktg_integration.view_auditentry"


class AuditSerializer(serializers.ModelSerializer[AuditEntry]):
    detail = serializers.DictField(read_only=True)

    class Meta:
        model = AuditEntry
        fields = ["id", "at", "action", "actor", "via", "connection", "connection_name", "subject", "detail"]
        read_only_fields = fields


class AuditFilter(filters.FilterSet):  # type: ignore[misc]
    connection = filters.ModelChoiceFilter(queryset=Connection.objects.defer("credentials"))
    since = filters.IsoDateTimeFilter(field_name="at", lookup_expr="gte")
    before = filters.IsoDateTimeFilter(field_name="at", lookup_expr="lt")
    actor = filters.NumberFilter(field_name="actor_id", min_value=0, max_value=2**63 - 1, decimal_places=0)

    class Meta:
        model = AuditEntry
        fields = ["connection", "subject"]


class AuditViewSet(mixins.ListModelMixin, Views[AuditEntry]):
    """Newest first. Entries are never changed."""

    queryset = AuditEntry.objects.all()
    serializer_class = AuditSerializer
    filterset_class = AuditFilter
    ordering = ("-at",)
    needs = {"list": VIEW}
