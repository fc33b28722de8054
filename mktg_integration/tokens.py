"""OAuth tokens on the site's database: who refreshes, and how all others come by what it got.

Refresh tokens may be good for once. So one process refreshes, under a lease in the database; whoever waited finds the
new pair when it looks again. The pair is saved before it is used. No transaction is open while the service is asked.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from django.db import DatabaseError, connections, router, transaction
from django.utils import timezone
from django.utils.translation import gettext

from mktg_integration import sql
from mktg_integration.conf import NAME, settings
from mktg_integration.exceptions import Action, ConfigurationError, CopyError, ServiceError
from mktg_integration.models import Connection, ConnectionState, OAuthToken, WaitReason
from mktg_integration.models.connections import oauth_origin
from mktg_integration.models.leases import take_row_lease
from mktg_integration.providers.base import Account, Provider
from mktg_integration.providers.oauth import OAuthClient, TokenPair, is_refused_client, is_refused_grant
from mktg_integration.signals import connection_needs_attention

logger = logging.getLogger("mktg_integration.oauth")

ENDPOINT = "(token refresh)"
JUST_ISSUED = timedelta(seconds=10)
"""A token that is refused so soon after it was issued will not be accepted after another refresh either."""
RECONNECT_SECONDS = 900.0
SAVE_TRIES = 8
LOOK_SECONDS = 0.1


class HeldTokens:
    """A ``TokenSource`` for pools of threads: they read what it holds; only its owner's thread asks for another.

    ``renew()`` is for that thread, after a call has come back with 401.
    """

    def __init__(self, connection: Connection, driver: Provider[Any, Any], token: str) -> None:
        self._connection = connection
        self._driver = driver
        self._lock = threading.Lock()
        self._token = token

    def token(self) -> str:
        with self._lock:
            return self._token

    def refused(self, token: str) -> bool:
        return self.token() != token

    def renew(self) -> bool:
        """Whether there is another token now. Raises what ``refresh`` raises."""
        before = self.token()
        self._hold(refresh(self._connection, self._driver, refused=before))
        return self.token() != before

    def _hold(self, row: OAuthToken) -> None:
        with self._lock:
            self._token = row.pair.get("access_token", "")

    def __repr__(self) -> str:
        return "HeldTokens(…)"


class DatabaseTokens(HeldTokens):
    """A ``TokenSource`` for calls in the thread that made it: it looks into the database by itself."""

    def token(self) -> str:
        row = _row(self._connection)
        if row is None or row.is_due(timezone.now()) or not row.pair.get("access_token"):
            row = refresh(self._connection, self._driver)
        self._hold(row)
        return super().token()

    def refused(self, token: str) -> bool:
        self._hold(refresh(self._connection, self._driver, refused=token))
        return super().token() != token


def held_tokens(connection: Connection, driver: Provider[Any, Any], account: Account) -> HeldTokens | None:
    """The tokens of a drain or a pull, refreshed before it begins if they are about to run out.

    None where the connection has no token that could be refreshed. Raises what ``refresh`` raises.
    """
    if not _is_refreshable(driver, account):
        return None
    row = _row(connection)
    if row is None or row.is_due(timezone.now()) or not _is_of(row, connection, driver):
        row = refresh(connection, driver)
    return HeldTokens(connection, driver, row.pair.get("access_token", ""))


def database_tokens(connection: Connection, driver: Provider[Any, Any], account: Account) -> DatabaseTokens | None:
    """The tokens of one-off calls; None where the connection has none that could be refreshed."""
    if not _is_refreshable(driver, account):
        return None
    return DatabaseTokens(connection, driver, "")


def app_client(
    driver: Provider[Any, Any], *, base_url: str = "", credentials: Mapping[str, str] | None = None
) -> OAuthClient:
    """The token endpoint for the site's app. Raises ``ConfigurationError`` that names the setting."""
    given: Mapping[str, Any] = settings.OAUTH.get(driver.name, {})
    own = credentials or {}
    names = driver.oauth
    client_id = own.get(names.client_id) if names else None
    secret = own.get(names.client_secret) if names and client_id else None
    if not client_id and not given.get("CLIENT_ID"):
        raise ConfigurationError(
            gettext(
                '{setting}["OAUTH"]["{provider}"]: set CLIENT_ID and CLIENT_SECRET of your app at {service}'
            ).format(setting=NAME, provider=driver.name, service=driver.label)
        )
    return driver.oauth_client(
        base_url=base_url or str(given.get("BASE_URL") or driver.default_base_url),
        client_id=client_id or str(given["CLIENT_ID"]),
        client_secret=(secret or "") if client_id else str(given.get("CLIENT_SECRET", "")),
        authorize_url=str(given.get("AUTHORIZE_URL", "")),
        extra={name: str(given[name]) for name in (names.extra_names if names else ()) if given.get(name)},
        deadline=settings.CALL_SECONDS,
        connect_timeout=settings.CONNECT_SECONDS,
    )


