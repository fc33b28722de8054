"""``me/``: the signed-in person's own subscription and topics, and the person's own data. Nothing of anybody else."""

from __future__ import annotations

from typing import Any, Final

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration import audit
from mktg_integration.api.base import ApiView, actor_of
from mktg_integration.api.openapi import documented
from mktg_integration.insight.noted import worded
from mktg_integration.models import AuditAction
from mktg_integration.people import address_is_verified, address_of, subject_of
from mktg_integration.preferences.choices import choose
from mktg_integration.preferences.export import export_of
from mktg_integration.preferences.hints import text_of
from mktg_integration.preferences.standing import Standing, standing

HOW: Final = "API"


class IsOneself(BasePermission):
    """Whoever is signed in and has shown, by the site's own word (``EMAIL_VERIFIED``), that the address is theirs."""

    def has_permission(self, request: Request, view: Any) -> bool:
        user: Any = request.user
        if not (user and user.is_authenticated and user.is_active):
            return False
        if not address_of(user) or not address_is_verified(user):
            raise PermissionDenied(
                _("Your address has to be confirmed first: this site has not been shown that it is yours."),
                code="unverified",
            )
        return True


class TopicSerializer(serializers.Serializer[Any]):
    key = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]
    on = serializers.BooleanField()


class HintSerializer(serializers.Serializer[Any]):
    service = serializers.CharField()
    hint = serializers.ChoiceField(
        choices=["pending", "confirm", "out"],
        help_text="pending: the service has still to be told; confirm: it waits for the person's confirmation; "
        "out: the person opted out there, which the site cannot undo.",
    )
    text = serializers.CharField()


class StandingSerializer(serializers.Serializer[Any]):
    """How the person stands."""

    subscribed = serializers.BooleanField()
    topics = TopicSerializer(many=True)
    hints = HintSerializer(many=True)


class ChoiceSerializer(serializers.Serializer[Any]):
    """What the person chooses; what is left out stays as it is."""

    subscribed = serializers.BooleanField(required=False)
    topics = serializers.DictField(child=serializers.BooleanField(), required=False, help_text="By their keys.")


class _MyView(ApiView):
    permission_classes = [IsOneself]
    read_scope = write_scope = "mktg-person"


class MeView(_MyView):
    """The signed-in person's own subscription and topics."""

    @documented(responses=StandingSerializer, summary="How I stand")
    def get(self, request: Request) -> Response:
        return _told(standing(_person(request)))

    @documented(request=ChoiceSerializer, responses=StandingSerializer, summary="Subscribe, unsubscribe, choose topics")
    def patch(self, request: Request) -> Response:
        given = ChoiceSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            return _told(choose(_person(request), actor=actor_of(request), how=HOW, **given.validated_data))
        except ValueError as error:
            raise serializers.ValidationError({"topics": [worded(str(error))]}) from None


class ExportSerializer(serializers.Serializer[Any]):
    """All that is held of the person. The rows have the columns of the tables."""

    made_at = serializers.DateTimeField()
    people = serializers.ListField(child=serializers.CharField())
    contacts = serializers.ListField(child=serializers.DictField())
    leads = serializers.ListField(child=serializers.DictField())
    said = serializers.ListField(child=serializers.DictField())
    opt_outs = serializers.ListField(child=serializers.DictField())
    sent = serializers.ListField(child=serializers.DictField())
    purchases = serializers.ListField(child=serializers.DictField())
    to_be_sent = serializers.ListField(child=serializers.DictField())
    could_not_be_sent = serializers.ListField(child=serializers.DictField())
    attempts = serializers.ListField(child=serializers.DictField())
    done_by_staff_or_person = serializers.ListField(child=serializers.DictField())


class MyDataView(_MyView):
    """The person's own data."""

    @documented(responses=ExportSerializer, summary="All that is held of me")
    def get(self, request: Request) -> Response:
        person = _person(request)
        told = export_of(person)
        audit.record(actor_of(request), AuditAction.EXPORTED, subject=subject_of(person))
        return as_file(told)


def as_file(told: dict[str, Any]) -> Response:
    """An export as a file that nothing on the way keeps."""
    headers = {"Content-Disposition": 'attachment; filename="personal-data.json"', "Cache-Control": "no-store"}
    return Response(told, headers=headers)


def _person(request: Request) -> Any:
    return request.user


def _told(now: Standing) -> Response:
    hints = [{"service": one.service, "hint": one.hint.value, "text": text_of(one)} for one in now.hints]
    topics = [{"key": one.key, "label": one.label, "on": one.on} for one in now.topics]
    told = {"subscribed": now.subscribed, "topics": topics, "hints": hints}
    return Response(told, headers={"Cache-Control": "no-store"})
