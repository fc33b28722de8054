"""A user model that has no address at all."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import AbstractBaseUser, BaseUserManager, PermissionsMixin
from django.db import models


class AccountManager(BaseUserManager["Account"]):
    def create_user(self, number: str, password: str | None = None, **extra: Any) -> Account:
        account = self.model(number=number, **extra)
        account.set_password(password)
        account.save(using=self._db)
        return account

    def create_superuser(self, number: str, password: str | None = None, **extra: Any) -> Account:
        return self.create_user(number, password, is_staff=True, is_superuser=True, **extra)


class Account(AbstractBaseUser, PermissionsMixin):
    number = models.CharField(max_length=32, unique=True)
    is_staff = models.BooleanField(default=False)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "number"

    objects = AccountManager()

    def __str__(self) -> str:
        return self.number
