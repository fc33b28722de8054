"""Connections as the site declares them, binds them to itself, and opens them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.db import IntegrityError, router, transaction
from django.http import HttpRequest
from django.utils.translation import gettext

from mktg_integration.conf import NAME, settings
from mktg_integration.exceptions import Action, ConfigurationError, MalformedAnswerError, ServiceError, UnsupportedError
from mktg_integration.models import Connection, ConnectionSource, ConnectionState, WaitReason
from mktg_integration.models.connections import ENGINE_KEYS, site_address
from mktg_integration.providers.base import Account, Identity, Provider
from mktg_integration.providers.registry import get_provider
from mktg_integration.rates import limiter_for
from mktg_integration.tokens import database_tokens

RESERVED = frozenset({"BASE_URL", "PROFILE"})
"""Options that decide where credentials go and which code runs; a provider may have more (``reserved_options``)."""


class Declared(NamedTuple):
    """What ``sync_declared`` did, by names of connections."""

    created: tuple[str, ...]
    enabled: tuple[str, ...]
    disabled: tuple[str, ...]


class Opened(NamedTuple):
    """What is needed to call a service: ``driver.execute(call, client)``."""

    driver: Provider[Any, Any]
    options: Any
    client: Any


def sync_declared() -> Declared:
    """Make the rows of the connections that ``MKTG_INTEGRATION["CONNECTIONS"]`` declares; idempotent.

    A connection that is declared no longer is kept and pushed to no more; declared again, it is pushed to again. What
    staff switched off stays off. Raises ``ConfigurationError`` for an unknown provider, or where a name already belongs
    to a connection of another provider or to a stored one.
    """
    declared = {name: _provider_name(name, given) for name, given in settings.CONNECTIONS.items()}
    alias = router.db_for_write(Connection)
    with transaction.atomic(using=alias):
        existing = {row.name: row for row in Connection.objects.using(alias).defer("credentials", "stored_options")}
        for name, provider in declared.items():
            if name in existing:
                _check_same(existing[name], provider)
        new = [
            Connection(name=name, provider=provider, source=ConnectionSource.SETTINGS)
            for name, provider in declared.items()
            if name not in existing
        ]
        from_settings = [row for row in existing.values() if row.source == ConnectionSource.SETTINGS]
        gone = [row for row in from_settings if row.name not in declared and not row.undeclared]
        back = [row for row in from_settings if row.name in declared and row.undeclared]
        for rows, enabled in ((gone, False), (back, True)):
            if rows:
                Connection.objects.using(alias).filter(pk__in=[row.pk for row in rows]).update(
                    push_enabled=enabled, undeclared=not enabled
                )
        if new:
            Connection.objects.using(alias).bulk_create(new, ignore_conflicts=True)
        _make_missing_states(alias)
    return Declared(
        created=tuple(row.name for row in new),
        enabled=tuple(row.name for row in back),
        disabled=tuple(row.name for row in gone),
    )


def sync_declared_after_migrate(*, using: str, apps: Any = None, **_: Any) -> None:
    """Receiver of ``post_migrate``."""
    if using != router.db_for_write(Connection):
        return
    if apps is not None and not _is_migrated(apps):
        return
    sync_declared()


def public_url_matches(connection: Connection) -> bool:
    """Whether this site may write through ``connection``: the rule for copies of a database.

    The first use binds the connection to this site's ``PUBLIC_URL``. Where a copy of the database is used at another
    address the answer is False (the caller waits with ``WaitReason.COPY``) until a person confirms (``bind``). A site
    without ``PUBLIC_URL`` is not told from its copies, and always may.
    """
    return connection.is_of_this_site()


def bind(connection: Connection) -> None:
    """A person confirms that the site at this ``PUBLIC_URL`` is the one that writes through ``connection``."""
    connection.bound_url = site_address()
    connection.save(update_fields=["bound_url"])
    ConnectionState.objects.filter(connection=connection, wait_reason=WaitReason.COPY).update(
        wait_reason=WaitReason.NONE, wait_detail="", wait_until=None
    )


def open_client(connection: Connection) -> Opened:
    """The provider, the parsed options and a client of ``connection``, for calls outside a drain.

    Each call waits for its slot of the documented rate, and an OAuth token that has run out is refreshed; both need the
    database, so the client is for the calling thread, outside of transactions. Raises ``ConfigurationError`` where
    credentials or options are incomplete, ``DecryptionError`` where they cannot be read.
    """
    driver, account = connection.driver, connection.account()
    driver.check_credentials(account.credentials)
    tokens = database_tokens(connection, driver, account)
    client = driver.client(account, limiter=limiter_for(account, driver), tokens=tokens)
    return Opened(driver, driver.options(account), client)


def identify(connection: Connection, driver: Provider[Any, Any], client: Any) -> Identity | None:
    """Ask the service which account the connection is, and keep it. Raises ``ServiceError``."""
    identity = driver.identify(client)
    if identity is None:
        return None
    key = account_key(driver, identity)
    with suppress(IntegrityError), transaction.atomic(using=router.db_for_write(Connection)):
        # Of two declared connections of one account the first has it.
        Connection.objects.filter(pk=connection.pk).update(account_key=key, account_label=identity.label[:255])
        connection.account_key, connection.account_label = key, identity.label[:255]
    return identity


def account_key(driver: Provider[Any, Any], identity: Identity) -> str:
    """By which an account is known over all of its provider's connections."""
    return f"{driver.name}:{identity.remote_id}"[:191]


