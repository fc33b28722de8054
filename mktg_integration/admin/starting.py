"""Runs that are started from the list of connections."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import Guarded, actor_of
from mktg_integration.exceptions import MktgError
from mktg_integration.models import Connection, Run
from mktg_integration.operations import runs

if TYPE_CHECKING:
    Base = Guarded
else:
    Base = object


class StartingRuns(Base):
    """For ``ConnectionAdmin``: actions that start a run over each of the chosen connections."""

    @admin.action(description=_("Pull: read what has changed"), permissions=["sync"])
    def start_pull(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> HttpResponse | None:
        return self._start(request, queryset, lambda connection: runs.start_pull(actor_of(request), connection))

    @admin.action(description=_("Push everybody: compare and send all people"), permissions=["sync"])
    def push_everybody(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> HttpResponse | None:
        return self._start(request, queryset, lambda connection: runs.start_push(actor_of(request), connection, True))

    @admin.action(description=_("Reconcile: preview what differs"), permissions=["sync"])
    def start_reconcile(self, request: HttpRequest, queryset: models.QuerySet[Connection]) -> HttpResponse | None:
        return self._start(request, queryset, lambda connection: runs.start_reconcile(actor_of(request), connection))

    def _start(
        self, request: HttpRequest, queryset: models.QuerySet[Connection], start: Callable[[Connection], Run]
    ) -> HttpResponse | None:
        """To the run's page where it is one, else to the list of runs."""
        started = []
        for connection in queryset.order_by("name"):
            try:
                started.append(start(connection))
            except MktgError as error:
                self.message_user(request, f"{connection.name}: {error}", messages.ERROR)
        if not started:
            return None
        if len(started) == 1:
            return HttpResponseRedirect(reverse("admin:mktg_integration_run_change", args=[started[0].pk]))
        return HttpResponseRedirect(reverse("admin:mktg_integration_run_changelist"))
