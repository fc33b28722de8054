"""A mapping as a site writes one."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet

from mktg_integration.profile import UNKNOWN, Consent, Profile


def newsletter(user: Any, connection: Any) -> Profile | None:
    email = getattr(user, user.get_email_field_name(), "")
    if not email:
        return None
    preference = getattr(user, "preference", None)
    return Profile(
        email=email,
        first_name=getattr(user, "first_name", ""),
        last_name=getattr(user, "last_name", ""),
        fields={"plan": preference.plan} if preference is not None else {},
        tags={group.name for group in user.groups.all()},
        consent=_consent(user, preference),
    )


def _prepare(users: QuerySet[Any]) -> QuerySet[Any]:
    return users.select_related("preference").prefetch_related("groups")


newsletter.prepare = _prepare  # type: ignore[attr-defined]
newsletter.fields = frozenset({"plan"})  # type: ignore[attr-defined]


def _consent(user: Any, preference: Any) -> Consent:
    if preference is None or preference.newsletter is None:
        return UNKNOWN
    make = Consent.granted if preference.newsletter else Consent.refused
    return make(who=f"user:{user.pk}", when=preference.asked_at, how="signup form")
