"""``runs/``: pulls, pushes and reconciles, how far they are, and the buttons that end or continue them."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import QuerySet
from django_filters import rest_framework as filters
from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.base import ReadViews, RunBegunSerializer, accepted, actor_of
from mktg_integration.api.openapi import documented
from mktg_integration.insight import ids
from mktg_integration.insight import runs as insight
from mktg_integration.insight.runs import state_of
from mktg_integration.models import Connection, Run
from mktg_integration.operations import runs as operations
from mktg_integration.permissions import SYNC

VIEW: Final = "mktg_integration.view_run"


class RunSerializer(serializers.ModelSerializer[Run]):
    """``state``: the status as people are shown it: ``queued`` and ``cancelling`` apart from ``running``, and
    ``stalled`` of one that should be at work and gives no sign of life."""

    counts = serializers.DictField(read_only=True)
    errors = serializers.ListField(child=serializers.DictField(), read_only=True)  # type: ignore[assignment]
    examples = serializers.DictField(read_only=True)
    state = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "id",
            "connection",
            "kind",
            "status",
            "state",
            "started_at",
            "moved_at",
            "finished_at",
            "total",
            "counts",
            "detail",
            "errors",
            "examples",
            "is_preview",
            "cancel_requested",
            "requested_by",
        ]
        read_only_fields = fields

    def to_representation(self, run: Run) -> dict[str, Any]:
        shown = super().to_representation(run)
        # Contacts are among them by their keys, which may hold an address.
        shown["examples"] = {name: [_named(one) for one in found] for name, found in shown["examples"].items()}
        return shown

    def get_state(self, run: Run) -> str:
        return state_of(run)


class ProgressSerializer(serializers.Serializer[Any]):
    """How far it is. ``share`` of 100; what is not known is null."""

    stage = serializers.CharField(allow_blank=True)
    done = serializers.IntegerField()
    total = serializers.IntegerField(allow_null=True)
    share = serializers.IntegerField(allow_null=True)
    per_second = serializers.FloatField(allow_null=True)
    seconds_left = serializers.IntegerField(allow_null=True)
    may_cancel = serializers.BooleanField()
    may_resume = serializers.BooleanField()
    asks_about_deletions = serializers.BooleanField(
        help_text="So many were not seen that somebody has to say whether they are gone: pull with confirm_deletions."
    )


class RunErrorSerializer(serializers.Serializer[Any]):
    about = serializers.CharField(allow_blank=True)
    code = serializers.CharField(allow_blank=True)
    reason = serializers.CharField(allow_blank=True)
    status = serializers.IntegerField(allow_null=True)
    request_id = serializers.CharField(allow_blank=True)
    remedy = serializers.CharField(allow_blank=True)


class RunDetailSerializer(RunSerializer):
    """With its progress, and what mends each of its errors."""

    progress = ProgressSerializer(read_only=True)
    errors = RunErrorSerializer(many=True, read_only=True, source="told_errors")  # type: ignore[assignment]

    class Meta(RunSerializer.Meta):
        fields = [*RunSerializer.Meta.fields, "progress"]


class ConfirmSerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=1_000_000_000,
        help_text="A canary: of so many people only. None: of all that are left.",
    )


class RunFilter(filters.FilterSet):  # type: ignore[misc]
    connection = filters.ModelChoiceFilter(queryset=Connection.objects.defer("credentials"))

    class Meta:
        model = Run
        fields = ("connection", "kind", "status", "is_preview")


class RunViewSet(ReadViews[Run]):
    """Newest first."""

    queryset = Run.objects.all()
    serializer_class = RunSerializer
    filterset_class = RunFilter
    # By number, as they began: the time has no index of its own.
    ordering = ("-id",)
    needs = {
        "list": VIEW,
        "retrieve": VIEW,
        "cancel": SYNC,
        "resume": SYNC,
        "confirm": SYNC,
        "discard": SYNC,
    }

    def get_queryset(self) -> QuerySet[Run]:
        runs = super().get_queryset()
        return runs.select_related("connection").defer("connection__credentials") if self.detail else runs

    def get_serializer_class(self) -> Any:
        return RunDetailSerializer if self.detail and self.action != "confirm" else super().get_serializer_class()

    def get_object(self) -> Run:
        return _with_progress(super().get_object())

    @documented(responses=RunDetailSerializer, summary="End it after the page or batch that it is at")
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        operations.cancel(actor_of(request), run)
        return Response(RunDetailSerializer(_with_progress(run)).data)

    @documented(responses={202: RunBegunSerializer}, summary="Go on where it was cut off, failed or was cancelled")
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return accepted(operations.resume(actor_of(request), self.get_object()), request)

    @documented(
        request=ConfirmSerializer,
        responses={202: RunBegunSerializer},
        summary="Have sent what a reconcile's preview found",
    )
    @action(detail=True, methods=["post"], serializer_class=ConfirmSerializer)
    def confirm(self, request: Request, pk: str) -> Response:
        given = ConfirmSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        run = operations.confirm_reconcile(actor_of(request), self.get_object(), given.validated_data["limit"])
        return accepted(run, request)

    @documented(responses=RunDetailSerializer, summary="Let a preview be")
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        operations.discard_reconcile(actor_of(request), run)
        return Response(RunDetailSerializer(_with_progress(run)).data)


def _named(example: Any) -> Any:
    return ids.shown(example) if isinstance(example, str) else example


def _with_progress(run: Any) -> Run:
    run.progress, run.told_errors = insight.standing(run), insight.errors(run)
    found: Run = run
    return found
