"""A site with a service that knows people by their address alone, and staff who may not see personal data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from mktg_integration.models import Connection, Contact, Purchase
from tests.admin.conftest import connection, staff, tasks, untried

__all__ = ["connection", "staff", "tasks", "untried"]

ADDRESS = "ada.byron@example.com"


@pytest.fixture(autouse=True)
def fresh_throttles() -> None:
    cache.clear()


def viewer_of(*codenames: str, sees: bool = False, username: str = "") -> User:
    """Staff who may view every table of ours, without personal data unless ``sees``, and do ``codenames``."""
    user = User.objects.create_user(username or f"viewer{User.objects.count()}", is_staff=True)
    views = Permission.objects.filter(content_type__app_label="mktg_integration", codename__startswith="view_")
    user.user_permissions.set(views if sees else views.exclude(codename="view_personal_data"))
    user.user_permissions.add(*Permission.objects.filter(codename__in=codenames))
    return user


Browser = Callable[..., Client]


@pytest.fixture
def viewer(db: None) -> Browser:
    """``viewer("sync_people")``: the browser of staff who look, do this, and see no personal data."""

    def make(*codenames: str, sees: bool = False) -> Client:
        client = Client()
        client.force_login(viewer_of(*codenames, sees=sees))
        return client

    return make


@pytest.fixture
def nameless(db: None, tasks: Any) -> Connection:
    """A connection whose service has no ids of its own for people."""
    credentials: Any = {"APP_ID": "1", "API_KEY": "k"}
    return Connection.objects.create(name="loop", provider="convertloop", credentials=credentials)


@pytest.fixture
def ada(nameless: Connection) -> Contact:
    """Known there by her address alone, and nobody of this site."""
    return Contact.objects.create(
        key=f"{nameless.pk}:{ADDRESS}", connection=nameless, remote_id=ADDRESS, email=ADDRESS, email_key=ADDRESS,
        status="active", first_name="Ada", seen_at=timezone.now(), raw={"email": ADDRESS},
    )  # fmt: skip


@pytest.fixture
def purchase(ada: Contact) -> Purchase:
    return Purchase.objects.create(
        key=f"{ada.connection_id}:p1", connection=ada.connection, remote_id="p1", transaction_id="t1", email=ADDRESS,
        email_key=ADDRESS, seen_at=timezone.now(),
    )  # fmt: skip
