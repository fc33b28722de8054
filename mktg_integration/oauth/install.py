"""The two halves of connecting an account: where to send the browser, and what to do with what it brings back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.urls import reverse

from mktg_integration.audit import Actor, record
from mktg_integration.conf import settings
from mktg_integration.connections import account_key, bind, identify, open_client, public_address
from mktg_integration.exceptions import Action, MalformedAnswerError, MktgError, ServiceError
from mktg_integration.http import StaticToken, Unlimited
from mktg_integration.models import AuditAction, Connection, ConnectionSource, ConnectionState, OAuthToken
from mktg_integration.oauth import pending
from mktg_integration.oauth.permissions import may_add, may_connect
from mktg_integration.oauth.redirects import allowed_redirect
from mktg_integration.providers.base import Account, Identity, Provider
from mktg_integration.providers.oauth import (
    OAuthClient,
    OAuthEndpoints,
    TokenPair,
    is_refused_client,
    is_refused_grant,
    new_verifier,
)
from mktg_integration.providers.registry import get_provider
from mktg_integration.tokens import app_client, store

logger = logging.getLogger("mktg_integration.oauth")

MOST_UNKNOWN = 5
"""Connections whose account is not known yet that are looked at when another account is connected."""


class InstallError(MktgError):
    """The account was not connected. ``kind`` is one of ``oauth.pages.PAGES``; ``detail`` is for people."""

    def __init__(self, kind: str, detail: str = "") -> None:
        self.kind = kind
        self.detail = detail
        super().__init__(detail or kind)


@dataclass(frozen=True, slots=True)
class Installed:
    """An account that was connected. ``redirect`` is where the browser wants to go on, empty where it did not say."""

    connection: Connection
    created: bool
    redirect: str


def start(request: HttpRequest, provider: str, *, redirect: str = "", connection: str = "") -> str:
    """The authorize address to send the browser to. ``connection``: the name of the one to renew.

    Raises ``InstallError``, ``ConfigurationError`` where the app is not set.
    """
    driver, endpoints = _driver(provider)
    renewed = _to_renew(connection, driver)
    app = _app(driver, renewed)
    flow = pending.Pending(
        provider=driver.name,
        user=str(request.user.pk),
        verifier=new_verifier(),
        redirect_uri=public_address(
            reverse("mktg_integration:oauth-callback", kwargs={"provider": driver.name}), request
        ),
        redirect=allowed_redirect(redirect, endpoints, host=request.get_host(), is_secure=request.is_secure()),
        connection=renewed.pk if renewed is not None else 0,
    )
    return app.authorize_url(flow.redirect_uri, pending.remember(request.session, flow), verifier=flow.verifier)


def finish(request: HttpRequest, provider: str, query: Mapping[str, str]) -> Installed:
    """Exchange what the browser brought back, and make or renew the connection. Raises ``InstallError``."""
    driver, endpoints = _driver(provider)
    flow = _flow(request.session, query, driver.name, request.user)
    if query.get("error"):
        # RFC 6749 section 4.1.2.1.
        raise InstallError("denied" if query["error"] == "access_denied" else "refused")
    if not query.get("code"):
        raise InstallError("state")
    renewed = Connection.objects.filter(pk=flow.connection, provider=driver.name).first() if flow.connection else None
    if flow.connection and renewed is None:
        raise InstallError("gone")
    app = _app(driver, renewed)
    pair = _exchanged(app, query["code"], flow)
    try:
        identity = _identity(driver, renewed, pair)
        found = _found(driver, renewed, identity)
        _check_may_make(request.user, found)
        connection, created = _kept(driver, endpoints, found, identity, pair)
    except Exception:
        # Nothing half-made stays: not at the service either.
        _revoke(app, pair)
        raise
    finally:
        app.close()
    record(Actor(request.user, "oauth"), AuditAction.CONNECTED, connection=connection, created=created)
    logger.info("%s was connected by OAuth", connection.name)
    return Installed(connection, created, flow.redirect)


def _driver(provider: str) -> tuple[Provider[Any, Any], OAuthEndpoints]:
    try:
        driver = get_provider(provider)
    except MktgError:
        raise InstallError("unknown") from None
    if driver.oauth is None:
        raise InstallError("unknown")
    return driver, driver.oauth


def _to_renew(name: str, driver: Provider[Any, Any]) -> Connection | None:
    if not name:
        return None
    found = Connection.objects.filter(name=name, provider=driver.name).first()
    if found is None:
        raise InstallError("gone")
    return found


def _app(driver: Provider[Any, Any], renewed: Connection | None) -> OAuthClient:
    if renewed is None:
        return app_client(driver)
    account = renewed.account()
    return app_client(driver, base_url=account.base_url, credentials=account.credentials)


def _flow(session: SessionBase, query: Mapping[str, str], provider: str, user: Any) -> pending.Pending:
    flow = pending.recall(session, query.get("state", ""), provider)
    if flow is None or flow.user != str(user.pk):
        raise InstallError("state")
    if not may_connect(user):
        raise InstallError("forbidden")
    return flow


def _check_may_make(user: Any, found: Connection | None) -> None:
    if found is None and not may_add(user):
        raise InstallError("forbidden")


def _exchanged(app: OAuthClient, code: str, flow: pending.Pending) -> TokenPair:
    try:
        return app.exchange_code(code, flow.redirect_uri, verifier=flow.verifier)
    except ServiceError as error:
        logger.warning("The code of an OAuth flow could not be exchanged: %s", error)
        if is_refused_grant(error):
            raise InstallError("code") from None
        if is_refused_client(error):
            raise InstallError("app") from None
        raise InstallError("service" if error.action in (Action.RETRY, Action.WAIT) else "refused") from None
    except MalformedAnswerError as error:
        logger.warning("The code of an OAuth flow could not be exchanged: %s", error)
        raise InstallError("refused") from None


def _identity(driver: Provider[Any, Any], renewed: Connection | None, pair: TokenPair) -> Identity | None:
    given = settings.OAUTH.get(driver.name, {})
    base_url = renewed.account().base_url if renewed is not None else given.get("BASE_URL") or driver.default_base_url
    account = Account(name="", base_url=str(base_url).rstrip("/"), credentials={}, options={})
    client = driver.client(account, limiter=Unlimited(), tokens=StaticToken(pair.access_token))
    try:
        return driver.identify(client)
    except ServiceError as error:
        logger.warning("The account of an OAuth flow could not be read: %s", error)
        raise InstallError("service" if error.action in (Action.RETRY, Action.WAIT) else "refused") from None
    except MalformedAnswerError as error:
        logger.warning("The account of an OAuth flow could not be read: %s", error)
        raise InstallError("refused") from None


def _found(driver: Provider[Any, Any], renewed: Connection | None, identity: Identity | None) -> Connection | None:
    """The connection that this account is, None for a new one."""
    if identity is None:
        return renewed
    key = account_key(driver, identity)
    found = Connection.objects.filter(account_key=key).first()
    if renewed is not None:
        if (found is not None and found.pk != renewed.pk) or (renewed.account_key or key) != key:
            raise InstallError("account", identity.label)
        return renewed
    if found is None:
        _identify_unknown(driver)
        found = Connection.objects.filter(account_key=key).first()
    return found


def _identify_unknown(driver: Provider[Any, Any]) -> None:
    """Connections that were made with a key may be of this account too."""
    for connection in Connection.objects.filter(provider=driver.name, account_key=None)[:MOST_UNKNOWN]:
        try:
            identify(connection, driver, open_client(connection).client)
        except MktgError as error:
            logger.info("The account of %s is not known: %s", connection.name, error)


def _kept(
    driver: Provider[Any, Any],
    endpoints: OAuthEndpoints,
    found: Connection | None,
    identity: Identity | None,
    pair: TokenPair,
) -> tuple[Connection, bool]:
    alias = router.db_for_write(Connection)
    for _ in range(3):
        try:
            with transaction.atomic(using=alias):
                connection = found or _new(driver, identity)
                _renew(connection, driver, identity)
                ConnectionState.objects.get_or_create(connection=connection)
                # Whoever connects an account here thereby says that this site is the one that acts for it.
                bind(connection)
                store(connection, endpoints, pair)
        except IntegrityError:
            # Somebody has connected the account, or taken the name, at the same moment.
            found = found or (
                Connection.objects.filter(account_key=account_key(driver, identity)).first() if identity else None
            )
        else:
            return connection, found is None
    raise InstallError("account", identity.label if identity else "")


def _new(driver: Provider[Any, Any], identity: Identity | None) -> Connection:
    base_url = settings.OAUTH.get(driver.name, {}).get("BASE_URL")
    return Connection.objects.create(
        name=_free_name(driver.name),
        provider=driver.name,
        source=ConnectionSource.STORED,
        account_key=account_key(driver, identity) if identity else None,
        account_label=identity.label[:255] if identity else "",
        stored_options={"BASE_URL": str(base_url)} if base_url else {},
    )


def _renew(connection: Connection, driver: Provider[Any, Any], identity: Identity | None) -> None:
    changes: dict[str, Any] = {}
    if identity is not None:
        changes |= {"account_key": account_key(driver, identity), "account_label": identity.label[:255]}
    if OAuthToken.objects.filter(pk=connection.pk).exclude(disconnected_at=None).exists():
        changes["push_enabled"] = True
    for name, value in changes.items():
        setattr(connection, name, value)
    if changes:
        connection.save(update_fields=list(changes))


def _free_name(provider: str) -> str:
    taken = set(Connection.objects.values_list("name", flat=True)) | set(settings.CONNECTIONS)
    names = (provider if number == 1 else f"{provider}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def _revoke(app: OAuthClient, pair: TokenPair) -> None:
    for token in (pair.refresh_token, pair.access_token):
        try:
            if token:
                app.revoke(token)
        except MktgError as error:
            logger.warning("A token that is not used could not be revoked: %s", error)