def refresh(connection: Connection, driver: Provider[Any, Any], *, refused: str = "") -> OAuthToken:
    """The connection's tokens, good for now: those of the database if they are, else newly asked for.

    ``refused`` is an access token to which the service answered 401. Raises ``ServiceError`` (RECONNECT where the
    refresh token is not taken any more, RETRY where another process is at it for too long or the service does not
    answer), ``ConfigurationError`` where the app is refused, ``CopyError`` on a copy of the database.
    """
    if not connection.is_of_this_site():
        raise CopyError(
            gettext(
                "{name} is bound to {bound_url}, and PUBLIC_URL here is another: confirm in the admin that this "
                "site is the one that acts for it"
            ).format(name=connection.name, bound_url=connection.bound_url)
        )
    row = _made(connection, driver)
    give_up_at = time.monotonic() + settings.CALL_SECONDS + settings.CONNECT_SECONDS
    while not _is_good(row, refused):
        _check_refreshable(connection, driver, row, refused)
        # Longer than the call can take, so that nobody else spends the same refresh token meanwhile.
        lease = take_row_lease(OAuthToken, connection.pk, 2 * settings.CALL_SECONDS + settings.CONNECT_SECONDS)
        if lease is None:
            if time.monotonic() > give_up_at:
                raise _error(driver, Action.RETRY, "refresh_in_progress", "another process is refreshing the token")
            time.sleep(LOOK_SECONDS * (0.5 + secrets.randbelow(100) / 100))
            row = _made(connection, driver)
            continue
        try:
            row = _made(connection, driver)
            if not _is_good(row, refused):
                _check_refreshable(connection, driver, row, refused)
                row = _ask(connection, driver, row)
        finally:
            lease.release()
        refused = ""
    connection.oauth = row
    return row


def store(
    connection: Connection, endpoints: Any, pair: TokenPair, *, given: Mapping[str, str] | None = None
) -> OAuthToken:
    """A person has connected the account: this pair holds from now on, whatever was before."""
    now = timezone.now()
    origin = oauth_origin(endpoints, connection.given_credentials() if given is None else given)
    row, _ = OAuthToken.objects.update_or_create(
        connection=connection,
        defaults={**_values(pair, now), "origin": origin, "refused_at": None, "disconnected_at": None},
    )
    connection.oauth = row
    credentials_work(connection)
    return row


def _ask(connection: Connection, driver: Provider[Any, Any], row: OAuthToken) -> OAuthToken:
    """Spend the refresh token. Called under the lease."""
    alias = router.db_for_write(OAuthToken)
    mine = OAuthToken.objects.using(alias).filter(pk=row.pk, version=row.version)
    # Durable: within somebody's transaction a rollback would lose the pair that the service is about to give.
    with transaction.atomic(using=alias, durable=True):
        mine.update(asked_at=timezone.now())
    account = connection.account()
    client = app_client(driver, base_url=account.base_url, credentials=account.credentials)
    try:
        pair = client.refresh(row.pair["refresh_token"])
        values = _values(pair, timezone.now())
        is_stored = _save(lambda: mine.update(**values, refused_at=None), alias)
        # Not what we hold, but what is stored: a person may have connected the account anew meanwhile.
        now = _made(connection, driver)
        if not is_stored and now.disconnected_at is not None:
            _give_back(client, pair, connection)
    except ServiceError as error:
        return _after_failure(connection, driver, row, error)
    finally:
        client.close()
    if is_stored:
        credentials_work(connection)
        logger.info("%s: the access token was refreshed", connection.name)
    return now


def _give_back(client: OAuthClient, pair: TokenPair, connection: Connection) -> None:
    """A person has disconnected the account while it was refreshed: nobody is to have its tokens."""
    for token in filter(None, (pair.refresh_token, pair.access_token)):
        try:
            client.revoke(token)
        except ServiceError as error:
            logger.warning("%s: a token could not be revoked: %s", connection.name, error)


def _after_failure(
    connection: Connection, driver: Provider[Any, Any], row: OAuthToken, error: ServiceError
) -> OAuthToken:
    now = _made(connection, driver)
    if now.version != row.version:
        return now
    mine = OAuthToken.objects.using(router.db_for_write(OAuthToken)).filter(pk=row.pk, version=row.version)
    if is_refused_grant(error):
        lost = row.asked_at is not None
        why = (
            "an earlier refresh was not answered or not saved, and its refresh token counts as used"
            if lost
            else "the service refuses the refresh token (used elsewhere, revoked or expired)"
        )
        if mine.filter(refused_at=None).update(refused_at=timezone.now()):
            needs_reconnect(connection, f"{why}: connect the account again")
        raise _error(driver, Action.RECONNECT, "reconnect", f"{why}: connect the account again") from None
    if error.answered:
        mine.update(asked_at=row.asked_at)
    if is_refused_client(error):
        raise ConfigurationError(
            gettext(
                "{service} refuses this site's app: check CLIENT_ID and CLIENT_SECRET in "
                '{setting}["OAUTH"]["{provider}"]'
            ).format(service=driver.label, setting=NAME, provider=driver.name)
        ) from None
    raise error