def checked_account(name: str, driver: Provider[Any, Any], credentials: Mapping[str, str], options: Any) -> Account:
    """The account as people entered it. Raises ``ConfigurationError`` that names what is wrong."""
    known = (ENGINE_KEYS - {"PROVIDER"}) | set(driver.option_names)
    if not isinstance(options, dict):
        raise ConfigurationError(gettext("options must be a JSON object"))
    unknown = sorted(set(options) - known)
    if unknown:
        raise ConfigurationError(
            gettext("{unknown}: not an option of {service}; there are: {known}").format(
                unknown=", ".join(unknown), service=driver.label, known=", ".join(sorted(known))
            )
        )
    driver.check_credentials(credentials)
    account = Account(
        name=name,
        base_url=str(options.get("BASE_URL") or driver.default_base_url).rstrip("/"),
        credentials=credentials,
        options={key: value for key, value in options.items() if key in driver.option_names},
    )
    driver.options(account)
    return account


def check_may_set(user: Any, driver: Provider[Any, Any], options: Mapping[str, Any], before: Mapping[str, Any]) -> None:
    """Whoever may connect accounts chooses among the addresses and mappings that the provider and the settings name;
    another one is a superuser's to set. Raises ``ConfigurationError``."""
    news = [
        name
        for name in sorted(RESERVED | driver.reserved_options)
        if options.get(name) and options[name] != before.get(name) and not _is_named(driver, name, options[name])
    ]
    if news and not (user.is_active and user.is_superuser):
        raise ConfigurationError(
            gettext(
                "{names}: only a superuser may set what neither the provider nor the settings name, because it "
                "decides where credentials go or which code runs"
            ).format(names=", ".join(news))
        )


def check_not_moved(
    connection: Connection, driver: Provider[Any, Any], options: Mapping[str, Any], kept: Collection[str]
) -> None:
    """Stored credentials go to the address that they were entered for, or to one that the settings name.

    Raises ``ConfigurationError`` for another address while some of them are ``kept`` (their names).
    """
    before, now = (
        str(given.get("BASE_URL") or driver.default_base_url).rstrip("/")
        for given in (connection.stored_options, options)
    )
    if now == before or _is_named(driver, "BASE_URL", now):
        return
    if hasattr(connection, "oauth"):
        raise ConfigurationError(
            gettext("BASE_URL: the tokens of this account are for another address; add a new connection")
        )
    if kept:
        raise ConfigurationError(
            gettext(
                "BASE_URL: what is stored was entered for another address, and is sent to no other; enter all "
                "credentials again with it"
            )
        )


