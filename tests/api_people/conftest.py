"""A site whose people have topics to choose, and clients of all kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from mktg_integration.insight import ids
from mktg_integration.mirror.keys import remote_key
from mktg_integration.models import Connection, Contact
from tests.admin.conftest import tasks
from tests.push.conftest import Connect, connect, sign_up

__all__ = ["connect", "sign_up", "tasks"]

TOPICS = {"news": {"TAG": "Newsletter", "LABEL": "News, once a month"}, "offers": {"TAG": "Offers", "LABEL": "Offers"}}
PUBLIC_URL = "https://example.org"


@pytest.fixture(autouse=True)
def fresh_throttles() -> None:
    cache.clear()


@pytest.fixture
def site(connect: Connect) -> Callable[..., Any]:
    """``site("kit")`` is a site with these connections that offers topics."""

    def make(*names: str, **keys: Any) -> Any:
        given = {"TOPICS": TOPICS, "PUBLIC_URL": PUBLIC_URL, **keys}
        return connect(*names, **given)

    return make


Staff = Callable[..., APIClient]


@pytest.fixture
def staff(db: None) -> Staff:
    """``staff(SYNC, "mktg_integration.view_contact")``: a client of somebody of the staff with these permissions."""

    def make(*permissions: str, is_staff: bool = True) -> APIClient:
        user = get_user_model().objects.create(
            username=f"staff{get_user_model().objects.count()}", email="", is_staff=is_staff
        )
        codenames = [one.partition(".")[2] for one in permissions]
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = APIClient()
        client.force_authenticate(user)
        return client

    return make


def told(model: type[Any], connection: Connection, remote_id: str = "1", **values: Any) -> Any:
    """A row as a service told it."""
    common = {"connection": connection, "remote_id": remote_id, "digest": "", "seen_at": timezone.now()}
    return model.objects.create(key=remote_key(connection.pk, remote_id), **{**common, **values})


def contact_of(connection: Connection, remote_id: str = "1", **values: Any) -> Contact:
    email = values.pop("email", f"person{remote_id}@example.com")
    given = {"email": email, "email_key": email.casefold(), "status": "active", "first_name": "Ada", **values}
    row: Contact = told(Contact, connection, remote_id, **given)
    return row


API = "/marketing/api/v1/"


def path_of(row: Any, *rest: str) -> str:
    return "/".join([f"{API}contacts", ids.shown(row.pk), *rest, ""])
