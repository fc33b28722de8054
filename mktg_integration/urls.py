"""What a site includes, under any prefix: ``path("marketing/", include("mktg_integration.urls"))``."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from mktg_integration.inbound.views import receive_callback, receive_webhook
from mktg_integration.oauth.views import CallbackView, InstallView
from mktg_integration.preferences.views import PreferencesView

app_name = "mktg_integration"

urlpatterns: list[URLPattern | URLResolver] = [
    path("oauth/<slug:provider>/install/", InstallView.as_view(), name="oauth-install"),
    path("oauth/<slug:provider>/callback/", CallbackView.as_view(), name="oauth-callback"),
    path("webhooks/<str:token>/<str:event>/", receive_webhook, name="webhook"),
    path("webhooks/<str:token>/<str:event>/<str:parameter>/", receive_webhook, name="webhook"),
    path("callbacks/<str:token>/", receive_callback, name="bulk-callback"),
    path("preferences/<str:token>/", PreferencesView.as_view(), name="preferences"),
    path("api/v1/", include("mktg_integration.api.urls")),
]
