"""The app: its checks, its receivers, and the connections that settings declare."""

from __future__ import annotations

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class MktgIntegrationConfig(AppConfig):
    name = "mktg_integration"
    verbose_name = _("Marketing integration")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from mktg_integration import checks  # noqa: F401 (registers the checks)
        from mktg_integration.connections import sync_declared_after_migrate
        from mktg_integration.mirror import guards
        from mktg_integration.push import receivers

        receivers.connect()
        guards.connect()
        post_migrate.connect(sync_declared_after_migrate, sender=self, dispatch_uid="mktg_integration.declared")
