"""Connections: what they are, how they are, and what staff may do with them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration import connections as binding
from mktg_integration.admin.base import NOTHING, ModelAdmin, moment
from mktg_integration.admin.connecting import Connecting
from mktg_integration.admin.connection_form import ConnectionForm, credential_fields
from mktg_integration.exceptions import DecryptionError, MktgError
from mktg_integration.models import Connection, ConnectionSource, ConnectionState, DeadRow, Lane, OutboxRow
from mktg_integration.operations import deliveries
from mktg_integration.providers.registry import get_provider

# What staff may switch of a connection that settings declare.
SWITCHES = ["paused", "dry_run"]
HEALTH = ["account", "health", "waits_until", "last_success", "last_failure", "due", "dead", "bound_url", "created_at"]


@admin.register(Connection)
class ConnectionAdmin(Connecting, ModelAdmin):
    form = ConnectionForm
    list_display = ["name", "provider", "source", "health", "last_success", "push_enabled", "paused"]
    list_select_related = ["state"]
    show_full_result_count = False
    actions = [
        "push_now",
        "confirm_site",
        "register_webhooks",
        "remove_webhooks",
        "disconnect",
        "disconnect_and_delete",
    ]

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Connection]:
        # Credentials are not even read for a list, so that a wrong key breaks no page.
        return super().get_queryset(request).defer("credentials")

    def has_push_permission(self, request: HttpRequest) -> bool:
        return self.has_change_permission(request)

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: Connection | None = None) -> Any:
        if obj is None:
            providers = {provider: None for provider, _name in credential_fields().values()}
            basics = ["name", "provider", "push_enabled", "paused", "dry_run", "stored_options"]
            return [(None, {"fields": basics}), *(self._credentials_of(provider) for provider in providers)]
        health = (_("Health"), {"fields": HEALTH})
        if not self._takes_credentials(request, obj):
            shown = ["name", "provider", "source", "push_enabled", *SWITCHES, "has_credentials"]
            return [(None, {"fields": shown}), health]
        shown = ["name", "provider", "source", "push_enabled", *SWITCHES, "stored_options"]
        title, options = self._credentials_of(obj.provider)
        options["fields"] = ["has_credentials", *options["fields"], "forget_credentials"]
        return [(None, {"fields": shown}), (title, options), health]

    def get_readonly_fields(self, request: HttpRequest, obj: Connection | None = None) -> Any:
        if obj is None:
            return []
        told = ["source", "provider", "has_credentials", *HEALTH]
        if obj.source == ConnectionSource.SETTINGS:
            return ["name", "push_enabled", *told]
        return told

    def get_form(
        self, request: HttpRequest, obj: Connection | None = None, change: bool = False, **options: Any
    ) -> type[ModelForm[Any]]:
        if obj is not None and not self._takes_credentials(request, obj):
            return super().get_form(request, obj, change, form=ModelForm, fields=SWITCHES)
        # Only the model's own fields may be named here: the credentials are the form's.
        return super().get_form(request, obj, change, **{**options, "fields": None})

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        ConnectionState.objects.get_or_create(connection=obj)

    def _takes_credentials(self, request: HttpRequest, obj: Connection) -> bool:
        """Not where settings hold them, nor from those who may only look."""
        return obj.source == ConnectionSource.STORED and self.has_change_permission(request, obj)

    @staticmethod
    def _credentials_of(provider: str) -> tuple[Any, dict[str, Any]]:
        title = gettext("Credentials: %(provider)s") % {"provider": get_provider(provider).label}
        return title, {"fields": list(credential_fields((provider,)))}

    # What is shown

    @admin.display(description=_("credentials"))
    def has_credentials(self, connection: Connection) -> str:
        """Which there are, never what they are."""
        try:
            names = sorted(connection.account().credentials)
        except (DecryptionError, MktgError) as error:
            return str(error)
        return ", ".join(gettext("%s is set") % name for name in names) or NOTHING

    @admin.display(description=_("health"))
    def health(self, connection: Connection) -> str:
        if not connection.push_enabled:
            return gettext("switched off")
        if connection.paused:
            return gettext("paused")
        state = _state(connection)
        if state is None:
            return NOTHING
        if state.wait_reason:
            detail = f" ({state.wait_detail})" if state.wait_detail else ""
            return f"{gettext('waits')}: {state.get_wait_reason_display()}{detail}"
        return gettext("well") if state.last_success_at else gettext("nothing sent yet")

    @admin.display(description=_("waits until"))
    def waits_until(self, connection: Connection) -> str:
        state = _state(connection)
        return moment(state.wait_until if state else None)

    @admin.display(description=_("last success"))
    def last_success(self, connection: Connection) -> str:
        state = _state(connection)
        return moment(state.last_success_at if state else None)

    @admin.display(description=_("last failure"))
    def last_failure(self, connection: Connection) -> str:
        state = _state(connection)
        return moment(state.last_failure_at if state else None)

    @admin.display(description=_("in the outbox"))
    def due(self, connection: Connection) -> str:
        lanes = [(lane, _bounded(OutboxRow.objects.filter(connection=connection, lane=lane))) for lane in Lane]
        return ", ".join(f"{lane.label}: {count}" for lane, count in lanes)

    @admin.display(description=_("rejected"))
    def dead(self, connection: Connection) -> str:
        return _bounded(DeadRow.objects.filter(connection=connection))

    # What staff may do

    @admin.action(description=_("Push now"), permissions=["push"])
    def push_now(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        deliveries.push_now(set(queryset.values_list("pk", flat=True)))
        self.message_user(request, gettext("What is due is being sent."), messages.SUCCESS)

    @admin.action(description=_("Confirm that this site is the one that writes"), permissions=["push"])
    def confirm_site(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        for connection in queryset:
            binding.bind(connection)
        self.message_user(request, gettext("This site writes through the chosen connections."), messages.SUCCESS)


def _state(connection: Connection) -> ConnectionState | None:
    return getattr(connection, "state", None)


def _bounded(rows: models.QuerySet[Any], limit: int = 1000) -> str:
    count = rows.order_by()[:limit].count()
    return f"{count}+" if count == limit else str(count)
