"""The page of one person, and the buttons on it. What a button does is an operation's; no page calls a service."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import NOTHING, ModelAdmin, actor_of, number, require
from mktg_integration.exceptions import MktgError
from mktg_integration.insight import ids
from mktg_integration.insight.comparing import Compared, Standing
from mktg_integration.insight.contacts import PersonPage, Section, person_page, stranger_page, subject_of
from mktg_integration.insight.masking import masked, sees_people
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, Contact, Form
from mktg_integration.moments import local
from mktg_integration.operations import people
from mktg_integration.operations.contacts import can_be_read, read_anew
from mktg_integration.people import is_possible
from mktg_integration.permissions import ERASE, SYNC, may
from mktg_integration.providers.base import Verb

if TYPE_CHECKING:
    Base = ModelAdmin
else:
    Base = object

MARKS = {Standing.SAME: "=", Standing.SENDING: "→", Standing.DRIFT: "≠", Standing.THEIRS: "·"}


# The forms


class ConnectionForm(forms.Form):
    """``verb``: only connections whose service can do it are offered."""

    verb: ClassVar[Verb]
    connection = forms.ModelChoiceField(
        label=_("Where"), queryset=Connection.objects.none(), required=False, empty_label=_("everywhere")
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        able = [row.pk for row in Connection.objects.defer("credentials") if self.verb in row.driver.verbs]
        self.fields["connection"].queryset = Connection.objects.filter(pk__in=able)  # type: ignore[attr-defined]


class TagForm(ConnectionForm):
    verb = Verb.TAG
    name = forms.CharField(label=_("Tag"), max_length=255)
    field_order = ["name", "connection"]


class UntagForm(TagForm):
    verb = Verb.UNTAG


class SubscribeForm(ConnectionForm):
    """Nobody is subscribed without evidence: how and when the person agreed."""

    verb = Verb.SUBSCRIBE
    how = forms.CharField(
        label=_("How did the person agree?"), max_length=255,
        help_text=_("What you would show if you were asked: a signed list, a mail, a call."),
    )  # fmt: skip
    when = forms.SplitDateTimeField(
        label=_("When?"),
        widget=forms.SplitDateTimeWidget(
            date_attrs={"type": "date", "aria-label": _("Day")},  # type: ignore[dict-item]
            time_attrs={"type": "time", "aria-label": _("Time")},  # type: ignore[dict-item]
        ),
    )
    form = forms.CharField(
        label=_("Form at the service that asks for a confirmation"), max_length=255, required=False,
        help_text=_("By name. The way back for somebody who opted out at Kit."),
    )  # fmt: skip
    field_order = ["how", "when", "connection", "form"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not Form.objects.exists():
            del self.fields["form"]

    def clean_when(self) -> Any:
        when = self.cleaned_data["when"]
        if when > timezone.now():
            raise forms.ValidationError(_("The person cannot have agreed in the future."))
        return when


class ForgetForm(forms.Form):
    sure = forms.BooleanField(label=_("Yes, have this person forgotten"))


# The acts


class Act(NamedTuple):
    """A button. ``form`` is asked first; ``consequences`` are said above it."""

    label: Any
    permission: str
    perform: Callable[[HttpRequest, str, dict[str, Any]], str]
    form: type[forms.Form] | None = None
    consequences: tuple[Any, ...] = ()
    is_grave: bool = False


def _sync(request: HttpRequest, person: str, given: dict[str, Any]) -> str:
    connection = given.get("connection")
    people.sync(actor_of(request), [person], [connection] if connection else None)
    return gettext("The person is being sent.")


def _tag(request: HttpRequest, person: str, given: dict[str, Any]) -> str:
    people.tag(actor_of(request), [person], given["name"], given.get("connection"))
    return gettext("The tag is being added.")


def _untag(request: HttpRequest, person: str, given: dict[str, Any]) -> str:
    people.untag(actor_of(request), [person], given["name"], given.get("connection"))
    return gettext("The tag is being taken away.")


def _subscribe(request: HttpRequest, person: str, given: dict[str, Any]) -> str:
    evidence = people.Evidence(how=given["how"], when=given["when"])
    people.subscribe(actor_of(request), person, evidence, given.get("connection"), given.get("form", ""))
    return gettext("The consent is noted, and the services are being told.")


def _unsubscribe(request: HttpRequest, person: str, given: dict[str, Any]) -> str:
    people.unsubscribe(actor_of(request), [person], given.get("connection"))
    return gettext("The person is being unsubscribed; it holds until somebody notes a new consent.")


def _forget(request: HttpRequest, person: str, given: dict[str, Any]) -> str:
    people.forget(actor_of(request), person)
    return gettext("The person is being forgotten at every service.")


_BY_HAND = _("Where a service has no call for it, the row waits under the rejected rows for somebody to do it there.")
_LIFTS = _("This lifts every earlier opt-out of the person. Note it only where the person has asked for it.")
_STOPS = _("No service mails the person any more, until the person subscribes again.")
_ERASES = _("The contact is erased at every service that can, and here: contact, lead, tags and what was said.")
_HASH_STAYS = _("A keyed hash of the address stays, so that no import brings the person back.")
_ACCOUNT_STAYS = _("The user's own account is not deleted: do that at the user. It cannot be undone.")

ACTS: dict[str, Act] = {
    "sync": Act(_("Sync now"), SYNC, _sync),
    "tag": Act(_("Add a tag"), SYNC, _tag, TagForm),
    "untag": Act(_("Take the tag away"), SYNC, _untag, UntagForm),
    "subscribe": Act(_("Subscribe"), SYNC, _subscribe, SubscribeForm, (_LIFTS,)),
    "unsubscribe": Act(_("Unsubscribe"), SYNC, _unsubscribe, forms.Form, (_STOPS, _BY_HAND)),
    "forget": Act(
        _("Forget"), ERASE, _forget, ForgetForm, (_ERASES, _BY_HAND, _HASH_STAYS, _ACCOUNT_STAYS), is_grave=True
    ),
}


# The pages


class PersonPages(Base):
    """For ``ContactAdmin``: the page of a person by subject, the panel on a contact's page, and the acts of both."""

    change_form_template = "admin/mktg_integration/contact/change_form.html"

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        name = "mktg_integration_contact_"
        return [
            path("person/<str:subject>/", wrap(self.person_view), name=f"{name}person"),
            path("person/<str:subject>/<slug:act>/", wrap(self.act_view), name=f"{name}person_act"),
            path("<path:object_id>/refresh/", wrap(self.refresh_view), name=f"{name}refresh"),
            path("<path:object_id>/act/<slug:act>/", wrap(self.act_view), name=f"{name}act"),
            *super().get_urls(),
        ]

    def person_view(self, request: HttpRequest, subject: str) -> HttpResponse:
        """One person at every connection. For whoever may view contacts."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            page = person_page(subject, list(_connections()))
            if page.who is None and not is_possible(subject):
                raise Http404
        except ValueError:
            raise Http404 from None
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": gettext("Person %(subject)s") % {"subject": subject},
            "media": self.media,
            **self._shown(request, page, lambda act: self._address("person_act", subject, act)),
        }
        return TemplateResponse(request, "admin/mktg_integration/contact/person.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        contact = self._contact(object_id) if self.has_view_permission(request) else None
        context = dict(extra_context or {})
        if contact is not None:
            subject = subject_of(contact)
            page = person_page(subject, [contact.connection]) if subject else stranger_page(contact)
            where = ("person_act", subject) if subject else ("act", quote(ids.shown(contact.pk)))
            context |= self._shown(request, page, lambda act: self._address(*where, act))
        return super().change_view(request, object_id, form_url, context)

    def act_view(self, request: HttpRequest, act: str, subject: str = "", object_id: str = "") -> HttpResponse:
        """A button was pressed. For whoever may view contacts and has the act's permission."""
        button = ACTS.get(act)
        if button is None:
            raise Http404
        if not self.has_view_permission(request):
            raise PermissionDenied
        require(request, button.permission)
        contact = self._contact(object_id) if object_id else None
        if object_id and contact is None:
            raise Http404
        person = (subject_of(contact) or contact.email) if contact is not None else subject
        back = self._address("person", subject) if subject else self._address("change", quote(unquote(object_id)))
        if button.form is None:
            if request.method != "POST":
                return HttpResponseNotAllowed(["POST"])
            return self._perform(request, button, person, {"connection": _chosen(request)}, back)
        form = button.form(request.POST) if request.method == "POST" else button.form(initial=_initial(request))
        if request.method == "POST" and form.is_valid():
            if button.is_grave and contact is not None:
                back = self._address("changelist")
            return self._perform(request, button, person, form.cleaned_data, back)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts, "title": button.label, "media": self.media, "form": form, "button": button, "back": back,
            "subject": subject or (subject_of(contact) if contact else ""),
            "who": _shown_address(request, contact.email) if contact is not None else subject,
        }  # fmt: skip
        return TemplateResponse(request, "admin/mktg_integration/contact/act.html", context)

    def refresh_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Have the contact read at its service. For whoever may view contacts and sync people."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        require(request, SYNC)
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        contact = self._contact(object_id)
        if contact is None:
            raise Http404
        try:
            read_anew(actor_of(request), [contact])
            messages.success(request, gettext("The contact is being read again; it is here in a moment."))
        except MktgError as error:
            messages.error(request, worded(str(error)))
        subject = subject_of(contact)
        is_of_person = bool(subject) and request.POST.get("page") == "person"
        where = ("person", subject) if is_of_person else ("change", quote(ids.shown(contact.pk)))
        return HttpResponseRedirect(self._address(*where))

    def _perform(
        self, request: HttpRequest, button: Act, person: str, given: dict[str, Any], back: str
    ) -> HttpResponseRedirect:
        try:
            messages.success(request, button.perform(request, person, given))
        except MktgError as error:
            messages.error(request, worded(str(error)))
        return HttpResponseRedirect(back)

    def _contact(self, object_id: str) -> Contact | None:
        found = Contact.objects.filter(pk=ids.key_of(unquote(object_id)))
        return found.select_related("connection__state").defer("connection__credentials").first()

    def _address(self, name: str, *args: str) -> str:
        return reverse(f"{self.admin_site.name}:mktg_integration_contact_{name}", args=args)

    def _shown(self, request: HttpRequest, page: PersonPage, address: Callable[[str], str]) -> dict[str, Any]:
        """What the templates show of it, masked for whoever may not see personal data."""
        sees = sees_people(request.user)
        allowed = [key for key, act in ACTS.items() if key != "untag" and may(request.user, act.permission)]
        return {
            "page": page,
            "sees": sees,
            "who": _name(page.who, sees=sees),
            "email": page.email if sees else masked(page.email),
            "user_url": _user_url(page.who, self.admin_site.name),
            "person_url": self._address("person", page.subject) if page.subject else "",
            "sections": [
                _section(section, sees=sees) | {"refresh_url": self._refresh_url(request, section)}
                for section in page.sections
            ],
            "acts": [
                {"key": key, "label": ACTS[key].label, "url": address(key), "asks": ACTS[key].form is not None,
                 "is_grave": ACTS[key].is_grave}
                for key in allowed
            ],
            "untag_url": address("untag") if may(request.user, SYNC) else "",
        }  # fmt: skip

    def _refresh_url(self, request: HttpRequest, section: Section) -> str:
        contact = section.contact
        if contact is None or not may(request.user, SYNC) or not can_be_read(contact, section.connection):
            return ""
        return self._address("refresh", quote(ids.shown(contact.pk)))


