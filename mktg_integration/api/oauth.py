"""``POST oauth/<provider>/start/``: the install view for front ends that follow redirects themselves."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.authentication import SessionAuthentication
from rest_framework.request import Request
from rest_framework.response import Response

from mktg_integration.api.base import ApiView, problem
from mktg_integration.api.openapi import documented
from mktg_integration.exceptions import ConfigurationError, DecryptionError
from mktg_integration.insight.noted import worded
from mktg_integration.oauth.install import InstallError, start
from mktg_integration.oauth.pages import PAGES
from mktg_integration.oauth.permissions import MayConnect


class StartSerializer(serializers.Serializer[Any]):
    """``redirect``: where the browser is to go afterwards; ``connection``: the name of the one to renew."""

    redirect = serializers.CharField(required=False, allow_blank=True, default="", max_length=2000)
    connection = serializers.CharField(required=False, allow_blank=True, default="", max_length=64)


class StartedSerializer(serializers.Serializer[Any]):
    authorize_url = serializers.URLField(help_text="Where to send the browser.")


class StartView(ApiView):
    """Answers ``{"authorize_url": …}``. By session alone: the flow is bound to the browser that finishes it."""

    permission_classes = [MayConnect]
    calling = frozenset({"post"})

    def get_authenticators(self) -> list[Any]:
        return [SessionAuthentication()]

    @documented(
        request=StartSerializer,
        responses=StartedSerializer,
        summary="Begin to connect an account by OAuth",
    )
    def post(self, request: Request, provider: str) -> Response:
        given = StartSerializer(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            address = start(request._request, provider, **given.validated_data)
        except InstallError as error:
            page = PAGES[error.kind]
            return Response(problem(page.status, error.kind, f"{page.title}. {page.text}"), status=page.status)
        except (ConfigurationError, DecryptionError) as error:
            return Response(problem(409, "configuration", worded(str(error))), status=409)
        return Response({"authorize_url": address}, headers={"Cache-Control": "no-store"})
