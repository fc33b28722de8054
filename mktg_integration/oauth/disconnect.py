"""Giving an account up: its tokens are revoked at the service and wiped here."""

from __future__ import annotations

import logging
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration.exceptions import ConfigurationError, CopyError, MktgError
from mktg_integration.mirror.wipe import wipe
from mktg_integration.models import Connection, OAuthToken
from mktg_integration.models.connections import oauth_origin
from mktg_integration.providers.base import Provider
from mktg_integration.tokens import app_client

logger = logging.getLogger("mktg_integration.oauth")


def disconnect(connection: Connection, *, delete_mirror: bool = False) -> bool:
    """Revoke and wipe the connection's tokens, and send nothing over it any more. Whether the service took it.

    Stored credentials go as well; those in settings are the site's to remove. The outbox keeps what it has. With
    ``delete_mirror`` what the service told is deleted too. Where the service does not answer the tokens are wiped
    all the same and run out by themselves. Raises ``CopyError`` on a copy of the database.
    """
    if not connection.is_of_this_site():
        raise CopyError(
            gettext("{name} is bound to {bound_url}: revoking its tokens here would cut that site off").format(
                name=connection.name, bound_url=connection.bound_url
            )
        )
    driver = connection.driver
    revoked = _revoked(connection, driver)
    now = timezone.now()
    connection.push_enabled = False
    connection.credentials = {}
    connection.save(update_fields=["push_enabled", "credentials"])
    if driver.oauth is not None:
        # The first pair in settings is spent, and must not be taken for a new one.
        wiped: dict[str, Any] = {
            "pair": {},
            "version": 0,
            "origin": oauth_origin(driver.oauth, connection.given_credentials()),
            "issued_at": None,
            "expires_at": None,
            "asked_at": None,
            "refused_at": None,
            "disconnected_at": now,
        }
        OAuthToken.objects.update_or_create(connection=connection, defaults=wiped)
    if delete_mirror:
        wipe(connection)
    logger.info("%s was disconnected", connection.name)
    return revoked


def _revoked(connection: Connection, driver: Provider[Any, Any]) -> bool:
    if driver.oauth is None:
        return True
    account = connection.account()
    tokens = [account.credentials.get(name, "") for name in (driver.oauth.refresh_token, driver.oauth.access_token)]
    if not any(tokens):
        return True
    try:
        app = app_client(driver, base_url=account.base_url, credentials=account.credentials)
    except ConfigurationError as error:
        logger.warning("%s: its tokens could not be revoked: %s", connection.name, error)
        return False
    revoked = True
    for token in filter(None, tokens):
        try:
            app.revoke(token)
        except MktgError as error:
            revoked = False
            logger.warning("%s: a token could not be revoked: %s", connection.name, error)
    app.close()
    return revoked