def _connections() -> models.QuerySet[Connection]:
    return Connection.objects.select_related("state")


def _chosen(request: HttpRequest) -> Connection | None:
    """The connection that a button names; none for all."""
    pk = number(request.POST.get("connection", ""))
    return Connection.objects.filter(pk=pk).first() if pk is not None else None


def _initial(request: HttpRequest) -> dict[str, Any]:
    now = local(timezone.now()).replace(second=0, microsecond=0)
    return {"connection": request.GET.get("connection"), "name": request.GET.get("tag", ""), "when": now}


def _section(section: Section, *, sees: bool) -> dict[str, Any]:
    contact = section.contact
    return {
        "connection": section.connection,
        "label": section.connection.driver.label,
        "contact": contact,
        "is_read": section.is_read,
        "trace": section.trace,
        "fields": [_field(row, sees=sees) for row in section.fields],
        "tags": section.tags,
    }


def _field(row: Compared, *, sees: bool) -> dict[str, Any]:
    values = [row.wanted, row.sent, row.known, row.push]
    if row.personal and not sees:
        values = [masked(value) for value in values]
    wanted, sent, known, push = (_value(value) for value in values)
    if row.standing is Standing.SENDING and row.push is None:
        push = gettext("(empty)")
    return {
        "name": row.name, "wanted": wanted, "sent": sent, "known": known, "push": push, "standing": row.standing.value,
        "mark": MARKS[row.standing], "said": row.said,
    }  # fmt: skip


def _value(value: Any) -> str:
    if value in (None, ""):
        return NOTHING
    if isinstance(value, bool):
        return gettext("yes") if value else gettext("no")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _shown_address(request: HttpRequest, address: str) -> str:
    return address if sees_people(request.user) else str(masked(address))


def _name(who: models.Model | None, *, sees: bool) -> str:
    if who is None:
        return ""
    return str(who) if sees else str(masked(str(who)))


def _user_url(who: models.Model | None, site: str) -> str:
    """The user's own page in the admin, where the site has one."""
    if who is None or not isinstance(who, get_user_model()):
        return ""
    try:
        return reverse(f"{site}:{who._meta.app_label}_{who._meta.model_name}_change", args=[quote(who.pk)])
    except NoReverseMatch:
        return ""
