"""Charts of the last days, drawn on the server, each with its table beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext

from mktg_integration.admin.base import ReadOnlyAdmin, number
from mktg_integration.admin.charts import Chart, Series, days_until, draw
from mktg_integration.heartbeat import last_beat
from mktg_integration.insight.figures import DAYS, series
from mktg_integration.models import Connection, DailyFigures
from mktg_integration.moments import today

MOST_CONNECTIONS = 50


@admin.register(DailyFigures)
class DailyFiguresAdmin(ReadOnlyAdmin):
    """The list is the page of charts."""

    fields = ["connection", "day", "active", "joined", "unsubscribed", "sent", "rejected", "postponed", "outbox"]

    class Media:
        css: ClassVar[Any] = {"all": ["mktg_integration/figures.css"]}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Whoever may view figures. Three statements, by the index of connection and day."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        connections = list(Connection.objects.order_by("name").values_list("pk", "name")[:MOST_CONNECTIONS])
        chosen = _chosen(request, [pk for pk, _ in connections])
        days = next((span for span in DAYS if str(span) == request.GET.get("days")), DAYS[0])
        rows = series(Connection(pk=chosen), days) if chosen is not None else []
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Figures"),
            "connections": connections,
            "chosen": chosen,
            "days": days,
            "spans": DAYS,
            "charts": charts(rows, days) if rows else [],
            "has_worked": bool(rows) or last_beat() is not None,
            "media": self.media,
            **(extra_context or {}),
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/mktg_integration/figures.html", context)


def _chosen(request: HttpRequest, known: Sequence[int]) -> int | None:
    given = number(request.GET.get("connection") or request.GET.get("connection__id__exact") or "")
    if given in known:
        return given
    return known[0] if known else None


def charts(rows: Sequence[DailyFigures], count: int) -> list[Chart]:
    """What these days tell, in four pictures."""
    days = days_until(today(), count)
    by_day = {row.day: row for row in rows}
    # A number of contacts was first measured on some day: before it there was none to know.
    measured = min((row.day for row in rows if row.active), default=None)

    def values(name: str, *, since: date | None = None) -> list[int | None]:
        return [
            getattr(by_day[day], name) if day in by_day and (since is None or day >= since) else None for day in days
        ]

    return [
        draw(
            "subscribers",
            gettext("Subscribers"),
            gettext("Contacts that the service may mail, at the end of each day."),
            days,
            [Series(label=gettext("active contacts"), values=values("active", since=measured))],
            empty=gettext("No active contact is known: pull the contacts, or wait until somebody has been sent."),
        ),
        draw(
            "growth",
            gettext("Growth and unsubscribes"),
            gettext("New contacts and those who left, by bounce and complaint too, on each day."),
            days,
            [
                Series(label=gettext("new contacts"), values=values("joined")),
                Series(label=gettext("unsubscribed"), values=values("unsubscribed")),
            ],
            empty=gettext("Nobody came and nobody left in this time, as far as the service has told."),
        ),
        draw(
            "pushes",
            gettext("Pushes and failures"),
            gettext("Rows of the outbox that were sent, tried again later, and rejected on each day."),
            days,
            [
                Series(label=gettext("sent"), values=values("sent")),
                Series(label=gettext("tried again"), values=values("postponed")),
                Series(label=gettext("rejected"), values=values("rejected")),
            ],
            empty=gettext("Nothing was sent in this time."),
        ),
        draw(
            "outbox",
            gettext("Outbox"),
            gettext("The most rows that waited to be sent, of the measurings of each day."),
            days,
            [Series(label=gettext("in the outbox"), values=values("outbox"))],
            empty=gettext("The outbox was empty whenever it was measured."),
        ),
    ]
