"""``POST connections/``: a connection by key, tested before it is saved. Credentials go in and never come out."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from mktg_integration.connections import account_key, checked_account, try_out
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.models import Connection, ConnectionState
from mktg_integration.oauth.permissions import MayAdd
from mktg_integration.providers.registry import get_provider, provider_names


class ConnectionSerializer(serializers.ModelSerializer[Connection]):
    """What is given of a new connection, and what is told of it."""

    provider = serializers.CharField()
    credentials = serializers.DictField(child=serializers.CharField(max_length=4000), write_only=True)
    options = serializers.DictField(source="stored_options", required=False, default=dict)

    class Meta:
        model = Connection
        fields = ["id", "name", "provider", "credentials", "options", "account_label", "push_enabled"]
        read_only_fields = ["id", "account_label", "push_enabled"]

    def validate_provider(self, name: str) -> str:
        if name not in provider_names():
            raise serializers.ValidationError(f"use one of: {', '.join(provider_names())}")
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        driver = get_provider(attrs["provider"])
        unknown = sorted(set(attrs["credentials"]) - set(driver.credential_names))
        if unknown:
            known = ", ".join(driver.credential_names)
            raise serializers.ValidationError({"credentials": f"{', '.join(unknown)}: not known; there are: {known}"})
        try:
            account = checked_account(attrs["name"], driver, attrs["credentials"], attrs["stored_options"])
            identity = try_out(driver, account)
        except ConfigurationError as error:
            raise serializers.ValidationError(str(error)) from None
        if identity is not None:
            key = account_key(driver, identity)
            same = Connection.objects.filter(account_key=key).first()
            if same is not None:
                raise serializers.ValidationError(f"this account is connected already, as {same.name}")
            attrs |= {"account_key": key, "account_label": identity.label[:255]}
        return attrs


class ConnectionsView(APIView):
    permission_classes = [MayAdd]

    def post(self, request: Request) -> Response:
        given = ConnectionSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            connection = given.save()
        except IntegrityError:
            raise serializers.ValidationError("this account or name was taken at the same moment") from None
        ConnectionState.objects.get_or_create(connection=connection)
        return Response(ConnectionSerializer(connection).data, status=201)
