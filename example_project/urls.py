"""Addresses of the example site."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path

urlpatterns = [
    path("", include("example_project.accounts.urls")),
    path("marketing/", include("mktg_integration.urls")),
    path("admin/", admin.site.urls),
    # The example has no web server in front of it that would serve these; a real site has one.
    path("static/<path:path>", serve, {"insecure": True}),
]
