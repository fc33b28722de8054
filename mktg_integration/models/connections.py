"""Connections: one account at a provider each, and what is known of its health."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.models.fields import EncryptedJSONField
from mktg_integration.models.keys import KeyField
from mktg_integration.providers.base import Account, Provider
from mktg_integration.providers.oauth import OAuthEndpoints
from mktg_integration.providers.registry import get_provider

# Keys of a declared connection that belong to no provider.
ENGINE_KEYS = frozenset({"PROVIDER", "BASE_URL", "PROFILE", "UNKNOWN_CONSENT"})


class ConnectionSource(models.TextChoices):
    SETTINGS = "settings", _("declared in settings")
    STORED = "stored", _("stored")


class Connection(models.Model):
    """One account at a provider. Rarely written: what changes with every drain is in ``ConnectionState``."""

    name = models.CharField(
        _("name"), max_length=64, unique=True, validators=[RegexValidator(r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
    )
    provider = models.CharField(_("provider"), max_length=32)
    source = models.CharField(_("source"), max_length=16, choices=ConnectionSource, default=ConnectionSource.STORED)
    credentials = EncryptedJSONField(_("credentials"), blank=True, default=dict)
    stored_options = models.JSONField(_("options"), blank=True, default=dict)
    push_enabled = models.BooleanField(
        _("push enabled"), default=True, help_text=_("Whether changes of users are marked for this connection.")
    )
    paused = models.BooleanField(_("paused"), default=False, help_text=_("Marks are kept, nothing is sent."))
    dry_run = models.BooleanField(_("dry run"), default=False, help_text=_("Plans are made and shown, not sent."))
    bound_url = models.CharField(
        _("bound to"), max_length=255, blank=True, help_text=_("The public address of the site that may write.")
    )
    account_key = models.CharField(max_length=191, null=True, unique=True, editable=False)  # noqa: DJ001 (unique)
    """``<provider>:<account id there>`` once it is known, so that one account is one connection."""
    account_label = models.CharField(_("account"), max_length=255, blank=True, editable=False)
    undeclared = models.BooleanField(default=False, editable=False)
    """Settings no longer declare it, which is why its pushing was switched off."""
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("connection")
        verbose_name_plural = _("connections")
        ordering = ["name"]
        permissions = [
            ("view_personal_data", _("Can see personal data")),
            ("sync_people", _("Can start runs and have people sent")),
            ("connect_accounts", _("Can connect and disconnect accounts")),
            ("replay_rows", _("Can replay and discard what was rejected")),
            ("erase_people", _("Can have people forgotten")),
        ]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Every connection has a state from the start."""
        is_new = self._state.adding
        super().save(*args, **kwargs)
        if is_new:
            ConnectionState.objects.using(self._state.db).get_or_create(connection=self)

    @property
    def declared(self) -> Mapping[str, Any]:
        """What settings say of this connection; empty for a stored one."""
        if self.source != ConnectionSource.SETTINGS:
            return {}
        return settings.CONNECTIONS.get(self.name, {})

    @property
    def driver(self) -> Provider[Any, Any]:
        """The provider that speaks to this account. Raises ``ConfigurationError`` where it is not installed."""
        return get_provider(self.provider)

    def account(self) -> Account:
        """What the provider needs of this connection, the credentials in clear. Raises ``ConfigurationError``."""
        driver = self.driver
        given = dict(self.declared) if self.source == ConnectionSource.SETTINGS else dict(self.stored_options)
        if self.source == ConnectionSource.SETTINGS and not given:
            raise ConfigurationError(
                f'MKTG_INTEGRATION["CONNECTIONS"] no longer has {self.name!r}: put it back, or delete the connection'
            )
        return Account(
            name=self.name,
            base_url=str(given.get("BASE_URL") or driver.default_base_url).rstrip("/"),
            credentials=self.with_tokens(self.given_credentials(), driver.oauth),
            options={key: value for key, value in given.items() if key in driver.option_names},
        )

    def given_credentials(self) -> dict[str, str]:
        """What settings, or the people who made it, gave; tokens may have been replaced since (see ``account``)."""
        given = self.declared if self.source == ConnectionSource.SETTINGS else self.credentials
        # A key that was read from a file ends in a line break.
        named = {name: str(given.get(name) or "").strip() for name in self.driver.credential_names}
        return {name: value for name, value in named.items() if value}

    def with_tokens(self, given: dict[str, str], endpoints: OAuthEndpoints | None) -> dict[str, str]:
        """The tokens of OAuth take the place of those given, until others than they began with are given."""
        token = getattr(self, "oauth", None) if endpoints is not None and self.pk is not None else None
        if endpoints is None or token is None or token.origin != oauth_origin(endpoints, given):
            return given
        given.pop(endpoints.access_token, None)
        given.pop(endpoints.refresh_token, None)
        pair = {
            endpoints.access_token: token.pair.get("access_token", ""),
            endpoints.refresh_token: token.pair.get("refresh_token", ""),
        }
        return given | {name: value for name, value in pair.items() if value}

    def is_of_this_site(self) -> bool:
        """Whether the site at this ``PUBLIC_URL`` may act for the connection: the rule for copies of a database.

        The first use binds it. A site without ``PUBLIC_URL`` is not told from its copies, and always may.
        """
        here = site_address()
        if not here:
            return True
        if not self.bound_url:
            type(self)._default_manager.filter(pk=self.pk, bound_url="").update(bound_url=here)
            self.refresh_from_db(fields=["bound_url"])
        return self.bound_url == here

    def option(self, name: str) -> Any:
        """An engine's option (``PROFILE``, ``UNKNOWN_CONSENT``) of this connection, else the site's setting."""
        given = self.declared if self.source == ConnectionSource.SETTINGS else self.stored_options
        return given.get(name) or getattr(settings, name)


