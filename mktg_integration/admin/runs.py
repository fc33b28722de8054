"""Runs of pushes, pulls and reconciles."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import NOTHING, ReadOnlyAdmin, pretty
from mktg_integration.models import Run


@admin.register(Run)
class RunAdmin(ReadOnlyAdmin):
    list_display = ["started_at", "connection", "kind", "status", "seconds", "in_short", "detail"]
    list_filter = ["connection", "kind", "status"]
    list_select_related = ["connection"]
    fields = [("connection", "kind"), "status", ("started_at", "finished_at"), "told_counts", "detail"]
    readonly_fields = ["told_counts"]

    @admin.display(description=_("seconds"))
    def seconds(self, run: Run) -> str:
        if run.finished_at is None:
            return NOTHING
        return f"{(run.finished_at - run.started_at).total_seconds():.1f}"

    @admin.display(description=_("counts"))
    def in_short(self, run: Run) -> str:
        numbers = {name: count for name, count in run.counts.items() if isinstance(count, int) and count}
        return ", ".join(f"{name} {count}" for name, count in numbers.items()) or NOTHING

    @admin.display(description=_("counts"))
    def told_counts(self, run: Run) -> SafeString | str:
        return pretty(run.counts)