def try_out(driver: Provider[Any, Any], account: Account) -> Identity | None:
    """Whether the service accepts these credentials, by calls that change nothing; which account they open.

    None where the service does not tell which account it is. Whoever has no such call at all (``Provider.verify``) is
    taken at their word. Raises ``ConfigurationError`` that says what it answered.
    """
    client = driver.client(account, limiter=limiter_for(account, driver))
    try:
        identity = driver.identify(client)
        if identity is None:
            _check_let_in(driver, client, account)
    except ServiceError as error:
        if error.action in (Action.RECONNECT, Action.FORBIDDEN):
            raise ConfigurationError(
                gettext("{service} refuses these credentials: {error}").format(service=driver.label, error=error)
            ) from None
        raise ConfigurationError(
            gettext("{service} could not be asked whether these are right: {error}").format(
                service=driver.label, error=error
            )
        ) from None
    except MalformedAnswerError as error:
        raise ConfigurationError(str(error)) from None
    return identity


def _check_let_in(driver: Provider[Any, Any], client: Any, account: Account) -> None:
    """Raises what the service answers to credentials that it does not take."""
    with suppress(UnsupportedError):
        driver.verify(client, driver.options(account))


def public_address(path: str, request: HttpRequest | None = None) -> str:
    """``path`` (as ``reverse`` gives it) as services reach it: under ``PUBLIC_URL``, else as ``request`` came.

    Raises ``ConfigurationError`` where there is neither.
    """
    given = settings.PUBLIC_URL.strip().rstrip("/")
    if given:
        parts = urlsplit(given)
        prefix = "" if path.startswith(f"{parts.path}/") else parts.path
        return f"{parts.scheme}://{parts.netloc}{prefix}{path}"
    if request is None:
        raise ConfigurationError(
            gettext('{setting}["PUBLIC_URL"]: set it to the address at which services reach this site').format(
                setting=NAME
            )
        )
    return request.build_absolute_uri(path)


def _is_named(driver: Provider[Any, Any], name: str, value: Any) -> bool:
    """Whether the provider itself or the settings have this value of a reserved option."""
    is_ours = name == "PROFILE"
    declared = [given for given in settings.CONNECTIONS.values() if is_ours or given.get("PROVIDER") == driver.name]
    named = [given.get(name) for given in declared]
    if is_ours:
        named.append(settings.PROFILE)
    if name == "BASE_URL":
        named += [driver.default_base_url, settings.OAUTH.get(driver.name, {}).get(name)]
    return str(value).rstrip("/") in {str(one).rstrip("/") for one in named if one}


def _provider_name(name: str, given: Any) -> str:
    where = f'{NAME}["CONNECTIONS"]["{name}"]'
    provider = given.get("PROVIDER") if hasattr(given, "get") else None
    if not isinstance(provider, str):
        raise ConfigurationError(gettext('{where}: set "PROVIDER" to the name of a provider').format(where=where))
    try:
        get_provider(provider)
    except ConfigurationError as error:
        raise ConfigurationError(f"{where}: {error}") from None
    return provider


def _check_same(row: Connection, provider: str) -> None:
    where = f'{NAME}["CONNECTIONS"]["{row.name}"]'
    if row.source != ConnectionSource.SETTINGS:
        raise ConfigurationError(
            gettext("{where}: a stored connection already has this name; rename or delete one of the two").format(
                where=where
            )
        )
    if row.provider != provider:
        raise ConfigurationError(
            gettext(
                "{where}: PROVIDER was {before!r} and is now {now!r}; a connection keeps its provider, "
                "because its contacts are known by that provider's ids: declare the new account under another "
                "name"
            ).format(where=where, before=row.provider, now=provider)
        )


def _make_missing_states(alias: str) -> None:
    without = Connection.objects.using(alias).filter(state__isnull=True).values_list("pk", flat=True)
    states = [ConnectionState(connection_id=pk) for pk in without]
    if states:
        ConnectionState.objects.using(alias).bulk_create(states, ignore_conflicts=True)


def _is_migrated(apps: Any) -> bool:
    """Whether the tables are as this code expects them: not so while migrating backwards."""
    try:
        state = apps.get_model("mktg_integration", "Connection")
    except LookupError:
        return False
    return {field.name for field in state._meta.fields} == {field.name for field in Connection._meta.fields}
