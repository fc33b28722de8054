"""A site with an app at the sandbox's Kit, and a browser that goes there and back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse

from mktg_integration.connections import sync_declared
from mktg_integration.models import Connection
from mktg_integration.sandbox import credentials
from mktg_integration.sandbox.server import Sandbox

INSTALL = reverse("mktg_integration:oauth-install", kwargs={"provider": "kit"})
CALLBACK = reverse("mktg_integration:oauth-callback", kwargs={"provider": "kit"})
START = reverse("mktg_integration:api-oauth-start", kwargs={"provider": "kit"})
PUBLIC_URL = "http://testserver"


def note_nothing(path: str, ids: tuple[int | str, ...], delay: float) -> None:
    """A task engine that runs nothing."""


def app_of(sandbox: Sandbox) -> dict[str, str]:
    """The site's app at the sandbox, as the setting ``OAUTH`` has it."""
    return {
        "CLIENT_ID": credentials.KIT_CLIENT_ID,
        "CLIENT_SECRET": credentials.KIT_CLIENT_SECRET,
        "BASE_URL": sandbox.kit_url,
        "AUTHORIZE_URL": f"{sandbox.kit_url}/oauth/authorize",
    }


@pytest.fixture
def kit(mktg_sandbox: Sandbox, marketing: Callable[..., None]) -> Sandbox:
    """The sandbox, whose Kit consents without asking, and where this site has an app."""
    with mktg_sandbox.locked("kit") as service:
        service.settings.auto_consent = True  # type: ignore[attr-defined]
    marketing(OAUTH={"kit": app_of(mktg_sandbox)}, PUBLIC_URL=PUBLIC_URL, TASK_ENGINE=f"{__name__}.note_nothing")
    return mktg_sandbox


def set_kit(sandbox: Sandbox, **settings: Any) -> None:
    """Change switches of the sandbox's Kit: ``set_kit(kit, token_lifetime=1)``."""
    with sandbox.locked("kit") as service:
        for name, value in settings.items():
            setattr(service.settings, name, value)  # type: ignore[attr-defined]


def set_account(sandbox: Sandbox, number: int) -> None:
    """Whoever consents from now on is signed in at another account."""
    with sandbox.locked("kit") as service:
        service._kit.world.account.id = number  # type: ignore[attr-defined]


@dataclass
class Browser:
    """Somebody's browser: Django's test client at the site, real HTTP at the service."""

    client: Client

    def start(self, **query: str) -> str:
        """Where the site sends it to."""
        page = self.client.get(INSTALL, query)
        assert page.status_code == 302, page.content
        return str(page.headers["Location"])

    def consent(self, authorize_url: str) -> dict[str, str]:
        """What the service has it bring back."""
        answer = requests.get(authorize_url, allow_redirects=False, timeout=10)
        assert answer.status_code == 302, answer.text
        location = urlsplit(answer.headers["Location"])
        assert location.path == CALLBACK
        return {name: values[0] for name, values in parse_qs(location.query).items()}

    def come_back(self, brought: dict[str, str]) -> Any:
        return self.client.get(CALLBACK, brought)

    def connect(self, **query: str) -> Any:
        """The whole way; the last answer of the site."""
        return self.come_back(self.consent(self.start(**query)))


@pytest.fixture
def browser(db: None, kit: Sandbox) -> Browser:
    """A superuser's."""
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return Browser(client)


@pytest.fixture
def connected(browser: Browser) -> Connection:
    """A connection made by OAuth."""
    assert browser.connect().status_code == 302
    return Connection.objects.select_related("state", "oauth").get()


def declare(marketing: Callable[..., None], sandbox: Sandbox, **given: str) -> Connection:
    """A connection ``kit`` in settings with these credentials."""
    marketing(
        CONNECTIONS={"kit": {"PROVIDER": "kit", "BASE_URL": sandbox.kit_url, **given}},
        OAUTH={"kit": app_of(sandbox)},
        PUBLIC_URL=PUBLIC_URL,
        TASK_ENGINE=f"{__name__}.note_nothing",
    )
    sync_declared()
    return Connection.objects.select_related("state").get(name="kit")


def asked(sandbox: Sandbox, operation: str) -> int:
    """How often the sandbox's Kit was asked this, such as ``POST /oauth/token``."""
    return sum(entry.operation == operation for entry in sandbox.log.entries("kit"))
