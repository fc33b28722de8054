"""For the site's own list of users: send, tag and look up the selected ones at the services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import NOTHING, ModelAdmin, actor_of
from mktg_integration.admin.person import TagForm
from mktg_integration.exceptions import MktgError
from mktg_integration.insight.masking import masked, sees_people
from mktg_integration.insight.noted import worded
from mktg_integration.operations import people
from mktg_integration.people import user_subject
from mktg_integration.permissions import SYNC, may
from mktg_integration.push.pages import subject_pages

if TYPE_CHECKING:
    Base = ModelAdmin
else:
    Base = object

SHOWN = 100
"""The most people that "show at the services" lists."""
VIEW = "mktg_integration.view_contact"


class MarketingUserAdminMixin(Base):
    """Before the site's own ``UserAdmin``: ``class MemberAdmin(MarketingUserAdminMixin, UserAdmin)``.

    Adds three actions and, on a user's page, the link to the person at the services; works with any user model.
    Whoever may not have people sent (``sync_people``) is not offered the first two actions, whoever may not view
    contacts neither the third nor the link. "Select all" reads the users by the page and never holds them.
    """

    def has_marketing_sync_permission(self, request: HttpRequest) -> bool:
        return may(request.user, SYNC)

    def has_marketing_view_permission(self, request: HttpRequest) -> bool:
        return may(request.user, VIEW)

    def get_actions(self, request: HttpRequest) -> Any:
        """The site's own actions, and ours behind them, however the site declares its own."""
        actions = super().get_actions(request)
        may_do = {
            "marketing_sync": self.has_marketing_sync_permission,
            "marketing_tag": self.has_marketing_sync_permission,
            "marketing_show": self.has_marketing_view_permission,
        }
        for name, is_allowed in may_do.items():
            found = self.get_action(name) if is_allowed(request) else None
            if found is not None:
                actions[name] = found
        return actions

    @admin.action(description=_("Send to the marketing services now"))
    def marketing_sync(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        try:
            count = people.sync(actor_of(request), self._subjects(queryset))
        except MktgError as error:
            self.message_user(request, worded(str(error)), messages.ERROR)
            return
        text = ngettext("%(count)d person is being sent.", "%(count)d people are being sent.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)

    @admin.action(description=_("Tag at the marketing services"))
    def marketing_tag(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        """Asks for the tag on a page of its own, which posts the action again."""
        is_answer = "marketing_tag_given" in request.POST
        form = TagForm(request.POST) if is_answer else TagForm()
        if not (is_answer and form.is_valid()):
            return self._page(request, "tag", {"form": form, "selected": request.POST.getlist(ACTION_CHECKBOX_NAME)})
        given = form.cleaned_data
        try:
            count = people.tag(actor_of(request), self._subjects(queryset), given["name"], given["connection"])
        except MktgError as error:
            self.message_user(request, worded(str(error)), messages.ERROR)
            return None
        text = ngettext("%(count)d person is being tagged.", "%(count)d people are being tagged.", count)
        self.message_user(request, text % {"count": count}, messages.SUCCESS)
        return None

    @admin.action(description=_("Show at the marketing services"))
    def marketing_show(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> HttpResponse | None:
        users = list(queryset.order_by("pk")[: SHOWN + 1])
        try:
            links = [(user, self._person_url(user)) for user in users[:SHOWN]]
        except NoReverseMatch:
            self.message_user(request, gettext("This admin site has no page of contacts."), messages.ERROR)
            return None
        if len(links) == 1:
            return HttpResponseRedirect(links[0][1])
        sees = sees_people(request.user)
        shown = [(str(user) if sees else masked(str(user)), user_subject(user), url) for user, url in links]
        return self._page(request, "show", {"people": shown, "has_more": len(users) > SHOWN, "most": SHOWN})

    @admin.display(description=_("Marketing services"))
    def marketing(self, user: models.Model) -> SafeString | str:
        """The link from a user's page."""
        try:
            address = self._person_url(user)
        except NoReverseMatch:
            return NOTHING
        return format_html('<a href="{}">{}</a>', address, gettext("This person at the services"))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        found = super().get_readonly_fields(request, obj)
        return (*found, "marketing") if self._shows_link(request, obj) else found

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        found = list(super().get_fieldsets(request, obj))
        named = {name for _title, options in found for name in _flat(options["fields"])}
        if self._shows_link(request, obj) and "marketing" not in named:
            found.append((_("Marketing"), {"fields": ("marketing",)}))
        return found

    def _shows_link(self, request: HttpRequest, user: Any) -> bool:
        return user is not None and self.has_marketing_view_permission(request)

    def _person_url(self, user: models.Model) -> str:
        name = f"{self.admin_site.name}:mktg_integration_contact_person"
        return reverse(name, args=[user_subject(user)])

    @staticmethod
    def _subjects(queryset: models.QuerySet[Any]) -> Any:
        return (subject for page in subject_pages(queryset, "user") for subject in page)

    def _page(self, request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
        titles = {"tag": _("Tag at the marketing services"), "show": _("At the marketing services")}
        shown = {
            **self.admin_site.each_context(request),
            "opts": self.model._meta,
            "title": titles[name],
            "media": self.media,
            "checkbox": ACTION_CHECKBOX_NAME,
            "select_across": request.POST.get("select_across", "0"),
            "back": request.get_full_path(),
            **context,
        }
        return TemplateResponse(request, f"admin/mktg_integration/user/{name}.html", shown)


def _flat(fields: Any) -> list[Any]:
    return [name for one in fields for name in (one if isinstance(one, list | tuple) else [one])]
