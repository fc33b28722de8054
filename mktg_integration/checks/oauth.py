"""Checks of the apps by which accounts are connected. No message shows a secret."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage
from django.utils.translation import gettext

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
                gettext(
                    "{OAUTH} is set and {PUBLIC_URL} is not: a copy of the database on another host would spend "
                    "this site's refresh tokens."
                ).format(OAUTH=key("OAUTH"), PUBLIC_URL=key("PUBLIC_URL")),
                gettext("Set {PUBLIC_URL} to this site's address, such as 'https://example.com'.").format(
                    PUBLIC_URL=key("PUBLIC_URL")
                ),
            )
        )
    return messages


def _app(name: Any, app: Any) -> Iterator[CheckMessage]:
    where = f'{key("OAUTH")}["{name}"]'
    endpoints = _endpoints(str(name))
    if endpoints is None:
        able = ", ".join(repr(provider) for provider in provider_names() if _endpoints(provider) is not None)
        yield error(
            40,
            gettext("{where}: no such provider, or none that is connected by OAuth.").format(where=where),
            gettext("Use one of: {able}.").format(able=able),
        )
        return
    if not isinstance(app, Mapping):
        yield error(
            41,
            gettext("{where} is not a dict.").format(where=where),
            gettext('Set {where} = {{"CLIENT_ID": …, "CLIENT_SECRET": …}}.').format(where=where),
        )
        return
    known = (*KEYS, *endpoints.extra_names)
    for option in app:
        if option not in known:
            yield error(
                42,
                gettext("{where} has an unknown key {option!r}.").format(where=where, option=option),
                did_you_mean(option, known),
            )
    if not app.get("CLIENT_ID"):
        yield error(
            43,
            gettext("{where} has no CLIENT_ID.").format(where=where),
            gettext("Enter the client id of your app at the service."),
        )
    for option in ("AUTHORIZE_URL", "BASE_URL"):
        parts = urlsplit(str(app.get(option) or "https://set.by.default"))
        if parts.scheme not in ("http", "https") or not parts.hostname:
            yield error(
                44,
                gettext('{where}["{option}"] is no address.').format(where=where, option=option),
                gettext("Set it to an address such as 'https://api.kit.com'."),
            )


def _endpoints(provider: str) -> OAuthEndpoints | None:
    try:
        return get_provider(provider).oauth
    except ConfigurationError:
        return None
