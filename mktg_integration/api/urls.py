"""Version 1 of the API, relative to ``api/v1/``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.urls import path, re_path
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.routers import APIRootView, DefaultRouter

from mktg_integration.api.access import STAFF, Guarded
from mktg_integration.api.audit import AuditViewSet
from mktg_integration.api.base import ApiView
from mktg_integration.api.connections import ConnectionViewSet
from mktg_integration.api.contacts import ContactViewSet
from mktg_integration.api.me import MeView, MyDataView
from mktg_integration.api.mirror import MIRROR
from mktg_integration.api.oauth import StartView
from mktg_integration.api.occurrences import EventsView, PurchaseViewSet
from mktg_integration.api.outbox import DeadViewSet, OutboxViewSet
from mktg_integration.api.runs import RunViewSet
from mktg_integration.api.status import StatusView
from mktg_integration.api.webhooks import WebhooksCheckView, WebhooksRepairView, WebhooksView


class RootView(Guarded, APIRootView):
    """The lists that there are, for staff who look around in a browser."""

    needs = {"get": STAFF}
    schema: Any = None


class NothingView(ApiView):
    """What no other address is: told as the API tells all else, not by the site's page for people."""

    schema: Any = None
    permission_classes: Sequence[Any] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise NotFound


class Router(DefaultRouter):
    include_format_suffixes = False
    APIRootView = RootView


router = Router()
router.register("connections", ConnectionViewSet, basename="api-connection")
router.register("runs", RunViewSet, basename="api-run")
router.register("outbox", OutboxViewSet, basename="api-outbox")
router.register("rejected", DeadViewSet, basename="api-rejected")
router.register("audit", AuditViewSet, basename="api-audit")
router.register("contacts", ContactViewSet, basename="api-contact")
router.register("purchases", PurchaseViewSet, basename="api-purchase")
for name, mirrored in MIRROR.items():
    router.register(name, mirrored, basename=f"api-{name}")

urlpatterns = [
    path("oauth/<slug:provider>/start/", StartView.as_view(), name="api-oauth-start"),
    path("connections/<int:pk>/webhooks/", WebhooksView.as_view(), name="api-webhooks"),
    path("connections/<int:pk>/webhooks/repair/", WebhooksRepairView.as_view(), name="api-webhooks-repair"),
    path("connections/<int:pk>/webhooks/check/", WebhooksCheckView.as_view(), name="api-webhooks-check"),
    path("me/", MeView.as_view(), name="api-me"),
    path("me/export/", MyDataView.as_view(), name="api-me-export"),
    path("events/", EventsView.as_view(), name="api-events"),
    path("status/", StatusView.as_view(), name="api-status"),
    *router.urls,
    # The name that it had before there was more than POST.
    path("connections/", ConnectionViewSet.as_view({"get": "list", "post": "create"}), name="api-connections"),
    # Not without a slash at its end: Django adds it where that helps.
    re_path(r"^[\s\S]+/$", NothingView.as_view(), name="api-nothing"),
]
