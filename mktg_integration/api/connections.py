"""``connections/``: accounts by key, made, changed and deleted; and what staff may have done with each."""

from __future__ import annotations

from typing import Any, Final

from django.db import IntegrityError
from django.utils.translation import gettext
from rest_framework import mixins, serializers
from rest_framework.decorators import action
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.base import ReadViews, RunBegunSerializer, accepted, actor_of
from mktg_integration.api.connection_form import ConnectionSerializer
from mktg_integration.api.openapi import documented
from mktg_integration.audit import record
from mktg_integration.models import AuditAction, Connection
from mktg_integration.operations import connections as operations
from mktg_integration.operations import probing, runs
from mktg_integration.permissions import CONNECT, SYNC, may

VIEW: Final = "mktg_integration.view_connection"
ADD: Final = "mktg_integration.add_connection"
CHANGE: Final = "mktg_integration.change_connection"
DELETE: Final = "mktg_integration.delete_connection"


class StepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField()
    ok = serializers.BooleanField(allow_null=True, help_text="Null: worth knowing, and no fault.")
    text = serializers.CharField(allow_blank=True)


class TestedSerializer(serializers.Serializer[Any]):
    """``ok`` is whether no step found a fault."""

    ok = serializers.BooleanField()
    steps = StepSerializer(many=True)


class PushSerializer(serializers.Serializer[Any]):
    everybody = serializers.BooleanField(
        default=False, help_text="Mark everybody first, as a backfill; else only what is due is sent."
    )


class PullSerializer(serializers.Serializer[Any]):
    resources = serializers.ListField(
        child=serializers.CharField(max_length=64), default=list, max_length=50, help_text="Which; none: all."
    )
    full = serializers.BooleanField(default=False, help_text="Everything, not only what has changed.")
    confirm_deletions = serializers.BooleanField(
        default=False, help_text="Take for deleted what the last full pull did not see and asked about."
    )


class ReconcileSerializer(serializers.Serializer[Any]):
    preview = serializers.BooleanField(
        default=True, help_text="Only compare, and send nothing until the run is confirmed."
    )


class DryRunSerializer(serializers.Serializer[Any]):
    on = serializers.BooleanField()


class DisconnectSerializer(serializers.Serializer[Any]):
    delete_mirror = serializers.BooleanField(
        default=False, help_text="Delete what the service told, too (asks for the permission to delete connections)."
    )


