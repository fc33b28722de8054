"""The site's own tables in the admin."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import User

from example_project.accounts.models import Company, Interest, Member, Topic
from mktg_integration.admin.users import MarketingUserAdminMixin


class InterestInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Interest
    extra = 0


@admin.register(Member)
class MemberAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["user", "city", "plan", "company", "newsletter"]
    list_filter = ["newsletter", "plan"]
    list_select_related = ["user", "company"]
    raw_id_fields = ["user"]
    search_fields = ["user__email"]
    inlines = [InterestInline]


admin.site.register(Topic)
admin.site.register(Company)


admin.site.unregister(User)


@admin.register(User)
class SiteUserAdmin(MarketingUserAdminMixin, UserAdmin):  # type: ignore[type-arg]
    """Django's own list of users, with what staff do of them at the marketing services."""
