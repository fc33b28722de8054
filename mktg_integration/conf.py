"""The setting ``MKTG_INTEGRATION``: one dict, read when asked for, read anew when tests or the site change it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from django.conf import settings as django_settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string
from rest_framework.settings import api_settings

from mktg_integration.exceptions import ConfigurationError

NAME = "MKTG_INTEGRATION"

DEFAULTS: dict[str, Any] = {
    "CONNECTIONS": {},
    # Mapping of the connections that name none.
    "PROFILE": "mktg_integration.profile.default_mapping",
    "ENCRYPTION_KEYS": (),
    "HASH_KEY": "",
    # {provider: {"CLIENT_ID": …, "CLIENT_SECRET": …}}: the site's app at each service that is connected by OAuth.
    "OAUTH": {},
    # This site's own address as the services reach it, for callbacks and webhooks.
    "PUBLIC_URL": "",
    "UNKNOWN_CONSENT": "inactive",
    "UNSUBSCRIBE_SCOPE": "everywhere",
    "ON_USER_DELETE": "unsubscribe",
    # {"app.Model": "path.to.user"}: a save of the model marks that user.
    "WATCH": {},
    # Dotted path of (user) -> bool: has this user shown that the address is theirs?
    "EMAIL_VERIFIED": "",
    # Dotted path of (request) -> bool: has this visitor agreed to be tracked and remembered?
    "VISITOR_CONSENT": "",
    "TASK_ENGINE": "django-q2",
    # Pushing as a whole can be switched off (tests, staging); marks are still made.
    "PUSH": True,
    # Seconds.
    "WAKE_SECONDS": 0.5,
    "LINGER_SECONDS": 1.5,
    "DRAIN_SECONDS": 45.0,
    "LEASE_SECONDS": 90.0,
    "CALL_SECONDS": 30.0,
    "CONNECT_SECONDS": 5.0,
    "RETRY_AFTER_SECONDS_MAX": 3600.0,
    "BACKOFF_SECONDS": 15.0,
    "BACKOFF_SECONDS_MAX": 3600.0,
    "LIST_LAG_SECONDS": 300.0,
    # So often a pull reads a list as a whole, and who is in which tag, form and sequence: that somebody or something is
    # gone is seen by such readings alone.
    "PULL_FULL_DAYS": 1.0,
    "PULL_MEMBERS_FULL_DAYS": 7.0,
    # This share of the service's documented rate a pull leaves to the push; the second one while that has work.
    "PULL_RESERVE": 0.05,
    "PULL_RESERVE_WHILE_DUE": 0.5,
    "CLAIM_SIZE": 1000,
    "POOL_SIZE": 8,
    "IDENTICAL_REJECTIONS": 20,
    # How long the people of a large request wait for the service's callback before they are looked up.
    "BULK_CALLBACK_SECONDS": 1800.0,
    # At once more unsubscribes and erasures than this share of the connection's people wait for a person.
    "MASS_SHARE": 0.05,
    "MASS_MINIMUM": 50,
    "RUNS_KEPT_DAYS": 90.0,
    # An access token is replaced so long before its end.
    "REFRESH_SECONDS": 600.0,
    # Bytes.
    "INBOUND_BYTES": 4 * 1024 * 1024,
    # A signed delivery may be so much older or newer than this site's clock.
    "SIGNATURE_SECONDS": 300.0,
    "INBOX_KEPT_DAYS": 14.0,
    "ATTEMPTS_KEPT_DAYS": 30.0,
    "AUDIT_KEPT_DAYS": 730.0,
    # Without a sign of life for so long, no worker is taken to be running.
    "HEARTBEAT_SECONDS": 180.0,
    # What people may choose themselves: {"news": {"TAG": "Newsletter", "LABEL": "News, once a month"}}.
    "TOPICS": {},
    # How long a preference link in a mail works.
    "PREFERENCE_LINK_DAYS": 365.0,
    # Of the DRF API: {"AUTHENTICATION_CLASSES": [paths], "THROTTLE_RATES": {scope: rate}, …}; else the site's own.
    "API": {},
}

CHOICES: dict[str, tuple[str, ...]] = {
    "UNKNOWN_CONSENT": ("inactive", "skip", "granted"),
    "UNSUBSCRIBE_SCOPE": ("everywhere", "connection"),
    "ON_USER_DELETE": ("unsubscribe", "forget", "keep"),
}

API_RATES: dict[str, str | None] = {
    "mktg-read": "600/min",
    "mktg-write": "120/min",
    # What calls a service while the caller waits.
    "mktg-call": "20/min",
    "mktg-status": "120/min",
    # People about themselves: signed in, and by a preference link.
    "mktg-person": "60/min",
    "mktg-link": "30/min",
}
"""By scope; ``API["THROTTLE_RATES"]`` replaces them."""

SHARES = frozenset({"MASS_SHARE", "PULL_RESERVE", "PULL_RESERVE_WHILE_DUE"})
"""Settings from 0 to 1."""


class Settings:
    """Attribute access to the dict, with defaults. Unknown attributes raise ``AttributeError``."""

    CONNECTIONS: Mapping[str, Mapping[str, Any]]
    PROFILE: str
    OAUTH: Mapping[str, Mapping[str, Any]]
    ENCRYPTION_KEYS: tuple[str, ...]
    HASH_KEY: str
    PUBLIC_URL: str
    UNKNOWN_CONSENT: str
    UNSUBSCRIBE_SCOPE: str
    ON_USER_DELETE: str
    WATCH: Mapping[str, str]
    EMAIL_VERIFIED: str
    VISITOR_CONSENT: str
    TASK_ENGINE: str
    PUSH: bool
    WAKE_SECONDS: float
    LINGER_SECONDS: float
    DRAIN_SECONDS: float
    LEASE_SECONDS: float
    CALL_SECONDS: float
    CONNECT_SECONDS: float
    RETRY_AFTER_SECONDS_MAX: float
    BACKOFF_SECONDS: float
    BACKOFF_SECONDS_MAX: float
    LIST_LAG_SECONDS: float
    PULL_FULL_DAYS: float
    PULL_MEMBERS_FULL_DAYS: float
    PULL_RESERVE: float
    PULL_RESERVE_WHILE_DUE: float
    CLAIM_SIZE: int
    POOL_SIZE: int
    IDENTICAL_REJECTIONS: int
    BULK_CALLBACK_SECONDS: float
    MASS_SHARE: float
    MASS_MINIMUM: int
    RUNS_KEPT_DAYS: float
    REFRESH_SECONDS: float
    INBOUND_BYTES: int
    SIGNATURE_SECONDS: float
    INBOX_KEPT_DAYS: float
    ATTEMPTS_KEPT_DAYS: float
    AUDIT_KEPT_DAYS: float
    HEARTBEAT_SECONDS: float
    TOPICS: Mapping[str, Mapping[str, str]]
    PREFERENCE_LINK_DAYS: float
    API: Mapping[str, Any]

    # Without this guard a type checker would take any name for a setting.
    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name not in DEFAULTS:
                raise AttributeError(f"{NAME} has no setting {name!r}")
            value = self.given().get(name, DEFAULTS[name])
            self.__dict__[name] = value
            return value

    def given(self) -> Mapping[str, Any]:
        """What the site wrote. Raises ``ConfigurationError`` where it is no dict."""
        given = getattr(django_settings, NAME, {})
        if not isinstance(given, Mapping):
            raise ConfigurationError(f"{NAME} must be a dict")
        return given

    def hash_key(self) -> bytes:
        """The key of ``encryption.address_hash``, set apart from other uses of ``SECRET_KEY``."""
        key = self.HASH_KEY or django_settings.SECRET_KEY
        return hashlib.sha256(b"mktg_integration.address_hash" + key.encode()).digest()

    def import_path(self, path: str, where: str) -> Any:
        """What ``path`` names. Raises ``ConfigurationError`` naming ``where`` it was set."""
        try:
            return import_string(path)
        except ImportError as error:
            raise ConfigurationError(f"{where}: {path!r} cannot be imported ({error}); give a dotted path") from None

    def reload(self) -> None:
        self.__dict__.clear()


settings = Settings()


def api_rate(scope: str) -> str | None:
    """How often this scope may be called: by ``API["THROTTLE_RATES"]``, the site's ``DEFAULT_THROTTLE_RATES`` of
    Django REST framework, else ``API_RATES``. None: as often as one likes."""
    for rates in (settings.API.get("THROTTLE_RATES", {}), api_settings.DEFAULT_THROTTLE_RATES, API_RATES):
        if scope in rates:
            return cast("str | None", rates[scope])
    return None


def _reload(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        settings.reload()


setting_changed.connect(_reload, dispatch_uid="mktg_integration.conf")
