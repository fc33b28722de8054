"""Connecting accounts from the admin, and what can be done to several connections of the list at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.acts import BY_NAME
from mktg_integration.admin.base import NOTHING, ModelAdmin, actor_of
from mktg_integration.conf import settings
from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection
from mktg_integration.oauth.permissions import may_add
from mktg_integration.providers.registry import get_provider, provider_names

if TYPE_CHECKING:
    Base = ModelAdmin
else:
    Base = object


class Connecting(Base):
    """For ``ConnectionAdmin``: the Connect buttons, and the actions of the list."""

    change_list_template = "admin/mktg_integration/connection/change_list.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "connects": connects(request)})

    @admin.display(description=_("account"))
    def account(self, connection: Connection) -> str:
        """Which account it is."""
        return connection.account_label or NOTHING

    @admin.action(description=_("Push now"), permissions=["sync"])
    def push_now(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._each(request, queryset, "push")

    @admin.action(description=_("Pause"), permissions=["sync"])
    def pause(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._each(request, queryset, "pause")

    @admin.action(description=_("Resume"), permissions=["sync"])
    def resume(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._each(request, queryset, "resume")

    @admin.action(description=_("Confirm that this site is the one that writes"), permissions=["connect"])
    def confirm_site(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._each(request, queryset, "confirm_site")

    @admin.action(description=_("Register webhooks, or repair them"), permissions=["connect"])
    def register_webhooks(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._each(request, queryset, "register_webhooks")

    @admin.action(description=_("Remove webhooks"), permissions=["connect"])
    def remove_webhooks(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._each(request, queryset, "remove_webhooks")

    def _each(self, request: HttpRequest, queryset: models.QuerySet[Connection], name: str) -> None:
        act, done = BY_NAME[name], []
        for connection in queryset.order_by("name"):
            try:
                act.do(actor_of(request), connection)
            except MktgError as error:
                self.message_user(request, f"{connection.name}: {error}", messages.ERROR)
            else:
                done.append(connection.name)
        if done:
            self.message_user(request, f"{', '.join(done)}: {act.said}", messages.SUCCESS)


def install_link(provider: str, **query: str) -> str:
    """Where connecting begins; empty where this site has no app at the service, or does not include our addresses."""
    try:
        has_oauth = get_provider(provider).oauth is not None
    except MktgError:
        return ""
    if not settings.OAUTH.get(provider, {}).get("CLIENT_ID") or not has_oauth:
        return ""
    try:
        address = reverse("mktg_integration:oauth-install", kwargs={"provider": provider})
    except NoReverseMatch:
        return ""
    return f"{address}?{urlencode(query)}" if query else address


def connects(request: HttpRequest) -> list[dict[str, str]]:
    """The Connect buttons for whoever may make connections."""
    if not may_add(request.user):
        return []
    links = [(get_provider(name).label, install_link(name)) for name in provider_names()]
    return [{"label": gettext("Connect %(service)s") % {"service": label}, "url": url} for label, url in links if url]