def site_address() -> str:
    """``PUBLIC_URL`` as it is compared; empty where it is not set."""
    return settings.PUBLIC_URL.strip().rstrip("/").lower()


def oauth_origin(endpoints: OAuthEndpoints, given: Mapping[str, str]) -> str:
    """A keyed hash of the first token pair as it was given; empty where none was."""
    pair = [given.get(endpoints.access_token, ""), given.get(endpoints.refresh_token, "")]
    if not any(pair):
        return ""
    return hmac.new(settings.hash_key(), b"oauth\0" + "\0".join(pair).encode(), hashlib.sha256).hexdigest()


class WaitReason(models.TextChoices):
    """Why a connection sends nothing for now. The rows keep their attempts."""

    NONE = "", _("not waiting")
    RECONNECT = "reconnect", _("reconnect needed")
    FORBIDDEN = "forbidden", _("the account may not do this")
    RATE = "rate", _("rate limit")
    OUTAGE = "outage", _("service does not answer")
    REJECTIONS = "rejections", _("many identical rejections")
    CONFIGURATION = "configuration", _("configuration")
    COPY = "copy", _("another site's copy of the database")


class ConnectionState(models.Model):
    """What changes as a connection works: the drainer's lease, the wait, health. Kept apart so that a drain never
    locks the row that users' saves read."""

    connection = models.OneToOneField(
        Connection, on_delete=models.CASCADE, primary_key=True, related_name="state", db_constraint=False
    )
    woken_at = models.DateTimeField(null=True, editable=False)
    lease_token = models.CharField(max_length=32, blank=True, editable=False)
    lease_until = models.DateTimeField(null=True, editable=False)
    wait_until = models.DateTimeField(_("waits until"), null=True, editable=False)
    wait_reason = models.CharField(_("waits because"), max_length=16, choices=WaitReason, blank=True, editable=False)
    wait_detail = models.CharField(max_length=500, blank=True, editable=False)
    outages = models.PositiveIntegerField(default=0, editable=False)
    """Outages in a row, for the doubling of the wait."""
    last_success_at = models.DateTimeField(_("last success"), null=True, editable=False)
    last_failure_at = models.DateTimeField(_("last failure"), null=True, editable=False)
    introduced_at = models.DateTimeField(null=True, editable=False)
    """When contacts and tags had been read for the first time, before the first write."""
    introduction = models.JSONField(default=dict, editable=False)
    """The cursor of an unfinished first reading."""
    leavers = models.PositiveIntegerField(default=0, editable=False)
    leavers_since = models.DateTimeField(null=True, editable=False)
    leavers_confirmed_until = models.DateTimeField(null=True, editable=False)

    class Meta:
        verbose_name = _("connection state")
        verbose_name_plural = _("connection states")

    def __str__(self) -> str:
        return f"state of connection {self.connection_id}"


class RateSlot(models.Model):
    """The right to one request in the rolling window of one credential, shared by all processes of the site."""

    key = KeyField(max_length=80, primary_key=True)
    """``<bucket>:<number>``."""
    bucket = models.CharField(max_length=64)
    """A keyed hash of the credential, so that two connections with one credential share it."""
    free_at = models.DateTimeField()
    holder = models.CharField(max_length=32, blank=True, default="")
    """A random token of the taking; empty where nobody has it."""

    class Meta:
        verbose_name = _("rate slot")
        verbose_name_plural = _("rate slots")
        # Not free_at: what changes with every request would then cost every index an entry.
        indexes = [models.Index(fields=["bucket"], name="mktg_rate_bucket")]

    def __str__(self) -> str:
        return self.key
