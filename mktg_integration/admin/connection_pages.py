"""The pages of one connection beside its form: its buttons, its test, disconnecting, and its mapping.

Only ``test`` calls a service, and only when its button is pressed; all else is asked of a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext, ngettext
from django.views.decorators.http import require_http_methods, require_POST

from mktg_integration.admin import acts
from mktg_integration.admin.base import ModelAdmin, actor_of, require
from mktg_integration.admin.home import card, home_url, may_test, page
from mktg_integration.exceptions import MktgError, NotNowError
from mktg_integration.insight import mapping
from mktg_integration.insight.health import healths, site_health
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, OutboxRow, WebhookSubscription
from mktg_integration.operations import connections as operations
from mktg_integration.operations import deliveries
from mktg_integration.permissions import APP, CONNECT, REPLAY, VIEW_PERSONAL_DATA, may

if TYPE_CHECKING:
    Base = ModelAdmin
else:
    Base = object

VIEW = f"{APP}.view_connection"
TEMPLATES = "admin/mktg_integration/connection"


class ConnectionPages(Base):
    """For ``ConnectionAdmin``: what its form does not hold."""

    change_form_template = f"{TEMPLATES}/change_form.html"

    def get_urls(self) -> list[URLPattern]:
        pages = [
            ("act", require_POST(self.act_view)),
            ("test", require_http_methods(["GET", "POST"])(self.test_view)),
            ("disconnect", require_http_methods(["GET", "POST"])(self.disconnect_view)),
            ("mapping", require_http_methods(["GET", "POST"])(self.mapping_view)),
        ]
        own = [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"{APP}_connection_{name}")
            for name, view in pages
        ]
        return own + super().get_urls()

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> Any:
        connection = kwargs.get("obj")
        if connection is not None and may(request.user, VIEW):
            context.update(self._panel(request, connection))
        return super().render_change_form(request, context, *args, **kwargs)

    def act_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Press one of the buttons of ``acts``. For whoever may see connections and has the act's permission."""
        act = acts.BY_NAME.get(request.POST.get("act", ""))
        if act is None:
            raise Http404
        require(request, VIEW, act.permission)
        connection = self._connection(request, pk)
        back = page(request, "connection_change", connection.pk)
        if request.POST.get("back") == "home":
            back = home_url(request)
        try:
            run = act.do(actor_of(request), connection)
        except MktgError as error:
            self.message_user(request, worded(str(error)), messages.ERROR)
            return HttpResponseRedirect(back)
        self.message_user(request, f"{connection.name}: {act.said}", messages.SUCCESS)
        if run is not None and may(request.user, f"{APP}.view_run"):
            back = page(request, "run_change", run.pk) or back
        return HttpResponseRedirect(back)

    def test_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET says what a test does, POST makes it. For whoever may see connections and start runs, or connect."""
        if not may_test(request):
            raise PermissionDenied
        connection = self._connection(request, pk)
        steps = operations.test(actor_of(request), connection) if request.method == "POST" else None
        context = {"steps": steps, "went_well": steps is not None and not any(step.ok is False for step in steps)}
        return self._page(request, connection, "test", gettext("Test %s") % connection.name, context)

    def disconnect_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET says what stops, POST has it done. For whoever may see connections and connect accounts; deleting what
        the service told takes the permission to delete connections as well."""
        require(request, VIEW, CONNECT)
        connection = self._connection(request, pk)
        may_delete = self.has_delete_permission(request, connection)
        if request.method == "POST" and "give_up" in request.POST:
            return self._give_up(request, connection)
        if request.method == "POST":
            delete_mirror = "delete_mirror" in request.POST
            if delete_mirror and not may_delete:
                raise PermissionDenied
            try:
                operations.disconnect(actor_of(request), connection, delete_mirror)
            except MktgError as error:
                self.message_user(request, worded(str(error)), messages.ERROR)
            else:
                said = gettext("%s is being disconnected.") % connection.name
                self.message_user(request, said, messages.SUCCESS)
            return HttpResponseRedirect(page(request, "connection_change", connection.pk))
        (health,) = healths([connection])
        context = {
            "may_delete": may_delete,
            "may_give_up": health.outbox_total and not connection.push_enabled and may(request.user, REPLAY),
            "health": health,
            "webhooks": WebhookSubscription.objects.filter(connection=connection).count(),
            "from_settings": bool(connection.declared),
        }
        return self._page(request, connection, "disconnect", gettext("Disconnect %s") % connection.name, context)

    def _give_up(self, request: HttpRequest, connection: Connection) -> HttpResponse:
        """``REPLAY``: what a disconnected one has still in the outbox keeps it from being deleted."""
        require(request, REPLAY)
        rows = OutboxRow.objects.filter(connection=connection)
        try:
            count = deliveries.discard_due(actor_of(request), rows, request.POST.get("reason", ""))
        except NotNowError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            said = ngettext("%d row was given up.", "%d rows were given up.", count) % count
            self.message_user(request, said, messages.SUCCESS)
            if rows.exists():
                self.message_user(request, gettext("There are more of them: do it once more."), messages.WARNING)
        return HttpResponseRedirect(request.path)

    def mapping_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """GET shows the mapping and the fields that it names; POST tries it on one user. For whoever may see
        connections; trying it out is for those who may also see personal data. Never a call."""
        connection = self._connection(request, pk)
        context: dict[str, Any] = {"may_sample": may(request.user, VIEW_PERSONAL_DATA)}
        if request.method == "POST":
            require(request, VIEW_PERSONAL_DATA)
            context["user_id"] = request.POST.get("user_id", "").strip()
            try:
                context["sample"] = mapping.sample(connection, context["user_id"])
            except MktgError as error:
                context["sample_error"] = worded(str(error))
        try:
            context["profile"] = connection.option("PROFILE")
            context["fields"] = mapping.missing_fields(connection)
        except MktgError as error:
            context["fields_error"] = worded(str(error))
        return self._page(request, connection, "mapping", gettext("Mapping of %s") % connection.name, context)

    def _connection(self, request: HttpRequest, pk: int) -> Connection:
        require(request, VIEW)
        connection = self.get_queryset(request).filter(pk=pk).first()
        if not isinstance(connection, Connection):
            raise Http404
        return connection

    def _panel(self, request: HttpRequest, connection: Connection) -> dict[str, Any]:
        """The health and the buttons above the form."""
        site = site_health()
        (health,) = healths([connection], site)
        user = request.user
        return {
            "site": site,
            "card": card(request, connection, health),
            "send_acts": acts.offered(user, connection, "send"),
            "site_acts": acts.offered(user, connection, "site"),
            "webhook_acts": acts.offered(user, connection, "webhooks"),
            "webhooks": _webhooks(connection),
            "mapping_url": page(request, "connection_mapping", connection.pk),
            "disconnect_url": page(request, "connection_disconnect", connection.pk) if may(user, CONNECT) else "",
        }

    def _page(
        self, request: HttpRequest, connection: Connection, name: str, title: str, context: dict[str, Any]
    ) -> TemplateResponse:
        shared = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "original": connection,
            "connection": connection,
            "title": title,
            "media": self.media,
            "page_url": page(request, "connection_change", connection.pk),
            "act_url": page(request, "connection_act", connection.pk),
        }
        return TemplateResponse(request, f"{TEMPLATES}/{name}.html", {**shared, **context})


def _webhooks(connection: Connection) -> list[WebhookSubscription]:
    """What the service is to tell. Bounded; the secrets are not read."""
    return list(WebhookSubscription.objects.filter(connection=connection).defer("secrets").order_by("key")[:100])
