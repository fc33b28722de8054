"""What the services last told, read-only: tags, fields, forms, broadcasts, purchases, figures.

Lists are in the order of the tables' keys, those that are gone left out unless asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import django_filters
from django.db.models import Prefetch, Q, QuerySet
from rest_framework import serializers

from mktg_integration.api.base import PersonalSerializer, ReadViews
from mktg_integration.insight import ids
from mktg_integration.models import (
    AccountSnapshot,
    Broadcast,
    BroadcastStats,
    Company,
    Contact,
    CustomField,
    EmailTemplate,
    Form,
    Purchase,
    PurchaseItem,
    Segment,
    Sequence,
    ServiceAccount,
    Tag,
    Webhook,
)
from mktg_integration.models.mirror import Mirrored
from mktg_integration.permissions import APP

M = TypeVar("M", bound=Mirrored)

COMMON = ("id", "connection", "remote_id", "remote_created_at", "seen_at", "deleted_at")


class MirroredSerializer(PersonalSerializer[M]):
    """What all mirrored rows tell."""

    id = serializers.SerializerMethodField(help_text="<connection>:<id at the service>")
    connection = serializers.IntegerField(source="connection_id", read_only=True)
    remote_id = serializers.SerializerMethodField()
    remote_created_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="As the service says.")
    seen_at = serializers.DateTimeField(read_only=True, help_text="As of when this is true.")
    deleted_at = serializers.DateTimeField(read_only=True, allow_null=True, help_text="Gone at the service since.")

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = super().get_fields()
        for field in fields.values():
            field.read_only, field.required = True, False
        return fields

    def get_id(self, row: M) -> str:
        return ids.shown(row.key)

    def get_remote_id(self, row: M) -> str:
        """The id at the service; empty where the service knows people by their address alone."""
        return row.remote_id if ids.is_plain(row.remote_id) else ""


class LinkField(serializers.CharField):
    """The id of another mirrored row; None where it was not told."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(read_only=True, allow_null=True, **kwargs)

    def to_representation(self, value: Any) -> str:
        return ids.shown(str(value))


def of_connection(connection_id: int) -> Q:
    """By the key, which begins with the connection and by which the pages go: no other index has both."""
    return Q(pk__gte=f"{connection_id}:", pk__lt=f"{connection_id};")


class MirroredFilter(django_filters.FilterSet):  # type: ignore[misc]
    """``connection``: its id. ``gone=true``: also what is gone at the service."""

    connection = django_filters.NumberFilter(
        method="of_connection", label="Id of the connection", min_value=1, max_value=2**63 - 1, decimal_places=0
    )
    gone = django_filters.BooleanFilter(method="and_gone", label="Also what is gone at the service")

    def of_connection(self, rows: QuerySet[Any], name: str, value: int) -> QuerySet[Any]:
        return rows.filter(of_connection(int(value)))

    def and_gone(self, rows: QuerySet[Any], name: str, value: bool) -> QuerySet[Any]:
        return rows

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().filter_queryset(queryset)
        return rows if self.form.cleaned_data.get("gone") else rows.filter(deleted_at=None)


class NameFilter(MirroredFilter):
    """``name``: as it is written there."""

    name = django_filters.CharFilter(field_name="name", lookup_expr="exact")


