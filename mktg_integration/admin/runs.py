"""Runs: their list, and the page of one with its progress and what may be done with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from mktg_integration.admin.base import NOTHING, ReadOnlyAdmin, actor_of, number, require
from mktg_integration.admin.csv_export import export_csv
from mktg_integration.exceptions import MktgError
from mktg_integration.insight import reconciles
from mktg_integration.insight import runs as insight
from mktg_integration.insight.masking import sees_people
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, DeadKind, DeadRow, Run, RunKind
from mktg_integration.operations import deliveries, runs
from mktg_integration.permissions import REPLAY, SYNC, may

CANARY = 10
"""People of a canary."""


class AskedForFilter(admin.SimpleListFilter):
    title = _("asked for by a person")
    parameter_name = "asked"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("yes", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Run]) -> models.QuerySet[Run]:
        return queryset.exclude(requested_by=None) if self.value() == "yes" else queryset


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ["started_at", "connection", "kind_of", "state", "seconds", "in_short", "said"]
    actions = [export_csv]
    list_filter = ["connection", "kind", "status", "is_preview", AskedForFilter]
    list_select_related = ["connection"]
    # The index is of one connection and kind; the newest run is the one with the highest key.
    ordering = ["-pk"]
    change_list_template = "admin/mktg_integration/run/change_list.html"

    class Media:
        css: ClassVar[Any] = {"all": ["mktg_integration/admin.css", "mktg_integration/run.css"]}

    # The list

    @admin.display(description=_("kind"), ordering="kind")
    def kind_of(self, run: Run) -> str:
        return _kind(run)

    @admin.display(description=_("status"), ordering="status")
    def state(self, run: Run) -> SafeString:
        state = insight.state_of(run)
        return format_html('<span class="mktg-run mktg-run-{}">{}</span>', state, insight.STATES[state])

    @admin.display(description=_("seconds"))
    def seconds(self, run: Run) -> str:
        if run.finished_at is None:
            return NOTHING
        return f"{(run.finished_at - run.started_at).total_seconds():.1f}"

    @admin.display(description=_("counts"))
    def in_short(self, run: Run) -> str:
        return insight.in_short(run) or NOTHING

    @admin.display(description=_("detail"))
    def said(self, run: Run) -> str:
        return worded(run.detail) or NOTHING

    def get_urls(self) -> list[Any]:
        wrap, name = self.admin_site.admin_view, "mktg_integration_run_{}".format
        return [
            path("start/", wrap(self.start), name=name("start")),
            path("reconcile/", wrap(self.reconciles), name=name("reconciles")),
            path("held/<int:connection_id>/", wrap(self.confirm_held), name=name("held")),
            path("<int:run_id>/progress/", wrap(self.progress), name=name("progress")),
            path("<int:run_id>/cancel/", wrap(self.cancel), name=name("cancel")),
            path("<int:run_id>/resume/", wrap(self.resume), name=name("resume")),
            path("<int:run_id>/confirm/", wrap(self.confirm), name=name("confirm")),
            path("<int:run_id>/discard/", wrap(self.discard), name=name("discard")),
            *super().get_urls(),
        ]

    # The page of one

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is None:
            raise Http404
        if request.method == "POST" or not self.has_view_permission(request, run):
            raise PermissionDenied
        standing = insight.standing(run)
        context = {
            **self.admin_site.each_context(request),
            "title": f"{capfirst(_kind(run))}: {run.connection.name}",
            "opts": self.opts,
            "media": self.media,
            "run": run,
            "standing": standing,
            "in_words": in_words(standing),
            "errors": insight.errors(run),
            "may_sync": may(request.user, SYNC),
            "may_replay": may(request.user, REPLAY),
            "held": reconciles.held_rows(run.connection) if run.kind != RunKind.PULL else 0,
            "counted": reconciles.COUNTED,
            **(self._found(request, run, standing) if run.kind == RunKind.RECONCILE else {}),
            **(extra_context or {}),
        }
        return TemplateResponse(request, "admin/mktg_integration/run/page.html", context)

    def _found(self, request: HttpRequest, run: Run, standing: insight.RunStanding) -> dict[str, Any]:
        if not standing.is_over:
            return {}
        differ = sum(int(run.counts.get(name, 0)) for name in ("missing", "different", "withdrawn"))
        return {
            "findings": reconciles.findings(run, personal=sees_people(request.user)),
            "fields": sorted(run.counts.get("fields", {}).items(), key=lambda item: -item[1]),
            "canaries": reconciles.canaries(run),
            "preview_of": run.counts.get("asked", {}).get("of"),
            "closed": run.counts.get("closed", ""),
            "differ": differ,
            "canary": min(CANARY, differ),
            "is_open_preview": run.is_preview and run.status == "done" and not run.counts.get("closed"),
        }

    @method_decorator(never_cache)
    def progress(self, request: HttpRequest, run_id: int) -> JsonResponse:
        """How a run stands, for its page that polls. For staff who may see runs."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        run = get_object_or_404(Run.objects.select_related("connection"), pk=run_id)
        standing = insight.standing(run)
        return JsonResponse({**standing.as_dict(), "in_words": in_words(standing), "errors": len(run.errors)})

    # What staff may have done

    @method_decorator(require_POST)
    def start(self, request: HttpRequest) -> HttpResponse:
        """Start a run. POST ``connection`` (its id), ``kind``, and as may be ``everybody``, ``full``, ``resources``,
        ``confirm_deletions``. A reconcile is a preview. For staff with ``SYNC``."""
        require(request, SYNC)
        connection = get_object_or_404(Connection, pk=number(request.POST.get("connection", "")))
        starts: dict[str, Callable[[], Run]] = {
            RunKind.PUSH: lambda: runs.start_push(actor_of(request), connection, "everybody" in request.POST),
            RunKind.PULL: lambda: runs.start_pull(
                actor_of(request),
                connection,
                request.POST.getlist("resources"),
                "full" in request.POST,
                "confirm_deletions" in request.POST,
            ),
            RunKind.RECONCILE: lambda: runs.start_reconcile(actor_of(request), connection),
        }
        start = starts.get(request.POST.get("kind", ""))
        if start is None:
            raise Http404
        return self._done(request, start, back=reverse("admin:mktg_integration_run_changelist"))

    @method_decorator(require_POST)
    def cancel(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """For staff with ``SYNC``."""
        require(request, SYNC)
        run = self._run(run_id)
        return self._done(request, lambda: runs.cancel(actor_of(request), run), back=_page(run))

    @method_decorator(require_POST)
    def resume(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """For staff with ``SYNC``."""
        require(request, SYNC)
        run = self._run(run_id)
        return self._done(request, lambda: runs.resume(actor_of(request), run), back=_page(run))

    @method_decorator(require_POST)
    def confirm(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """Send what a preview found; with ``canary`` of a few people first. For staff with ``SYNC``."""
        require(request, SYNC)
        run = self._run(run_id)
        limit = CANARY if "canary" in request.POST else None
        return self._done(request, lambda: runs.confirm_reconcile(actor_of(request), run, limit), back=_page(run))

    @method_decorator(require_POST)
    def discard(self, request: HttpRequest, run_id: int) -> HttpResponse:
        """For staff with ``SYNC``."""
        require(request, SYNC)
        run = self._run(run_id)
        return self._done(request, lambda: runs.discard_reconcile(actor_of(request), run), back=_page(run))

    @method_decorator(require_POST)
    def confirm_held(self, request: HttpRequest, connection_id: int) -> HttpResponse:
        """Let the unsubscribes and erasures of a connection go that wait for it. For staff with ``REPLAY``."""
        require(request, REPLAY)
        connection = get_object_or_404(Connection, pk=connection_id)
        held = DeadRow.objects.filter(connection=connection, state=DeadKind.HELD)
        count = deliveries.confirm(actor_of(request), held)
        text = ngettext("%d row is in the outbox again.", "%d rows are in the outbox again.", count) % count
        messages.success(request, text)
        return HttpResponseRedirect(reverse("admin:mktg_integration_run_reconciles"))

    def reconciles(self, request: HttpRequest) -> HttpResponse:
        """What was found at each connection, and what waits for a confirmation. For staff who may see runs."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": gettext("Compare and confirm"),
            "opts": self.opts,
            "media": self.media,
            "rows": list(reconciles.overview()),
            "may_sync": may(request.user, SYNC),
            "may_replay": may(request.user, REPLAY),
            "counted": reconciles.COUNTED,
        }
        return TemplateResponse(request, "admin/mktg_integration/run/reconciles.html", context)

    @staticmethod
    def _run(run_id: int) -> Run:
        return get_object_or_404(Run.objects.select_related("connection"), pk=run_id)

    @staticmethod
    def _done(request: HttpRequest, act: Callable[[], Run], *, back: str) -> HttpResponse:
        """To the run's page, or back to where the button was with the reason why not."""
        try:
            run = act()
        except MktgError as error:
            messages.error(request, str(error))
            return HttpResponseRedirect(back)
        return HttpResponseRedirect(_page(run))


def in_words(standing: insight.RunStanding) -> str:
    """What a run's page says while it goes on, aloud too."""
    said = [standing.label + (f" ({standing.stage})" if standing.stage else "")]
    if standing.total:
        said.append(gettext("%(done)d of %(total)d") % {"done": standing.done, "total": standing.total})
    elif standing.done:
        said.append(str(standing.done))
    if standing.per_second:
        said.append(gettext("%(rate)s a second") % {"rate": standing.per_second})
    if standing.seconds_left is not None:
        said.append(gettext("about %(left)s left") % {"left": _duration(standing.seconds_left)})
    return ", ".join(said)


def _duration(seconds: int) -> str:
    if seconds < 90:
        return ngettext("%d second", "%d seconds", seconds) % seconds
    minutes = round(seconds / 60)
    if minutes < 90:
        return ngettext("%d minute", "%d minutes", minutes) % minutes
    hours = round(minutes / 60)
    return ngettext("%d hour", "%d hours", hours) % hours


def _kind(run: Run) -> str:
    if run.is_preview:
        return gettext("preview of a reconcile")
    return str(RunKind(run.kind).label)


def _page(run: Run) -> str:
    return reverse("admin:mktg_integration_run_change", args=[run.pk])
