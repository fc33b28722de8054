"""``outbox/``: what has still to be sent. ``rejected/``: what could not be, by reason, and what is to become of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from django.db.models import QuerySet
from django.utils.translation import gettext
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.base import ReadViews, actor_of
from mktg_integration.api.openapi import documented
from mktg_integration.exceptions import NotNowError
from mktg_integration.insight.deliveries import attempts_of, reasons, remedy
from mktg_integration.insight.rows import rows_of
from mktg_integration.models import Attempt, Connection, DeadKind, DeadRow, Lane, OutboxRow
from mktg_integration.operations import deliveries as operations
from mktg_integration.permissions import REPLAY, SYNC

VIEW_DUE: Final = "mktg_integration.view_outboxrow"
VIEW_DEAD: Final = "mktg_integration.view_deadrow"
MOST_KEYS: Final = 1000
FIRST: Final = 1000


class DueSerializer(serializers.ModelSerializer[OutboxRow]):
    """What is to be sent is not told: it may hold an address."""

    in_flight = serializers.SerializerMethodField()

    class Meta:
        model = OutboxRow
        fields = ["key", "connection", "kind", "subject", "lane", "attempts", "marked_at", "due_at", "in_flight"]
        read_only_fields = fields

    def get_in_flight(self, row: OutboxRow) -> bool:
        return bool(row.claim_token)


class DeadSerializer(serializers.ModelSerializer[DeadRow]):
    class Meta:
        model = DeadRow
        fields = [
            "key",
            "connection",
            "kind",
            "subject",
            "state",
            "code",
            "reason",
            "status",
            "request_id",
            "attempts",
            "marked_at",
            "died_at",
        ]
        read_only_fields = fields


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = ["at", "outcome", "call", "status", "request_id", "code", "reason"]
        read_only_fields = fields


class DeadDetailSerializer(DeadSerializer):
    """With what mends it, and each attempt, the newest first."""

    remedy = serializers.CharField(read_only=True)
    tried = AttemptSerializer(many=True, read_only=True)

    class Meta(DeadSerializer.Meta):
        fields = [*DeadSerializer.Meta.fields, "remedy", "tried"]


class ReasonSerializer(serializers.Serializer[Any]):
    """``bounded``: there are more than ``count``, which is as far as it is counted."""

    connection_id = serializers.IntegerField()
    connection_name = serializers.CharField()
    state = serializers.ChoiceField(choices=DeadKind.choices)
    code = serializers.CharField()
    reason = serializers.CharField()
    status = serializers.IntegerField(allow_null=True)
    since = serializers.DateTimeField()
    count = serializers.IntegerField()
    bounded = serializers.BooleanField()
    remedy = serializers.CharField()


class SelectionSerializer(serializers.Serializer[Any]):
    """Which rows: ``keys``, or those of a ``connection``, narrowed to a ``code``. ``dry_run`` only counts them;
    ``expected`` is the count on which somebody decided: where it is another by now, nothing is done."""

    keys = serializers.ListField(child=serializers.CharField(max_length=191), max_length=MOST_KEYS, required=False)
    connection = serializers.PrimaryKeyRelatedField(queryset=Connection.objects.defer("credentials"), required=False)
    code = serializers.CharField(max_length=64, required=False)
    dry_run = serializers.BooleanField(default=False)
    expected = serializers.IntegerField(required=False, allow_null=True, default=None, min_value=0)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if ("keys" in attrs) == ("connection" in attrs):
            raise serializers.ValidationError(gettext("Say which rows: give either keys or a connection."))
        if "code" in attrs and "connection" not in attrs:
            raise serializers.ValidationError({"code": gettext("Goes with a connection.")})
        return attrs


class ReasonedSelectionSerializer(SelectionSerializer):
    reason = serializers.CharField(max_length=300, help_text="Why; kept in the audit.")


class CountSerializer(serializers.Serializer[Any]):
    """``count`` rows were taken (``dry_run``: would be); ``more``: others are left, as one request takes a bounded
    number of them."""

    count = serializers.IntegerField()
    more = serializers.BooleanField()
    dry_run = serializers.BooleanField()


class _RowFilter(filters.FilterSet):  # type: ignore[misc]
    """By the keys, which begin with the connection and are in the order of the pages; a person by the keys that a
    person's rows can have."""

    connection = filters.ModelChoiceFilter(queryset=Connection.objects.defer("credentials"), method="_of_connection")
    subject = filters.CharFilter(method="_with_connection", max_length=80, help_text="As in user:1.")

    def filter_queryset(self, queryset: Any) -> Any:
        given = self.form.cleaned_data
        connection, subject = given.get("connection"), given.get("subject")
        others = [name for name, value in given.items() if name != "connection" and value not in (None, "")]
        if others and connection is None:
            raise serializers.ValidationError({"connection": gettext("Name the connection too.")})
        if subject:
            queryset = rows_of(queryset.model, connection, subject)
        return super().filter_queryset(queryset)

    def _of_connection(self, queryset: Any, name: str, connection: Connection) -> Any:
        # Not by its column: a database would then rather sort all of its rows. The character after the colon ends the
        # range.
        return queryset.filter(pk__gte=f"{connection.pk}:", pk__lt=f"{connection.pk};")

    def _with_connection(self, queryset: Any, name: str, value: Any) -> Any:
        return queryset


