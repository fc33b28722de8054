"""What a site includes, under any prefix: ``path("marketing/", include("mktg_integration.urls"))``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "mktg_integration"

urlpatterns: list[URLPattern | URLResolver] = []
