"""``runs/``: pulls, pushes and reconciles, how far they are, and the buttons that end or continue them."""

from __future__ import annotations

from typing import Any, Final

from rest_framework import serializers
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.base import ReadViews, RunBegunSerializer, accepted, actor_of
from mktg_integration.api.openapi import documented
from mktg_integration.models import Run
from mktg_integration.operations import runs as operations
from mktg_integration.permissions import SYNC
from mktg_integration.running import is_stalled

VIEW: Final = "mktg_integration.view_run"


class RunSerializer(serializers.ModelSerializer[Run]):
    """``stalled``: it should be at work and gives no sign of life; resume it."""

    counts = serializers.DictField(read_only=True)
    errors = serializers.ListField(child=serializers.DictField(), read_only=True)  # type: ignore[assignment]
    examples = serializers.DictField(read_only=True)
    stalled = serializers.SerializerMethodField()

    class Meta:
        model = Run
        fields = [
            "id",
            "connection",
            "kind",
            "status",
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
            "stalled",
        ]
        read_only_fields = fields

    def get_stalled(self, run: Run) -> bool:
        return is_stalled(run)


class ConfirmSerializer(serializers.Serializer[Any]):
    limit = serializers.IntegerField(
        required=False,
        allow_null=True,
        default=None,
        min_value=1,
        max_value=1_000_000_000,
        help_text="A canary: of so many people only. None: of all that are left.",
    )


class RunViewSet(ReadViews[Run]):
    """Newest first."""

    queryset = Run.objects.all()
    serializer_class = RunSerializer
    filterset_fields = ("connection", "kind", "status", "is_preview")
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

    @documented(responses=RunSerializer, summary="End it after the page or batch that it is at")
    @action(detail=True, methods=["post"])
    def cancel(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        operations.cancel(actor_of(request), run)
        run.refresh_from_db()
        return Response(self.get_serializer(run).data)

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

    @documented(responses=RunSerializer, summary="Let a preview be")
    @action(detail=True, methods=["post"])
    def discard(self, request: Request, pk: str) -> Response:
        run = self.get_object()
        operations.discard_reconcile(actor_of(request), run)
        return Response(self.get_serializer(run).data)
