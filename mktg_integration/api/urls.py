"""Version 1 of the API, relative to ``api/v1/``."""

from __future__ import annotations

from django.urls import path

from mktg_integration.api.connections import ConnectionsView
from mktg_integration.api.oauth import StartView

urlpatterns = [
    path("oauth/<slug:provider>/start/", StartView.as_view(), name="api-oauth-start"),
    path("connections/", ConnectionsView.as_view(), name="api-connections"),
]
