"""A site with a connection to each of the sandbox's three services."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.utils import timezone

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.push.drain import DrainReport, drain
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox
from tests.testapp.models import Preference

MAPPING = "tests.testapp.mappings.newsletter"


def declared(sandbox: Sandbox, *names: str) -> dict[str, dict[str, Any]]:
    """Settings of the connections of these names."""
    known: dict[str, dict[str, Any]] = {
        "kit": {"PROVIDER": "kit", "BASE_URL": sandbox.kit_url, "ACCESS_TOKEN": credentials.KIT_ACCESS_TOKEN},
        "kit_by_key": {"PROVIDER": "kit", "BASE_URL": sandbox.kit_url, "API_KEY": credentials.KIT_API_KEY},
        "conversion": {
            "PROVIDER": "conversion",
            "BASE_URL": sandbox.conversion_url,
            "API_KEY": credentials.CONVERSION_API_KEY,
        },
        "convertloop": {
            "PROVIDER": "convertloop",
            "BASE_URL": sandbox.convertloop_url,
            "APP_ID": credentials.CONVERTLOOP_APP_ID,
            "API_KEY": credentials.CONVERTLOOP_API_KEY,
        },
    }
    return {name: known[name] for name in names}


def define_conversion_fields(sandbox: Sandbox) -> None:
    """Conversion refuses fields that the account does not define; this one defines what the mapping names."""
    world = sandbox.dump()
    world["conversion"]["contact_fields"].append({"key": "plan", "read_only": False})
    sandbox.load(world)


Connect = Callable[..., dict[str, Connection]]


@pytest.fixture
def connect(db: None, mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> Connect:
    """``connect("kit", "conversion")`` declares these connections; keywords change other settings."""

    def declare(*names: str, options: dict[str, Any] | None = None, **keys: Any) -> dict[str, Connection]:
        define_conversion_fields(mktg_sandbox)
        connections = declared(mktg_sandbox, *names)
        for given in connections.values():
            given.update(options or {})
        marketing(CONNECTIONS=connections, PROFILE=MAPPING, LINGER_SECONDS=0.0, WAKE_SECONDS=0.0, **keys)
        sync_declared()
        return {row.name: row for row in Connection.objects.select_related("state")}

    return declare


@pytest.fixture
def sign_up(db: None) -> Callable[..., Any]:
    """``sign_up("ada", newsletter=True, plan="gold", groups=["VIP"])`` makes a user as a signup form does."""

    def create(
        name: str, *, newsletter: bool | None = True, plan: str = "", groups: tuple[str, ...] = (), email: str = ""
    ) -> Any:
        user = get_user_model().objects.create(
            username=name, email=email or f"{name}@example.com", first_name=name.title()
        )
        Preference.objects.create(user=user, newsletter=newsletter, asked_at=timezone.now(), plan=plan)
        for group in groups:
            user.groups.add(Group.objects.get_or_create(name=group)[0])
        return user

    return create


def send(connection: Connection) -> DrainReport:
    """Drain in the foreground."""
    return drain(connection.pk, foreground=True)


def emails(sandbox: Sandbox, service: str) -> list[str]:
    return sorted(row["email"] for row in sandbox.people(service))


def person(sandbox: Sandbox, service: str, email: str) -> dict[str, Any]:
    return next(row for row in sandbox.people(service) if row["email"] == email)
