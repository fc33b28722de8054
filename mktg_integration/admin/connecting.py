"""Connecting and disconnecting accounts, and their webhooks, from the pages of connections. The work is a task's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration import background
from mktg_integration.admin.base import NOTHING, ModelAdmin
from mktg_integration.conf import settings
from mktg_integration.models import Connection
from mktg_integration.oauth.permissions import may_add, may_connect
from mktg_integration.providers.registry import get_provider, provider_names

TASKS = "mktg_integration.tasks."

if TYPE_CHECKING:
    Base = ModelAdmin
else:
    Base = object


class Connecting(Base):
    """For ``ConnectionAdmin``: the Connect buttons, and the actions that need tasks."""

    change_list_template = "admin/mktg_integration/connection/change_list.html"

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        return super().changelist_view(request, {**(extra_context or {}), "connects": connects(request)})

    def has_connect_permission(self, request: HttpRequest) -> bool:
        return may_connect(request.user)

    @admin.display(description=_("account"))
    def account(self, connection: Connection) -> SafeString | str:
        """Which account it is, and the way to connect it again."""
        link = install_link(connection.provider, connection=connection.name)
        if not link:
            return connection.account_label or NOTHING
        shown = connection.account_label or NOTHING
        return format_html('{} <a class="button" href="{}">{}</a>', shown, link, gettext("Connect again"))

    @admin.action(description=_("Register webhooks, or repair them"), permissions=["connect"])
    def register_webhooks(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._ask(request, queryset, "register_webhooks", gettext("The services are being asked to tell what happens."))

    @admin.action(description=_("Remove webhooks"), permissions=["connect"])
    def remove_webhooks(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._ask(request, queryset, "remove_webhooks", gettext("The webhooks are being removed."))

    @admin.action(description=_("Disconnect, and keep what the service told"), permissions=["connect"])
    def disconnect(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._ask(request, queryset, "disconnect", gettext("The accounts are being disconnected."), 0)

    @admin.action(description=_("Disconnect, and delete what the service told"), permissions=["connect", "delete"])
    def disconnect_and_delete(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        self._ask(request, queryset, "disconnect", gettext("The accounts are being disconnected."), 1)

    def _ask(
        self, request: HttpRequest, queryset: models.QuerySet[Connection], task: str, said: str, *more: int
    ) -> None:
        for pk in queryset.order_by("pk").values_list("pk", flat=True):
            background.enqueue(TASKS + task, pk, *more)
        self.message_user(request, said, messages.SUCCESS)


def install_link(provider: str, **query: str) -> str:
    """Where connecting begins; empty where this site has no app at the service, or does not include our addresses."""
    if not settings.OAUTH.get(provider, {}).get("CLIENT_ID") or get_provider(provider).oauth is None:
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
