"""What a site keeps beside its user model: something that the mapping reads and the site watches."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Preference(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="preference")
    newsletter = models.BooleanField(null=True)
    """None: the person was never asked."""
    asked_at = models.DateTimeField(null=True)
    plan = models.CharField(max_length=32, blank=True)
    address_verified = models.BooleanField(default=False)

    def __str__(self) -> str:
        return f"preference of user {self.user_id}"


def user_of(preference: Preference) -> object:
    """For ``WATCH``."""
    return preference.user


def address_is_verified(user: object) -> bool:
    """For ``EMAIL_VERIFIED``."""
    preference = getattr(user, "preference", None)
    return preference is not None and preference.address_verified
