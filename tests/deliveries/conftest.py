"""A site with the sandbox's services, staff, and rows that could not be sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from mktg_integration.models import Connection, DeadKind, DeadRow, Kind, Lane, OutboxRow
from tests.admin.conftest import connection, staff, tasks
from tests.push.conftest import connect, sign_up

__all__ = ["connect", "connection", "sign_up", "staff", "tasks"]


@pytest.fixture
def add_dead(db: None) -> Callable[..., DeadRow]:
    """``add_dead(connection, 1, code="invalid_email")`` writes a dead row of user 1."""

    def add(
        connection: Connection,
        number: int,
        state: DeadKind = DeadKind.REJECTED,
        *,
        code: str = "invalid_email",
        kind: Kind = Kind.PROFILE,
        **values: Any,
    ) -> DeadRow:
        subject = f"user:{number}"
        return DeadRow.objects.create(
            key=f"{connection.pk}:{kind.value}:{subject}",
            connection=connection,
            kind=kind,
            subject=subject,
            marked_at=timezone.now(),
            died_at=timezone.now(),
            state=state,
            code=code,
            reason="a reason",
            **values,
        )

    return add


@pytest.fixture
def add_row(db: None) -> Callable[..., OutboxRow]:
    """``add_row(connection, 1)`` writes a row of user 1 that is due."""

    def add(connection: Connection, number: int, *, kind: Kind = Kind.PROFILE, **values: Any) -> OutboxRow:
        subject, now = f"user:{number}", timezone.now()
        key = f"{connection.pk}:{kind.value}:{subject}" + ("" if kind == Kind.PROFILE else f":once{number}")
        given = {"lane": Lane.LIVE, "marked_at": now, "due_at": now, "version": number, **values}
        return OutboxRow.objects.create(key=key, connection=connection, kind=kind, subject=subject, **given)

    return add


@pytest.fixture
def staff_with(db: None, tasks: Any) -> Callable[..., Client]:
    """``staff_with("view_deadrow", "replay_rows")``: a browser of staff with just these permissions."""

    def login(*codenames: str) -> Client:
        user = User.objects.create_user(f"staff{User.objects.count()}", is_staff=True)
        found = Permission.objects.filter(codename__in=codenames)
        assert found.count() == len(set(codenames))
        user.user_permissions.set(found)
        client = Client()
        client.force_login(user)
        return client

    return login
