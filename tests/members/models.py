"""A user model unlike Django's: a UUID for its key, and an address under another name."""

from __future__ import annotations

import uuid
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class MemberManager(BaseUserManager["Member"]):
    def create_user(self, handle: str, email: str = "", password: str | None = None, **extra: Any) -> Member:
        member = self.model(handle=handle, contact_address=email, **extra)
        member.set_password(password)
        member.save(using=self._db)
        return member

    def create_superuser(self, handle: str, email: str = "", password: str | None = None, **extra: Any) -> Member:
        return self.create_user(handle, email, password, is_staff=True, is_superuser=True, **extra)


class Member(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    handle = models.CharField(max_length=64, unique=True)
    contact_address = models.EmailField(blank=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "handle"
    EMAIL_FIELD = "contact_address"

    objects = MemberManager()

    def __str__(self) -> str:
        return self.handle