def _values(pair: TokenPair, now: Any) -> dict[str, Any]:
    return {
        "pair": {"access_token": pair.access_token, "refresh_token": pair.refresh_token},
        "version": _new_version(),
        "issued_at": now,
        "expires_at": now + timedelta(seconds=pair.expires_in),
        "asked_at": None,
    }


def _save(update: Callable[[], int], alias: str) -> bool:
    """Store the new pair whatever it takes: the old one is spent. False where the row is another's by now."""
    for attempt in range(SAVE_TRIES):
        try:
            return bool(sql.retrying(update, using=alias))
        except DatabaseError:
            if attempt == SAVE_TRIES - 1 or connections[alias].in_atomic_block:
                logger.critical("A refreshed token could not be saved: the account has to be connected again")
                raise
            time.sleep(min(0.1 * 2**attempt, 5.0))
            connections[alias].close_if_unusable_or_obsolete()
    return False


def needs_reconnect(connection: Connection, detail: str) -> None:
    """The service refuses the credentials: the connection waits, staff are told, the outbox keeps its rows."""
    now = timezone.now()
    values = {
        "wait_reason": WaitReason.RECONNECT,
        "wait_detail": detail[:500],
        "wait_until": now + timedelta(seconds=RECONNECT_SECONDS),
        "last_failure_at": now,
    }
    ConnectionState.objects.update_or_create(connection=connection, defaults=values)
    if "state" in connection._state.fields_cache:
        # A drain that holds it must not take the wait for news of its own.
        for name, value in values.items():
            setattr(connection.state, name, value)
    logger.error("%s needs attention: %s", connection.name, detail)
    connection_needs_attention.send_robust(
        sender=Connection, connection=connection, reason=WaitReason.RECONNECT.value, detail=detail
    )


def credentials_work(connection: Connection) -> None:
    """Ends the wait for other credentials, if there is one."""
    ended = ConnectionState.objects.filter(connection=connection, wait_reason=WaitReason.RECONNECT)
    ended.update(wait_reason=WaitReason.NONE, wait_detail="", wait_until=None)


def _row(connection: Connection) -> OAuthToken | None:
    return OAuthToken.objects.using(router.db_for_write(OAuthToken)).filter(pk=connection.pk).first()


def _is_of(row: OAuthToken, connection: Connection, driver: Provider[Any, Any]) -> bool:
    """Whether the row began with what is given now; else somebody has given another first pair."""
    return driver.oauth is not None and row.origin == oauth_origin(driver.oauth, connection.given_credentials())


def _made(connection: Connection, driver: Provider[Any, Any]) -> OAuthToken:
    """The row as the database has it; made of the first pair given where there is none, or one of another pair."""
    row = _row(connection)
    if row is not None and _is_of(row, connection, driver):
        return row
    endpoints, given = driver.oauth, connection.given_credentials()
    if endpoints is None:
        raise ConfigurationError(gettext("{service} has no OAuth").format(service=driver.label))
    first = {
        "pair": {
            "access_token": given.get(endpoints.access_token, ""),
            "refresh_token": given.get(endpoints.refresh_token, ""),
        },
        "origin": oauth_origin(endpoints, given),
        "version": _new_version(),
        "issued_at": None,
        "expires_at": None,
        "asked_at": None,
        "refused_at": None,
        "disconnected_at": None,
    }
    table = OAuthToken.objects.using(router.db_for_write(OAuthToken))
    if row is None:
        table.get_or_create(connection=connection, defaults=first)
    else:
        table.filter(pk=row.pk, version=row.version).update(**first)
    return table.get(pk=connection.pk)


def _is_refreshable(driver: Provider[Any, Any], account: Account) -> bool:
    return driver.oauth is not None and bool(account.credentials.get(driver.oauth.refresh_token))


def _is_good(row: OAuthToken, refused: str) -> bool:
    access = row.pair.get("access_token", "")
    if refused:
        return bool(access) and access != refused
    return bool(access) and not row.is_due(timezone.now())


def _check_refreshable(connection: Connection, driver: Provider[Any, Any], row: OAuthToken, refused: str) -> None:
    if row.refused_at is not None or not row.pair.get("refresh_token"):
        raise _error(driver, Action.RECONNECT, "reconnect", "connect the account again")
    now = timezone.now()
    if refused and row.issued_at is not None and now - row.issued_at < JUST_ISSUED and not row.is_due(now):
        raise _error(driver, Action.RECONNECT, "refused", "the service refuses a token that it has just given")


def _error(driver: Provider[Any, Any], action: Action, code: str, message: str) -> ServiceError:
    return ServiceError(service=driver.name, endpoint=ENDPOINT, action=action, code=code, messages=(message,))


def _new_version() -> int:
    return secrets.randbits(63)
