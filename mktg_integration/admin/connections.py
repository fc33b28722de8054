"""Connections: the list, and the form of a stored one. What else their pages show and do is in ``connection_pages``."""

from __future__ import annotations

from typing import Any, ClassVar, cast

from django.contrib import admin
from django.db import models
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_post_parameters

from mktg_integration.admin.base import NOTHING, Guarded, ModelAdmin, actor_of, moment
from mktg_integration.admin.connecting import Connecting
from mktg_integration.admin.connection_form import ConnectionForm, credential_fields
from mktg_integration.admin.connection_pages import ConnectionPages
from mktg_integration.admin.starting import StartingRuns
from mktg_integration.audit import record
from mktg_integration.exceptions import DecryptionError, MktgError, NotNowError
from mktg_integration.insight.health import Health, healths
from mktg_integration.insight.noted import worded
from mktg_integration.models import AuditAction, Connection, ConnectionSource, ConnectionState
from mktg_integration.operations import connections as operations
from mktg_integration.permissions import CONNECT, may
from mktg_integration.providers.registry import get_provider

TOLD = ["source", "account", "has_credentials", "bound_url", "created_at"]


@admin.register(Connection)
class ConnectionAdmin(ConnectionPages, Connecting, StartingRuns, Guarded, ModelAdmin):
    form = ConnectionForm
    list_display = ["name", "provider", "account_label", "health", "why", "last_call", "source"]
    show_full_result_count = False
    actions = [
        "push_now",
        "start_pull",
        "push_everybody",
        "start_reconcile",
        "pause",
        "resume",
        "confirm_site",
        "register_webhooks",
        "remove_webhooks",
    ]

    class Media:
        css: ClassVar[Any] = {"all": ["mktg_integration/admin.css"]}

    def get_queryset(self, request: HttpRequest) -> models.QuerySet[Connection]:
        # Credentials are not even read for a list, so that a wrong key breaks no page.
        return super().get_queryset(request).defer("credentials")

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        # Of all that are listed at once: a fixed number of statements.
        changes.result_list = list(changes.result_list)
        for connection, health in zip(changes.result_list, healths(changes.result_list), strict=True):
            connection.told_health = health
        return changes

    # Who may: credentials are entered by whoever may connect accounts

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and may(request.user, CONNECT)

    def has_change_permission(self, request: HttpRequest, obj: Connection | None = None) -> bool:
        """What settings declare is changed there."""
        if obj is not None and obj.source != ConnectionSource.STORED:
            return False
        return super().has_change_permission(request, obj) and may(request.user, CONNECT)

    def has_delete_permission(self, request: HttpRequest, obj: Connection | None = None) -> bool:
        return super().has_delete_permission(request, obj) and may(request.user, CONNECT)

    # The form

    def get_fieldsets(self, request: HttpRequest, obj: Connection | None = None) -> Any:
        if obj is None:
            providers = {provider: None for provider, _name in credential_fields().values()}
            basics = ["name", "provider", "push_enabled", "paused", "dry_run", "stored_options"]
            return [(None, {"fields": basics}), *(self._credentials_of(provider) for provider in providers)]
        if not self.has_change_permission(request, obj):
            return [(None, {"fields": ["name", "provider", "push_enabled", *TOLD]})]
        title, options = self._credentials_of(obj.provider)
        options["fields"] = [*options["fields"], "forget_credentials"]
        return [(None, {"fields": ["name", "provider", "push_enabled", "stored_options", *TOLD]}), (title, options)]

    def get_readonly_fields(self, request: HttpRequest, obj: Connection | None = None) -> Any:
        return [] if obj is None else ["provider", *TOLD]

    def get_form(
        self, request: HttpRequest, obj: Connection | None = None, change: bool = False, **options: Any
    ) -> type[ModelForm[Any]]:
        if obj is not None and not self.has_change_permission(request, obj):
            return super().get_form(request, obj, change, form=ModelForm, fields=[])
        # Only the model's own fields may be named here: the credentials are the form's.
        form: Any = super().get_form(request, obj, change, **{**options, "fields": None})
        form.user = request.user
        return cast("type[ModelForm[Any]]", form)

    def save_model(self, request: HttpRequest, obj: Connection, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        ConnectionState.objects.get_or_create(connection=obj)
        action = AuditAction.CHANGED if change else AuditAction.CONNECTED
        record(actor_of(request), action, connection=obj, **form.audit_detail())

    def delete_model(self, request: HttpRequest, obj: Connection) -> None:
        record(actor_of(request), AuditAction.DISCONNECTED, connection=obj, deleted=True)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> None:
        for connection in queryset:
            record(actor_of(request), AuditAction.DISCONNECTED, connection=connection, deleted=True)
        super().delete_queryset(request, queryset)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Not by Django's own, which reads all that belongs to them; who may delete them is asked before."""
        told, kept = [], []
        for connection in objs:
            try:
                operations.must_be_empty(connection)
            except NotNowError as error:
                kept.append(str(error))
            else:
                told.append(str(connection))
        return told, {self.opts.verbose_name_plural: len(told)}, set(), kept

    @method_decorator(sensitive_post_parameters())
    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        return super().changeform_view(request, *args, **options)

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
            return worded(str(error))
        return ", ".join(gettext("%s is set") % name for name in names) or NOTHING

    @admin.display(description=_("health"))
    def health(self, connection: Connection) -> SafeString:
        told = _health(connection)
        return format_html('<span class="mktg-state mktg-state-{}">{}</span>', told.state.value, told.state.label)

    @admin.display(description=_("because"))
    def why(self, connection: Connection) -> str:
        told = _health(connection)
        return f"{told.reason} ({told.detail})" if told.detail else told.reason

    @admin.display(description=_("last success"))
    def last_call(self, connection: Connection) -> str:
        return moment(_health(connection).last_success_at)


def _health(connection: Connection) -> Health:
    told = getattr(connection, "told_health", None)
    return told if isinstance(told, Health) else healths([connection])[0]