class MirrorViews(ReadViews[M]):
    """A list and a detail, for staff who may view the table."""

    lookup_value_regex = ids.PATTERN
    filterset_class: ClassVar[type[MirroredFilter]] = MirroredFilter

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        queryset = getattr(cls, "queryset", None)
        if queryset is not None and "needs" not in cls.__dict__:
            may_view = f"{APP}.view_{queryset.model._meta.model_name}"
            cls.needs = {"list": may_view, "retrieve": may_view}

    def get_object(self) -> M:
        self.kwargs["pk"] = ids.key_of(str(self.kwargs["pk"]))
        found: M = super().get_object()
        return found

    def filter_queryset(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        # One that is gone is still found by its id.
        return queryset if self.detail else super().filter_queryset(queryset)


class TagSerializer(MirroredSerializer[Tag]):
    class Meta:
        model = Tag
        fields = (*COMMON, "name", "ours")


class TagViewSet(MirrorViews[Tag]):
    """Tags (ConvertLoop: segments)."""

    queryset = Tag.objects.all()
    serializer_class = TagSerializer
    filterset_class = NameFilter


class CustomFieldSerializer(MirroredSerializer[CustomField]):
    class Meta:
        model = CustomField
        fields = (*COMMON, "field_key", "label")


class CustomFieldViewSet(MirrorViews[CustomField]):
    """Custom fields that the accounts have."""

    queryset = CustomField.objects.all()
    serializer_class = CustomFieldSerializer


class FormSerializer(MirroredSerializer[Form]):
    class Meta:
        model = Form
        fields = (*COMMON, "name", "type", "format", "archived", "url")


class FormViewSet(MirrorViews[Form]):
    """Forms and landing pages."""

    queryset = Form.objects.all()
    serializer_class = FormSerializer
    filterset_class = NameFilter


class SequenceSerializer(MirroredSerializer[Sequence]):
    class Meta:
        model = Sequence
        fields = (*COMMON, "name", "hold", "repeat")


class SequenceViewSet(MirrorViews[Sequence]):
    """Sequences of emails."""

    queryset = Sequence.objects.all()
    serializer_class = SequenceSerializer
    filterset_class = NameFilter


class SegmentSerializer(MirroredSerializer[Segment]):
    class Meta:
        model = Segment
        fields = (*COMMON, "name")


class SegmentViewSet(MirrorViews[Segment]):
    """Saved selections of contacts; services tell their names alone."""

    queryset = Segment.objects.all()
    serializer_class = SegmentSerializer
    filterset_class = NameFilter


class EmailTemplateSerializer(MirroredSerializer[EmailTemplate]):
    class Meta:
        model = EmailTemplate
        fields = (*COMMON, "name", "category", "is_default")


class EmailTemplateViewSet(MirrorViews[EmailTemplate]):
    """Templates of emails."""

    queryset = EmailTemplate.objects.all()
    serializer_class = EmailTemplateSerializer


class StatsSerializer(serializers.ModelSerializer[BroadcastStats]):
    class Meta:
        model = BroadcastStats
        fields = (
            "status", "recipients", "open_rate", "click_rate", "unsubscribes", "total_clicks", "progress", "seen_at",
        )  # fmt: skip
        read_only_fields = fields


class BroadcastSerializer(MirroredSerializer[Broadcast]):
    template = LinkField(source="template_id")
    stats = StatsSerializer(read_only=True, allow_null=True, help_text="Null where the service has not told them.")

    class Meta:
        model = Broadcast
        fields = (*COMMON, "subject", "preview_text", "public", "published_at", "send_at", "template", "stats")


class BroadcastViewSet(MirrorViews[Broadcast]):
    """Emails to many, with how they fared."""

    queryset = Broadcast.objects.select_related("stats")
    serializer_class = BroadcastSerializer


class PurchaseItemSerializer(serializers.ModelSerializer[PurchaseItem]):
    class Meta:
        model = PurchaseItem
        fields = ("position", "name", "product", "line", "sku", "quantity", "unit_price")
        read_only_fields = fields


class PurchaseSerializer(MirroredSerializer[Purchase]):
    items = PurchaseItemSerializer(many=True, read_only=True)
    personal = ("email",)

    class Meta:
        model = Purchase
        fields = (
            *COMMON, "transaction_id", "status", "email", "currency", "transaction_time", "subtotal", "discount",
            "tax", "total", "items",
        )  # fmt: skip


class PurchaseFilter(MirroredFilter):
    """``contact``: the id of the contact who bought; never an address, which would be logged with the request."""

    contact = django_filters.CharFilter(method="of_contact", label="Id of the contact who bought")

    def of_contact(self, rows: QuerySet[Any], name: str, value: str) -> QuerySet[Any]:
        keys = Contact.objects.filter(pk=ids.key_of(value)).values_list("email_key", flat=True)
        found = keys.first()
        return rows.filter(email_key=found) if found else rows.none()


PURCHASES = Purchase.objects.prefetch_related(
    Prefetch("items", PurchaseItem.objects.filter(deleted_at=None).order_by("position"))
)


class CompanySerializer(MirroredSerializer[Company]):
    class Meta:
        model = Company
        fields = (*COMMON, "name", "domain", "values")


class CompanyViewSet(MirrorViews[Company]):
    """Companies, by the site's own ids."""

    queryset = Company.objects.all()
    serializer_class = CompanySerializer


class AccountSerializer(MirroredSerializer[ServiceAccount]):
    personal = ("email",)

    class Meta:
        model = ServiceAccount
        fields = (*COMMON, "name", "plan", "email")


class AccountViewSet(MirrorViews[ServiceAccount]):
    """The accounts that the connections' credentials belong to."""

    queryset = ServiceAccount.objects.all()
    serializer_class = AccountSerializer


class SnapshotSerializer(MirroredSerializer[AccountSnapshot]):
    account = LinkField(source="account_id")

    class Meta:
        model = AccountSnapshot
        fields = (
            *COMMON, "account", "day", "days", "subscribers", "new_subscribers", "cancellations",
            "net_new_subscribers", "emails_sent", "emails_opened", "emails_clicked",
        )  # fmt: skip


class SnapshotViewSet(MirrorViews[AccountSnapshot]):
    """The accounts' figures, day by day."""

    queryset = AccountSnapshot.objects.all()
    serializer_class = SnapshotSerializer


class ServiceWebhookSerializer(MirroredSerializer[Webhook]):
    class Meta:
        model = Webhook
        fields = (*COMMON, "event", "parameter", "target_url")


class ServiceWebhookViewSet(MirrorViews[Webhook]):
    """The webhooks that the services keep, whoever registered them; addresses without their secret part."""

    queryset = Webhook.objects.all()
    serializer_class = ServiceWebhookSerializer


MIRROR: Mapping[str, type[MirrorViews[Any]]] = {
    "tags": TagViewSet,
    "custom-fields": CustomFieldViewSet,
    "companies": CompanyViewSet,
    "forms": FormViewSet,
    "sequences": SequenceViewSet,
    "segments": SegmentViewSet,
    "email-templates": EmailTemplateViewSet,
    "broadcasts": BroadcastViewSet,
    "accounts": AccountViewSet,
    "account-snapshots": SnapshotViewSet,
    "service-webhooks": ServiceWebhookViewSet,
}
"""By their place in the address; contacts and purchases can do more, and have modules of their own."""
