"""The action that exports a list's rows as CSV: those selected, or all that the list's filters leave."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import actor_of
from mktg_integration.insight.masking import sees_people
from mktg_integration.moments import today
from mktg_integration.operations.exporting import csv_lines


@admin.action(description=_("Export as CSV"), permissions=["view"])
def export_csv(model_admin: Any, request: HttpRequest, queryset: QuerySet[Any]) -> StreamingHttpResponse:
    """For the ``actions`` of a list of a table in ``exporting.COLUMNS``. Whoever may view the list; personal columns
    take ``VIEW_PERSONAL_DATA`` too. Audited."""
    lines = csv_lines(actor_of(request), queryset, personal=sees_people(request.user))
    name = f"{queryset.model._meta.model_name}-{today().isoformat()}.csv"
    return StreamingHttpResponse(
        lines,
        content_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        },
    )
