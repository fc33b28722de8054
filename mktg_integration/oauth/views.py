"""The pages of connecting an account: a browser is redirected to the service and back."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.shortcuts import render
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import NotAuthenticated, PermissionDenied
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.views import APIView

from mktg_integration.exceptions import ConfigurationError, DecryptionError
from mktg_integration.models import Connection
from mktg_integration.oauth.install import Installed, InstallError, finish, start
from mktg_integration.oauth.pages import PAGES
from mktg_integration.oauth.permissions import MayConnect

logger = logging.getLogger("mktg_integration.oauth")


class AnyContent(BaseContentNegotiation):
    """Pages are answered whatever a site's API speaks: a browser asks for HTML, and DRF would refuse it."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


class BrowserView(APIView):
    """A view of DRF's for people: what goes wrong ends on a page that says how to go on."""

    authentication_classes = [SessionAuthentication]
    permission_classes = [MayConnect]
    content_negotiation_class = AnyContent
    http_method_names = ["get"]
    schema = None

    def handle_exception(self, exc: Exception) -> Any:
        request = self.request._request
        if isinstance(exc, NotAuthenticated):
            return redirect_to_login(request.get_full_path(), _login_page())
        if isinstance(exc, PermissionDenied):
            exc = InstallError("forbidden")
        if isinstance(exc, InstallError):
            return failure(request, exc.kind, exc.detail)
        if isinstance(exc, ConfigurationError | DecryptionError):
            return failure(request, "configuration", str(exc))
        if isinstance(exc, DatabaseError):
            # Its kind alone: a statement's values are among its words.
            logger.error("An account could not be connected: the database failed (%s)", type(exc).__name__)
            return failure(request, "database")
        return super().handle_exception(exc)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        response = super().finalize_response(request, response, *args, **kwargs)
        # The address of a callback holds a code: no other site is told it, and no cache keeps it.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["Cache-Control"] = "no-store"
        return response


class InstallView(BrowserView):
    """Sends the browser to the service. ``redirect``: where it goes on afterwards; ``connection``: the one to renew.

    Both the service's own pages and the admin's Connect button lead here (Kit's document: the "Authorization URL").
    """

    def get(self, request: Request, provider: str) -> HttpResponseBase:
        query = request.query_params
        address = start(
            request._request,
            provider,
            redirect=query.get("redirect", ""),
            connection=query.get("connection", ""),
        )
        return HttpResponseRedirect(address)


class CallbackView(BrowserView):
    """Where the service sends the browser back to."""

    def get(self, request: Request, provider: str) -> HttpResponseBase:
        done = finish(request._request, provider, request.query_params)
        return HttpResponseRedirect(done.redirect or self._page_of(done))

    def _page_of(self, done: Installed) -> str:
        text = (
            gettext("%(name)s is connected: %(account)s")
            if done.created
            else gettext("%(name)s is connected again: %(account)s")
        )
        said = text % {"name": done.connection.name, "account": done.connection.account_label}
        messages.success(self.request._request, said, fail_silently=True)
        return connection_page(done.connection)


def failure(request: HttpRequest, kind: str, detail: str = "") -> HttpResponse:
    page = PAGES[kind]
    context = {"page": page, "detail": detail, "back": _connections_page()}
    return render(request, "mktg_integration/oauth/failed.html", context, status=page.status)


def connection_page(connection: Connection) -> str:
    """The connection's page in the admin; the site's root where there is no admin."""
    try:
        return reverse("admin:mktg_integration_connection_change", args=[connection.pk])
    except NoReverseMatch:
        return "/"


def _connections_page() -> str:
    try:
        return reverse("admin:mktg_integration_connection_changelist")
    except NoReverseMatch:
        return "/"


def _login_page() -> str | None:
    try:
        return reverse("admin:login")
    except NoReverseMatch:
        return None