class ConnectionViewSet(
    mixins.CreateModelMixin,
    mixins.UpdateModelMixin,
    mixins.DestroyModelMixin,
    ReadViews[Connection],
):
    """The accounts that this site is connected to. Credentials go in and never come out."""

    # Not even read for a list, so that a wrong key breaks no page.
    queryset = Connection.objects.defer("credentials")
    serializer_class = ConnectionSerializer
    filterset_fields = ("name", "provider", "source")
    ordering = ("name",)
    ordering_fields = ("name",)
    http_method_names = ["get", "post", "patch", "delete", "head", "options"]
    needs = {
        "list": VIEW,
        "retrieve": VIEW,
        "create": (CONNECT, ADD),
        "partial_update": (CONNECT, CHANGE),
        "destroy": (CONNECT, DELETE),
        "test": CONNECT,
        "confirm_site": CONNECT,
        "disconnect": CONNECT,
        "pause": SYNC,
        "resume": SYNC,
        "dry_run": SYNC,
        "push": SYNC,
        "pull": SYNC,
        "reconcile": SYNC,
    }
    calling = frozenset({"create", "partial_update", "test"})

    def perform_create(self, serializer: Any) -> None:
        connection = _saved(serializer)
        record(actor_of(self.request), AuditAction.CONNECTED, connection=connection, created=True)

    def perform_update(self, serializer: Any) -> None:
        changed = sorted(serializer.validated_data.keys() & {"name", "credentials", "stored_options", "push_enabled"})
        connection = _saved(serializer)
        record(actor_of(self.request), AuditAction.CHANGED, connection=connection, fields=changed)

    def perform_destroy(self, instance: Connection) -> None:
        operations.must_be_empty(instance)
        record(actor_of(self.request), AuditAction.CHANGED, connection=instance, deleted=True)
        instance.delete()

    @documented(responses=TestedSerializer, summary="Try the connection, step by step, by real calls")
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        steps = probing.test(actor_of(request), self.get_object())
        shown = {"ok": not any(step.ok is False for step in steps), "steps": steps}
        return Response(TestedSerializer(shown).data)

    @documented(responses=ConnectionSerializer, summary="Keep changes, send nothing")
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        return self._after(operations.pause)

    @documented(responses=ConnectionSerializer, summary="Send again, beginning with what was kept")
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        return self._after(operations.resume)

    @documented(request=DryRunSerializer, responses=ConnectionSerializer, summary="Switch the dry run on or off")
    @action(detail=True, methods=["post"], url_path="dry-run", serializer_class=DryRunSerializer)
    def dry_run(self, request: Request, pk: str) -> Response:
        return self._after(operations.set_dry_run, self._given(request)["on"])

    @documented(responses=ConnectionSerializer, summary="This site is the one that writes through the connection")
    @action(detail=True, methods=["post"], url_path="confirm-site")
    def confirm_site(self, request: Request, pk: str) -> Response:
        return self._after(operations.confirm_site)

    @documented(request=PushSerializer, responses={202: RunBegunSerializer}, summary="Send what is due, or everybody")
    @action(detail=True, methods=["post"], serializer_class=PushSerializer)
    def push(self, request: Request, pk: str) -> Response:
        given = self._given(request)
        return accepted(operations.push_now(actor_of(request), self.get_object(), given["everybody"]), request)

    @documented(request=PullSerializer, responses={202: RunBegunSerializer}, summary="Read what the service has")
    @action(detail=True, methods=["post"], serializer_class=PullSerializer)
    def pull(self, request: Request, pk: str) -> Response:
        return accepted(runs.start_pull(actor_of(request), self.get_object(), **self._given(request)), request)

    @documented(
        request=ReconcileSerializer,
        responses={202: RunBegunSerializer},
        summary="Compare everybody with what was sent; confirm the run to have it sent",
    )
    @action(detail=True, methods=["post"], serializer_class=ReconcileSerializer)
    def reconcile(self, request: Request, pk: str) -> Response:
        given = self._given(request)
        return accepted(runs.start_reconcile(actor_of(request), self.get_object(), preview=given["preview"]), request)

    @documented(
        request=DisconnectSerializer,
        responses={202: ConnectionSerializer},
        summary="Remove webhooks, revoke and forget tokens, send nothing more",
    )
    @action(detail=True, methods=["post"], serializer_class=DisconnectSerializer)
    def disconnect(self, request: Request, pk: str) -> Response:
        delete_mirror = self._given(request)["delete_mirror"]
        if delete_mirror and not may(request.user, DELETE):
            raise PermissionDenied(gettext("Deleting what the service told asks for the permission to delete."))
        answer = self._after(operations.disconnect, delete_mirror)
        answer.status_code = 202
        return answer

    def _given(self, request: Request) -> dict[str, Any]:
        given = self.get_serializer(data=request.data)
        given.is_valid(raise_exception=True)
        return dict(given.validated_data)

    def _after(self, act: Any, *arguments: Any) -> Response:
        connection = self.get_object()
        act(actor_of(self.request), connection, *arguments)
        return Response(ConnectionSerializer(connection, context=self.get_serializer_context()).data)


def _saved(serializer: Any) -> Connection:
    try:
        connection: Connection = serializer.save()
    except IntegrityError:
        raise serializers.ValidationError(gettext("This account or name was taken at the same moment.")) from None
    return connection