class DueFilter(_RowFilter):
    """``lane`` gives the first thousand of it that will be sent: no index has a lane in the order of the keys."""

    lane = filters.ChoiceFilter(choices=Lane.choices, method="_first_of_lane")

    class Meta:
        model = OutboxRow
        fields = ["connection", "lane"]

    def _first_of_lane(self, queryset: Any, name: str, lane: str) -> Any:
        rows = OutboxRow.objects.filter(connection=self.form.cleaned_data["connection"], lane=lane)
        return queryset.filter(pk__in=list(rows.order_by("due_at", "key").values_list("pk", flat=True)[:FIRST]))


class DeadFilter(_RowFilter):
    class Meta:
        model = DeadRow
        fields = ["connection", "state", "code"]

    def filter_queryset(self, queryset: Any) -> Any:
        given = self.form.cleaned_data
        if given.get("connection") and (given.get("state") or given.get("code")):
            queryset = queryset.filter(connection=given["connection"])
        return super().filter_queryset(queryset)


class OutboxViewSet(ReadViews[OutboxRow]):
    """What is due, or will be."""

    queryset = OutboxRow.objects.defer("payload")
    serializer_class = DueSerializer
    filterset_class = DueFilter
    ordering = ("key",)
    lookup_value_regex = ".+"
    needs = {"list": VIEW_DUE, "retrieve": VIEW_DUE, "send": SYNC, "discard": REPLAY}

    @documented(request=SelectionSerializer, responses=CountSerializer, summary="Send these rows now")
    @action(detail=False, methods=["post"], serializer_class=SelectionSerializer)
    def send(self, request: Request) -> Response:
        return _acted(request, SelectionSerializer, OutboxRow.objects.all(), operations.send_now)

    @documented(
        request=ReasonedSelectionSerializer,
        responses=CountSerializer,
        summary="Give up what a disconnected connection has still to send",
    )
    @action(detail=False, methods=["post"], serializer_class=ReasonedSelectionSerializer)
    def discard(self, request: Request) -> Response:
        return _acted(request, ReasonedSelectionSerializer, OutboxRow.objects.all(), operations.discard_due)


