"""The example's own app."""

from __future__ import annotations

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "example_project.accounts"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from example_project.accounts import receivers  # noqa: F401 (connects them)
