"""``connections/<id>/webhooks/``: what a service is to tell, and whether it does."""

from __future__ import annotations

from typing import Any

from django.shortcuts import get_object_or_404
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.base import ApiView, actor_of
from mktg_integration.api.connections import VIEW
from mktg_integration.api.openapi import documented
from mktg_integration.inbound import registration
from mktg_integration.models import Connection, WebhookSubscription
from mktg_integration.operations import connections as operations
from mktg_integration.permissions import CONNECT


class WebhookSerializer(serializers.ModelSerializer[WebhookSubscription]):
    """``registered``: the service has it, as far as this site knows."""

    registered = serializers.SerializerMethodField()

    class Meta:
        model = WebhookSubscription
        fields = ["event", "parameter", "registered", "registered_at"]
        read_only_fields = fields

    def get_registered(self, row: WebhookSubscription) -> bool:
        return bool(row.remote_id)


class WebhooksSerializer(serializers.Serializer[Any]):
    connection = serializers.IntegerField()
    webhooks = WebhookSerializer(many=True)


class CheckedSerializer(serializers.Serializer[Any]):
    """What the service was asked about just now: which it has, which it lacks, which lead here and are not wanted."""

    registered = serializers.ListField(child=serializers.CharField())
    missing = serializers.ListField(child=serializers.CharField())
    superfluous = serializers.ListField(child=serializers.CharField())


class _OfConnection(ApiView):
    def connection(self) -> Connection:
        return get_object_or_404(Connection.objects.defer("credentials"), pk=self.kwargs["pk"])

    def accepted(self) -> Response:
        return Response(_told(self.connection()), status=202)


class WebhooksView(_OfConnection):
    """``GET``: what is registered. ``POST``: register, and repair. ``DELETE``: have the service tell nothing more.
    The work is a task's."""

    needs = {"get": VIEW, "post": CONNECT, "delete": CONNECT}

    @documented(responses=WebhooksSerializer, summary="What is registered, as far as this site knows; no call")
    def get(self, request: Request, pk: int) -> Response:
        return Response(_told(self.connection()))

    @documented(responses={202: WebhooksSerializer}, summary="Register webhooks, and repair those there are")
    def post(self, request: Request, pk: int) -> Response:
        operations.register_webhooks(actor_of(request), self.connection())
        return self.accepted()

    @documented(responses={202: WebhooksSerializer}, summary="Remove all webhooks of the connection")
    def delete(self, request: Request, pk: int) -> Response:
        operations.remove_webhooks(actor_of(request), self.connection())
        return self.accepted()


class WebhooksRepairView(_OfConnection):
    needs = {"post": CONNECT}

    @documented(responses={202: WebhooksSerializer}, summary="Make anew what was registered and is not there any more")
    def post(self, request: Request, pk: int) -> Response:
        operations.repair_webhooks(actor_of(request), self.connection())
        return self.accepted()


class WebhooksCheckView(_OfConnection):
    needs = {"post": CONNECT}
    calling = frozenset({"post"})

    @documented(responses=CheckedSerializer, summary="Ask the service now what is registered and what is missing")
    def post(self, request: Request, pk: int) -> Response:
        found = registration.compare(self.connection())
        told = {"registered": found.kept, "missing": found.created, "superfluous": found.removed}
        return Response(CheckedSerializer(told).data)


def _told(connection: Connection) -> Any:
    rows = WebhookSubscription.objects.filter(connection=connection).defer("secrets").order_by("event", "parameter")
    return WebhooksSerializer({"connection": connection.pk, "webhooks": rows}).data