class DeadViewSet(ReadViews[DeadRow]):
    """What the services refused, what needs a person, and what waits for a confirmation."""

    queryset = DeadRow.objects.defer("payload")
    serializer_class = DeadSerializer
    filterset_class = DeadFilter
    ordering = ("key",)
    lookup_value_regex = ".+"
    needs = {
        "list": VIEW_DEAD,
        "retrieve": VIEW_DEAD,
        "reasons": VIEW_DEAD,
        "replay": REPLAY,
        "confirm": REPLAY,
        "discard": REPLAY,
        "done_by_hand": REPLAY,
    }

    def get_queryset(self) -> QuerySet[DeadRow]:
        rows = super().get_queryset()
        return rows.select_related("connection").defer("payload", "connection__credentials") if self.detail else rows

    def get_object(self) -> Any:
        row: Any = super().get_object()
        row.remedy = remedy(row.connection.provider, row.code, row.status)
        row.tried = attempts_of(row.key)
        return row

    def get_serializer_class(self) -> Any:
        return DeadDetailSerializer if self.action == "retrieve" else super().get_serializer_class()

    @documented(responses=ReasonSerializer(many=True), summary="The rows grouped by reason, each with what mends it")
    @action(detail=False, methods=["get"], pagination_class=None, filter_backends=[])
    def reasons(self, request: Request) -> Response:
        return Response(ReasonSerializer(reasons(), many=True).data)

    @documented(request=SelectionSerializer, responses=CountSerializer, summary="Put these rows into the outbox again")
    @action(detail=False, methods=["post"], serializer_class=SelectionSerializer)
    def replay(self, request: Request) -> Response:
        rows = DeadRow.objects.exclude(state=DeadKind.HELD)
        return _acted(request, SelectionSerializer, rows, operations.replay)

    @documented(
        request=SelectionSerializer,
        responses=CountSerializer,
        summary="Let go the unsubscribes and erasures that were held because they were so many",
    )
    @action(detail=False, methods=["post"], serializer_class=SelectionSerializer)
    def confirm(self, request: Request) -> Response:
        return _acted(request, SelectionSerializer, DeadRow.objects.filter(state=DeadKind.HELD), operations.confirm)

    @documented(request=ReasonedSelectionSerializer, responses=CountSerializer, summary="Give these rows up")
    @action(detail=False, methods=["post"], serializer_class=ReasonedSelectionSerializer)
    def discard(self, request: Request) -> Response:
        return _acted(request, ReasonedSelectionSerializer, DeadRow.objects.all(), operations.discard)

    @documented(
        request=ReasonedSelectionSerializer,
        responses=CountSerializer,
        summary="A person has done at the service what these rows ask for",
    )
    @action(detail=False, methods=["post"], url_path="done-by-hand", serializer_class=ReasonedSelectionSerializer)
    def done_by_hand(self, request: Request) -> Response:
        rows = DeadRow.objects.filter(state=DeadKind.NEEDS_PERSON)
        return _acted(request, ReasonedSelectionSerializer, rows, operations.done_by_hand)


def _acted(
    request: Request, takes: type[SelectionSerializer], rows: QuerySet[Any], act: Callable[..., int]
) -> Response:
    """Count the chosen of ``rows``, and have it done unless only the count was asked for."""
    serializer = takes(data=request.data)
    serializer.is_valid(raise_exception=True)
    given = serializer.validated_data
    chosen = rows.filter(pk__in=given["keys"]) if "keys" in given else rows.filter(connection=given["connection"])
    if "code" in given:
        chosen = chosen.filter(code=given["code"])
    there = chosen.order_by()[: operations.AT_ONCE + 1].count()
    count, more = min(there, operations.AT_ONCE), there > operations.AT_ONCE
    if not given["dry_run"]:
        if given["expected"] not in (None, count):
            text = gettext("There are %(count)s such rows now, not %(expected)s: look again.")
            raise NotNowError(text % {"count": count, "expected": given["expected"]})
        reason = [given["reason"]] if "reason" in given else []
        count = act(actor_of(request), chosen, *reason)
    return Response(CountSerializer({"count": count, "more": more, "dry_run": given["dry_run"]}).data)
