"""``status/``: for monitors. No secrets, no personal data, no call to a service."""

from __future__ import annotations

import hmac
from typing import Any

from django.http import Http404
from rest_framework import serializers
from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.access import STAFF, import_classes
from mktg_integration.api.base import ApiView, ProblemSerializer
from mktg_integration.api.openapi import documented, query_parameter
from mktg_integration.conf import settings
from mktg_integration.insight.health import Health, HealthState, healths, site_health
from mktg_integration.models import Connection


class Monitor:
    """Who calls with one of ``MKTG_INTEGRATION["API"]["MONITOR_TOKENS"]``: may read the status, and is nobody else."""

    pk = None
    is_authenticated = True
    is_anonymous = is_active = is_staff = is_superuser = False

    def has_perm(self, permission: str, obj: Any = None) -> bool:
        return False


class MonitorAuthentication(BaseAuthentication):
    """``Authorization: Bearer <token>``; another token is left to the site's own authentication."""

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        kind, _, given = get_authorization_header(request).partition(b" ")
        tokens = [str(token) for token in settings.API.get("MONITOR_TOKENS", ()) if token]
        if kind.lower() != b"bearer":
            return None
        # All are compared, so that the time does not tell which one was near.
        found = [hmac.compare_digest(given.strip(), token.encode()) for token in tokens]
        return (Monitor(), None) if any(found) else None


class StaffOrMonitor(BasePermission):
    """Active staff, by the site's authentication, or a monitor by its token."""

    def has_permission(self, request: Request, view: Any) -> bool:
        user = request.user
        return isinstance(user, Monitor) or bool(user.is_active and getattr(user, "is_staff", False))


class WarningSerializer(serializers.Serializer[Any]):
    code = serializers.CharField()
    text = serializers.CharField()
    todo = serializers.CharField()
    command = serializers.CharField()


class SiteSerializer(serializers.Serializer[Any]):
    worker_at = serializers.DateTimeField(allow_null=True)
    works = serializers.BooleanField(help_text="Whether a worker ran something of the schedule lately.")
    schedules_missing = serializers.ListField(child=serializers.CharField())
    pushes = serializers.BooleanField()
    warnings = WarningSerializer(many=True)


class LastRunSerializer(serializers.Serializer[Any]):
    pk = serializers.IntegerField()
    status = serializers.CharField()
    at = serializers.DateTimeField()


class HealthSerializer(serializers.Serializer[Any]):
    """``outbox`` counts by lane and ``dead`` by state, each up to ``bound``."""

    name = serializers.CharField()
    provider = serializers.CharField()
    state = serializers.ChoiceField(choices=HealthState.choices)
    reason = serializers.CharField(allow_blank=True)
    todo = serializers.CharField(allow_blank=True)
    needs_person = serializers.BooleanField()
    waits_until = serializers.DateTimeField(allow_null=True)
    last_success_at = serializers.DateTimeField(allow_null=True)
    last_failure_at = serializers.DateTimeField(allow_null=True)
    last_pull = LastRunSerializer(allow_null=True)
    last_push = LastRunSerializer(allow_null=True)
    token_expires_at = serializers.DateTimeField(allow_null=True)
    rate_used = serializers.FloatField(allow_null=True, help_text="Share of the documented rate in use, 0 to 1.")
    outbox = serializers.DictField(child=serializers.IntegerField())
    dead = serializers.DictField(child=serializers.IntegerField())
    bound = serializers.IntegerField()
    oldest_seconds = serializers.FloatField(allow_null=True)


class StatusSerializer(serializers.Serializer[Any]):
    """``ok``: nothing needs a person. The same is said by the HTTP status, 200 or 503."""

    ok = serializers.BooleanField()
    site = SiteSerializer()
    connections = HealthSerializer(many=True)


class StatusView(ApiView):
    """200 while all is well, 503 where somebody has to look: no worker runs, schedules are missing, a connection is
    degraded, has to be connected again or waits for a person. What mends itself (a rate, an outage) is 200."""

    needs = {"get": STAFF}
    read_scope = "mktg-status"

    def get_authenticators(self) -> list[Any]:
        return [MonitorAuthentication(), *super().get_authenticators()]

    def get_permissions(self) -> list[Any]:
        return [one() for one in import_classes("STATUS_PERMISSION_CLASSES", [StaffOrMonitor])]

    @documented(
        responses={200: StatusSerializer, 404: ProblemSerializer, 503: StatusSerializer},
        summary="How workers and connections are; for monitors",
        parameters=[query_parameter("connection", "Only of the connection with this name.")],
    )
    def get(self, request: Request) -> Response:
        rows = Connection.objects.defer("credentials").order_by("name")
        name = request.query_params.get("connection", "")
        if name:
            rows = rows.filter(name=name)
        connections = list(rows)
        if name and not connections:
            raise Http404
        site = site_health()
        told = healths(connections, site)
        ok = site.works and not site.schedules_missing and not any(map(_is_bad, told))
        body = StatusSerializer({"ok": ok, "site": site, "connections": told}).data
        return Response(body, status=200 if ok else 503, headers={"Cache-Control": "no-store"})


def _is_bad(health: Health) -> bool:
    return health.needs_person or health.state is HealthState.DEGRADED
