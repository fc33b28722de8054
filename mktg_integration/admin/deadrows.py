"""Deliveries that did not come about: by reason with the remedy, row by row with each attempt, and what may be done."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST

from mktg_integration.admin.base import actor_of, number, require
from mktg_integration.admin.csv_export import export_csv
from mktg_integration.admin.indexed import CONNECTION, IndexedAdmin, chosen_connection
from mktg_integration.audit import Actor
from mktg_integration.exceptions import DecryptionError, NotNowError
from mktg_integration.insight import deliveries as insight
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, DeadKind, DeadRow, Kind
from mktg_integration.operations import deliveries as operations
from mktg_integration.permissions import ERASE, REPLAY, VIEW_PERSONAL_DATA, may

STATE: Final = "state__exact"
CODE: Final = "code__exact"
MOST_SELECTED: Final = 500
"""More rows than this are chosen by their reason."""


@dataclass(frozen=True, kw_only=True)
class Act:
    """One thing that may be done with dead rows of certain states. ``asks`` is the label of what has to be said."""

    name: str
    label: Promise
    explanation: Promise
    states: frozenset[DeadKind]
    work: Callable[[Actor, models.QuerySet[DeadRow], str], int]
    asks: Promise | None = None
    help: Promise | None = None
    dangerous: bool = False


ACTS: Final[Mapping[str, Act]] = {
    act.name: act
    for act in (
        Act(
            name="replay",
            label=_("Replay"),
            explanation=_(
                "They are put back into the outbox and sent again, with what is wanted of the person by then."
            ),
            states=frozenset({DeadKind.REJECTED, DeadKind.NEEDS_PERSON}),
            work=lambda actor, rows, text: operations.replay(actor, rows),
        ),
        Act(
            name="confirm",
            label=_("Confirm"),
            explanation=_(
                "These people are unsubscribed or erased at the service. The confirmation holds for an hour, for more "
                "of the same too."
            ),
            states=frozenset({DeadKind.HELD}),
            work=lambda actor, rows, text: operations.confirm(actor, rows),
            dangerous=True,
        ),
        Act(
            name="done",
            label=_("Done by hand"),
            explanation=_("You have done at the service what these rows ask for. They are taken off the list."),
            states=frozenset({DeadKind.NEEDS_PERSON}),
            work=operations.done_by_hand,
            asks=_("What was done"),
            help=_("For example: deleted in Kit's own pages. Write no address: this is kept for long."),
        ),
        Act(
            name="discard",
            label=_("Discard"),
            explanation=_("They are given up and never sent. What they asked for does not happen."),
            states=frozenset(DeadKind),
            work=operations.discard,
            asks=_("Reason"),
            help=_("Write no address: this is kept for long."),
            dangerous=True,
        ),
    )
}


class SayForm(forms.Form):
    text = forms.CharField(max_length=300, widget=forms.TextInput(attrs={"class": "vTextField"}))

    def __init__(self, act: Act, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["text"].label = str(act.asks)
        self.fields["text"].help_text = str(act.help or "")


class StateFilter(admin.SimpleListFilter):
    """Offered once a connection is chosen, because the index begins with it."""

    title = _("state")
    parameter_name = STATE

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        self.connection = chosen_connection(request)
        return DeadKind.choices if self.connection is not None else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        if self.value() is None:
            return None
        return queryset.filter(connection=self.connection, state=self.value())


class CodeFilter(admin.SimpleListFilter):
    """Made by the links of the reasons above the list, so it offers only what is chosen."""

    title = _("code")
    parameter_name = CODE

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        code = request.GET.get(CODE, "")
        return [(code, code)] if code and request.GET.get(STATE) and chosen_connection(request) is not None else []

    def queryset(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> models.QuerySet[Any] | None:
        return queryset.filter(code=self.value()) if self.value() else None


@admin.register(DeadRow)
class DeadRowAdmin(IndexedAdmin):
    order = ("connection_id", "state", "code", "key")
    lookups = frozenset({CONNECTION, STATE, CODE})
    list_display = ["subject", "connection", "kind", "state", "code", "why", "died_at"]
    list_filter = ["connection", StateFilter, CodeFilter]
    fields = [
        ("connection", "kind", "subject"),
        ("state", "code"),
        "why",
        ("status", "request_id"),
        "attempts",
        ("marked_at", "died_at"),
    ]
    search_help_text = _("Search for one person, as in user:1.")
    # An occurrence's payload may hold an address: it is shown only to whoever asks for it, and may.
    secret_fields = ("payload",)
    exclude = ["payload"]
    actions = ["replay", "confirm", "done", "discard", export_csv]
    change_list_template = "admin/mktg_integration/deadrow/change_list.html"
    change_form_template = "admin/mktg_integration/deadrow/change_form.html"

    def found_by(self, term: str) -> models.Q:
        return models.Q(subject=term)

    @admin.display(description=_("reason"))
    def why(self, row: DeadRow) -> str:
        return worded(row.reason)

    def get_urls(self) -> list[URLPattern]:
        views = [
            path("act/<slug:name>/", self.admin_site.admin_view(self.act_view), name="mktg_integration_deadrow_act"),
            path(
                "address/<path:key>/",
                self.admin_site.admin_view(self.address_view),
                name="mktg_integration_deadrow_address",
            ),
        ]
        return [*views, *super().get_urls()]

    # The list, by reason

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        given = number(request.GET.get(CONNECTION, ""))
        chosen = Connection.objects.filter(pk=given).first() if given is not None else None
        groups = insight.reasons(chosen) if request.method == "GET" else []
        shown = [{"group": group, "rows": _rows_of(group), "acts": self._offered(request, group)} for group in groups]
        more = {"reasons": shown, "more_reasons": len(groups) == insight.MOST_GROUPS}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def _offered(self, request: HttpRequest, group: insight.ReasonGroup) -> list[dict[str, Any]]:
        if not may(request.user, REPLAY):
            return []
        query = urlencode({"connection": group.connection_id, "state": group.state, "code": group.code})
        return [
            {"label": act.label, "url": f"{self._act_url(act)}?{query}", "dangerous": act.dangerous}
            for act in ACTS.values()
            if group.state in act.states
        ]

    def _act_url(self, act: Act) -> str:
        return reverse(f"{self.admin_site.name}:mktg_integration_deadrow_act", args=[act.name])

    # One row

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        row = self.get_object(request, unquote(object_id))
        more: dict[str, Any] = {}
        if row is not None:
            more = {
                "attempts": insight.attempts_of(row.pk),
                "remedy": insight.remedy(row.connection.provider, row.code, row.status),
                "acts": [
                    {"label": act.label, "url": f"{self._act_url(act)}?{urlencode({'key': row.pk})}"}
                    for act in ACTS.values()
                    if row.state in act.states and may(request.user, REPLAY)
                ],
                "address_url": self._address_url(request, row),
            }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **more})

    def _address_url(self, request: HttpRequest, row: DeadRow) -> str:
        if row.state != DeadKind.NEEDS_PERSON or not _may_see_address(request, row):
            return ""
        return reverse(f"{self.admin_site.name}:mktg_integration_deadrow_address", args=[row.pk])

    def address_view(self, request: HttpRequest, key: str) -> HttpResponse:
        """``VIEW_PERSONAL_DATA``, and of an erasure ``ERASE``; each look is audited."""
        return _show_address(request, self, key)

    # What may be done

    def act_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """``REPLAY``. By GET the question with the count, by POST the act."""
        require(request, REPLAY)
        act = ACTS.get(name)
        if act is None:
            raise Http404
        rows, hidden = _chosen(request)
        if request.method != "POST":
            return self._question(request, act, rows, hidden, SayForm(act) if act.asks else None)
        form = SayForm(act, request.POST) if act.asks else None
        if form is not None and not form.is_valid():
            return self._question(request, act, rows, hidden, form)
        # Of a reason: more may have come since somebody decided. Selected rows are those that were selected.
        count, shown = _counted(rows.filter(state__in=act.states)), number(request.POST.get("shown", ""))
        if not request.POST.getlist("key") and shown not in (None, count):
            text = gettext("There are %(count)s such rows now, not %(expected)s: look again.")
            self.message_user(request, text % {"count": count, "expected": shown}, messages.ERROR)
            return self._question(request, act, rows, hidden, form)
        return self._do(request, act, rows, form.cleaned_data["text"] if form is not None else "")

    def _do(self, request: HttpRequest, act: Act, rows: models.QuerySet[DeadRow], text: str) -> HttpResponse:
        wanted = rows.filter(state__in=act.states)
        try:
            count = act.work(actor_of(request), wanted, text)
        except NotNowError as error:
            self.message_user(request, str(error), messages.ERROR)
        else:
            said = ngettext("%(act)s: %(count)d row.", "%(act)s: %(count)d rows.", count)
            level = messages.SUCCESS if count else messages.WARNING
            self.message_user(request, said % {"act": act.label, "count": count}, level)
            if count == operations.AT_ONCE and wanted.exists():
                self.message_user(request, gettext("There are more of them: do it once more."), messages.WARNING)
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:mktg_integration_deadrow_changelist"))

    def _question(
        self,
        request: HttpRequest,
        act: Act,
        rows: models.QuerySet[DeadRow],
        hidden: list[tuple[str, str]],
        form: forms.Form | None,
    ) -> HttpResponse:
        wanted = rows.filter(state__in=act.states)
        count = _counted(wanted)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": act.label,
            "act": act,
            "act_url": self._act_url(act),
            "count": min(count, insight.COUNTED),
            "bounded": count > insight.COUNTED,
            "examples": wanted.defer("payload").select_related("connection").order_by("pk")[:5],
            "hidden": [*hidden, ("shown", count)],
            "form": form,
            "at_once": operations.AT_ONCE,
            "media": self.media,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/mktg_integration/deadrow/act.html", context)

    def _ask(self, request: HttpRequest, name: str, queryset: models.QuerySet[DeadRow]) -> HttpResponse | None:
        """The action of the list: the question first."""
        keys = list(queryset.order_by("pk").values_list("pk", flat=True)[: MOST_SELECTED + 1])
        if len(keys) > MOST_SELECTED:
            text = gettext("Select at most %(most)d rows, or use the buttons of a reason.") % {"most": MOST_SELECTED}
            self.message_user(request, text, messages.ERROR)
            return None
        act = ACTS[name]
        form = SayForm(act) if act.asks else None
        return self._question(request, act, DeadRow.objects.filter(pk__in=keys), [("key", k) for k in keys], form)

    @admin.action(description=_("Replay…"), permissions=["replay"])
    def replay(self, request: HttpRequest, queryset: models.QuerySet[DeadRow]) -> HttpResponse | None:
        return self._ask(request, "replay", queryset)

    @admin.action(description=_("Confirm the unsubscribes and erasures that wait for it…"), permissions=["replay"])
    def confirm(self, request: HttpRequest, queryset: models.QuerySet[DeadRow]) -> HttpResponse | None:
        return self._ask(request, "confirm", queryset)

    @admin.action(description=_("Done by hand…"), permissions=["replay"])
    def done(self, request: HttpRequest, queryset: models.QuerySet[DeadRow]) -> HttpResponse | None:
        return self._ask(request, "done", queryset)

    @admin.action(description=_("Discard…"), permissions=["replay"])
    def discard(self, request: HttpRequest, queryset: models.QuerySet[DeadRow]) -> HttpResponse | None:
        return self._ask(request, "discard", queryset)


def _chosen(request: HttpRequest) -> tuple[models.QuerySet[DeadRow], list[tuple[str, str]]]:
    """The rows that the request is about, by their keys or by their reason, and the fields that say so again."""
    given = request.POST if request.method == "POST" else request.GET
    keys = given.getlist("key")[:MOST_SELECTED]
    if keys:
        return DeadRow.objects.filter(pk__in=keys), [("key", key) for key in keys]
    reason = {name: given.get(name, "") for name in ("connection", "state", "code")}
    connection = number(reason["connection"])
    if connection is None or reason["state"] not in DeadKind.values or "code" not in given:
        raise Http404
    rows = DeadRow.objects.filter(connection=connection, state=reason["state"], code=reason["code"])
    return rows, list(reason.items())


def _counted(rows: models.QuerySet[DeadRow]) -> int:
    """How many, and one more than ``COUNTED`` for all that are more."""
    return rows.order_by()[: insight.COUNTED + 1].count()


def _rows_of(group: insight.ReasonGroup) -> str:
    return "?" + urlencode({CONNECTION: group.connection_id, STATE: group.state, CODE: group.code})


def _may_see_address(request: HttpRequest, row: DeadRow) -> bool:
    return may(request.user, VIEW_PERSONAL_DATA) and (row.kind != Kind.ERASURE or may(request.user, ERASE))


@never_cache
@csrf_protect
@require_POST
def _show_address(request: HttpRequest, model_admin: DeadRowAdmin, key: str) -> HttpResponse:
    """By POST, so that no link, no prefetch and no history of a browser looks at an address."""
    if not model_admin.has_view_permission(request):
        raise PermissionDenied
    # Without its payload, which may be one that cannot be read.
    row = DeadRow.objects.defer("payload").select_related("connection").filter(pk=key).first()
    if row is None:
        raise Http404
    if not _may_see_address(request, row):
        raise PermissionDenied
    address, trouble = "", ""
    try:
        address = operations.address(actor_of(request), row)
    except (DecryptionError, NotNowError) as error:
        trouble = str(error)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Address"),
        "row": row,
        "address": address,
        "trouble": trouble,
        "remedy": insight.remedy(row.connection.provider, row.code, row.status),
        "media": model_admin.media,
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/mktg_integration/deadrow/address.html", context)
