"""Who may not see personal data sees that there are people, and not who they are."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import RequestFactory

from mktg_integration.admin.base import ReadOnlyAdmin
from mktg_integration.insight.masking import masked
from mktg_integration.models import Lead


class MaskedLeads(ReadOnlyAdmin):
    list_display = ["email", "first_name"]
    personal_fields = ("email", "first_name", "fields", "user")


def leads_of(user: User) -> tuple[Lead, Lead]:
    """The lead on its page and in the list, as this user is shown it."""
    request = RequestFactory().get("/")
    request.user = User.objects.get(pk=user.pk)
    pages = MaskedLeads(Lead, admin.site)
    shown = pages.get_object(request, str(Lead.objects.get().pk))
    (listed,) = pages.get_changelist_instance(request).result_list
    return shown, listed


@pytest.fixture
def viewer(db: None) -> User:
    user = User.objects.create_user("viewer", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_lead"))
    Lead.objects.create(email="Ada@example.com", email_key="ada@example.com", first_name="Ada", fields={"city": "Oslo"},
                        user=user)  # fmt: skip
    return user


def test_personal_data_is_masked_on_lists_and_pages(viewer: User) -> None:
    for lead in leads_of(viewer):
        assert (lead.email, lead.first_name, lead.fields) == ("A•••@e•••", "•••", {"city": "•••"})
        assert lead.user is None
    assert Lead.objects.get().email == "Ada@example.com"


def test_who_may_see_personal_data_sees_it(viewer: User) -> None:
    viewer.user_permissions.add(Permission.objects.get(codename="view_personal_data"))
    for lead in leads_of(viewer):
        assert (lead.email, lead.first_name, lead.user) == ("Ada@example.com", "Ada", viewer)


@pytest.mark.parametrize(
    ("value", "shown"),
    [("ada@example.com", "a•••@e•••"), ("Ada", "•••"), (5, "•••"), ("", ""), (None, None), ({}, {}),
     ({"city": "Oslo", "none": None}, {"city": "•••", "none": None}), (["a", "b"], ["•••"])],
)  # fmt: skip
def test_masked(value: Any, shown: Any) -> None:
    assert masked(value) == shown
