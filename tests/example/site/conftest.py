"""A visitor's browser, and a member who is logged in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from example_project.accounts.models import Member, Topic

PASSWORD = "a long enough password"


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def sign_up(client: Client, db: None) -> Callable[..., Any]:
    """``sign_up(newsletter="on")`` sends the signup form, with these changes."""

    def send(**changes: Any) -> Any:
        form = {"email": "Jane@Example.com", "first_name": "Jane", "password1": PASSWORD, "password2": PASSWORD}
        return client.post("/signup/", {**form, **changes})

    return send


@pytest.fixture
def member(db: None) -> Member:
    user = User.objects.create_user("jane@example.com", "Jane@Example.com", PASSWORD, first_name="Jane")
    return Member.objects.create(user=user)


@pytest.fixture
def browser(member: Member) -> Client:
    """The member's browser, logged in."""
    client = Client()
    client.force_login(member.user)
    return client


@pytest.fixture
def topics(db: None) -> list[Topic]:
    return list(Topic.objects.order_by("name"))
