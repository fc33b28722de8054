"""Checks of the apps by which accounts are connected. No message shows a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage

from mktg_integration.checks.messages import did_you_mean, error, given, key, warning
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.providers.oauth import OAuthEndpoints
from mktg_integration.providers.registry import get_provider, provider_names

KEYS = ("CLIENT_ID", "CLIENT_SECRET", "AUTHORIZE_URL", "BASE_URL")


def check_oauth(**_: Any) -> list[CheckMessage]:
    values = given()
    apps = values.get("OAUTH", {}) if values is not None else {}
    if values is None or not isinstance(apps, Mapping):
        return []  # reported with the types
    messages = [message for name, app in apps.items() for message in _app(name, app)]
    if apps and not values.get("PUBLIC_URL"):
        messages.append(
            warning(
                6,
                f"{key('OAUTH')} is set and {key('PUBLIC_URL')} is not: a copy of the database on another host would "
                "spend this site's refresh tokens.",
                f"Set {key('PUBLIC_URL')} to this site's address, such as 'https://example.com'.",
            )
        )
    return messages


def _app(name: Any, app: Any) -> Iterator[CheckMessage]:
    where = f'{key("OAUTH")}["{name}"]'
    endpoints = _endpoints(str(name))
    if endpoints is None:
        able = ", ".join(repr(provider) for provider in provider_names() if _endpoints(provider) is not None)
        yield error(40, f"{where}: no such provider, or none that is connected by OAuth.", f"Use one of: {able}.")
        return
    if not isinstance(app, Mapping):
        yield error(41, f"{where} is not a dict.", f'Set {where} = {{"CLIENT_ID": …, "CLIENT_SECRET": …}}.')
        return
    known = (*KEYS, *endpoints.extra_names)
    for option in app:
        if option not in known:
            yield error(42, f"{where} has an unknown key {option!r}.", did_you_mean(option, known))
    if not app.get("CLIENT_ID"):
        yield error(43, f"{where} has no CLIENT_ID.", "Enter the client id of your app at the service.")
    for option in ("AUTHORIZE_URL", "BASE_URL"):
        parts = urlsplit(str(app.get(option) or "https://set.by.default"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield error(
                44, f'{where}["{option}"] is no address.', "Set it to an address such as 'https://api.kit.com'."
            )


def _endpoints(provider: str) -> OAuthEndpoints | None:
    try:
        return get_provider(provider).oauth
    except ConfigurationError:
        return None
