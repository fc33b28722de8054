"""Tags made and renamed by staff. Both go through the outbox: the list shows them once the service has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ActionForm
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from mktg_integration.admin.base import ReadOnlyAdmin, actor_of
from mktg_integration.exceptions import UnsupportedError
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, Tag
from mktg_integration.operations import tags
from mktg_integration.providers.base import Verb

if TYPE_CHECKING:
    TagModelForm = forms.ModelForm[Tag]
else:
    TagModelForm = forms.ModelForm


class TagActionForm(ActionForm):
    new_name = forms.CharField(label=_("new name"), required=False, max_length=255)


class NewTagForm(TagModelForm):
    """A tag to be made at one connection's service."""

    class Meta:
        model = Tag
        fields: ClassVar[Any] = ["connection", "name"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        able = [row.pk for row in Connection.objects.all() if Verb.CREATE_TAG in row.driver.verbs]
        self.fields["connection"].queryset = Connection.objects.filter(pk__in=able)  # type: ignore[attr-defined]


class WritesTags(ReadOnlyAdmin):
    """For whoever may change connections: adding a tag, and renaming the selected one."""

    action_form = TagActionForm
    actions = ["rename"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.has_push_permission(request)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None:
            kwargs["form"] = NewTagForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ["connection", "name"] if obj is None else super().get_fields(request, obj)

    def save_model(self, request: HttpRequest, obj: Tag, form: Any, change: bool) -> None:
        tags.create(actor_of(request), obj.connection, obj.name)

    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        # There is no row yet that an entry could lead to.
        return None

    def response_add(self, request: HttpRequest, obj: Tag, post_url_continue: str | None = None) -> HttpResponse:
        self.message_user(request, _("The tag is going to be made; it is listed once the service has it."))
        return HttpResponseRedirect(reverse(f"{self.admin_site.name}:mktg_integration_tag_changelist"))

    @admin.action(description=_("Rename at the service"), permissions=["push"])
    def rename(self, request: HttpRequest, queryset: QuerySet[Tag]) -> None:
        name = str(request.POST.get("new_name", ""))
        chosen = list(queryset.select_related("connection")[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Select one tag: two cannot have one name."), messages.ERROR)
            return
        try:
            tags.rename(actor_of(request), chosen[0], name)
        except (ValueError, UnsupportedError) as error:
            self.message_user(request, worded(str(error)), messages.ERROR)
            return
        self.message_user(request, _("The tag is going to be renamed; the list shows it once the service has it."))
