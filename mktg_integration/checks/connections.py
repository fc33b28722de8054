"""Checks of the connections that settings declare, and of the mappings that they name."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from importlib import import_module
from typing import Any

from django.core.checks import CheckMessage
from django.core.exceptions import ValidationError
from django.utils.translation import gettext

from mktg_integration.checks.messages import did_you_mean, error, given, key, warning
from mktg_integration.conf import CHOICES, DEFAULTS, settings
from mktg_integration.exceptions import ConfigurationError
from mktg_integration.http import Unlimited
from mktg_integration.models import Connection, ConnectionSource
from mktg_integration.models.connections import ENGINE_KEYS
from mktg_integration.providers.base import Provider
from mktg_integration.providers.registry import get_provider, provider_names


def check_connections(**_: Any) -> list[CheckMessage]:
    values = given()
    if values is None:
        return []
    messages = list(_mapping(values.get("PROFILE", DEFAULTS["PROFILE"]), key("PROFILE"), None))
    declared = values.get("CONNECTIONS", {})
    if isinstance(declared, Mapping):
        for name, connection in declared.items():
            messages += _connection(name, connection, f'{key("CONNECTIONS")}["{name}"]')
        messages += _twice(declared)
    return messages


def _connection(name: Any, declared: Any, where: str) -> Iterator[CheckMessage]:
    if not isinstance(declared, Mapping):
        yield error(
            20,
            gettext("{where} is not a dict.").format(where=where),
            gettext('Set {where} = {{"PROVIDER": …}}.').format(where=where),
        )
        return
    wrong_name = list(_name(name, where))
    if wrong_name:
        yield from wrong_name
        return
    try:
        driver = get_provider(str(declared.get("PROVIDER", "")))
    except ConfigurationError:
        known = ", ".join(map(repr, provider_names()))
        yield error(
            22,
            gettext("{where} names no known provider.").format(where=where),
            gettext('Set "PROVIDER" to one of: {known}.').format(known=known),
        )
        return
    known_keys = {*ENGINE_KEYS, *driver.credential_names, *driver.option_names}
    for option in declared:
        if option not in known_keys:
            yield error(
                23,
                gettext("{where} has an unknown key {option!r}.").format(where=where, option=option),
                did_you_mean(option, known_keys),
            )
    yield from _consent(declared, where)
    yield from _account(name, driver, where)
    profile = declared.get("PROFILE", settings.PROFILE)
    yield from _mapping(profile, f'{where}["PROFILE"]', driver)


def _name(name: Any, where: str) -> Iterator[CheckMessage]:
    try:
        # A number would be cleaned to a text, and then be found under no key.
        Connection._meta.get_field("name").clean(name if isinstance(name, str) else "", None)
    except ValidationError:
        yield error(
            21,
            gettext("{where}: such a name cannot be used.").format(where=where),
            gettext("Use up to 64 letters, digits, '-' and '_', beginning with a letter or digit."),
        )


def _consent(declared: Mapping[str, Any], where: str) -> Iterator[CheckMessage]:
    choices = CHOICES["UNKNOWN_CONSENT"]
    if declared.get("UNKNOWN_CONSENT", choices[0]) not in choices:
        yield error(
            26,
            gettext('{where}["UNKNOWN_CONSENT"] has a value that cannot be used.').format(where=where),
            gettext("Set it to one of: {choices}.").format(choices=", ".join(map(repr, choices))),
        )


def _account(name: Any, driver: Provider[Any, Any], where: str) -> Iterator[CheckMessage]:
    account = _declared(name, driver).account()
    try:
        driver.check_credentials(account.credentials)
    except ConfigurationError as problem:
        names = ", ".join(f'"{credential}"' for credential in driver.credential_names)
        yield error(
            24,
            f"{where}: {problem}",
            gettext("Keys of {service}'s credentials: {names}.").format(service=driver.label, names=names),
        )
        return
    try:
        driver.options(account)
    except ConfigurationError as problem:
        yield error(25, f"{where}: {problem}", gettext("Correct this option."))
        return
    try:
        driver.client(account, limiter=Unlimited())  # calls nobody
    except ConfigurationError as problem:
        yield error(29, f"{where}: {problem}", gettext("Correct the address or the credentials."))


def _twice(declared: Mapping[Any, Any]) -> Iterator[CheckMessage]:
    """One account that has two connections: people would be sent twice, on one rate."""
    first: dict[Hashable, str] = {}
    for name, connection in declared.items():
        others = {first.setdefault(account, name) for account in _accounts(name, connection)} - {name}
        for other in sorted(others, key=str):
            yield warning(
                7,
                gettext("{where} leads to the same account as {other!r}: people would be sent there twice.").format(
                    where=f'{key("CONNECTIONS")}["{name}"]', other=other
                ),
                gettext("Remove one of the two; one connection's mapping can give a person all tags and fields."),
            )


def _accounts(name: Any, declared: Any) -> Iterator[Hashable]:
    """By each credential: what is the same for two connections to one account."""
    if not isinstance(declared, Mapping):
        return
    try:
        driver = get_provider(str(declared.get("PROVIDER", "")))
        account = _declared(name, driver).account()
    except ConfigurationError:
        return
    for credential, value in account.credentials.items():
        # One OAuth client serves many accounts.
        if credential not in ("CLIENT_ID", "CLIENT_SECRET"):
            yield driver.name, account.base_url, credential, value


def _declared(name: Any, driver: Provider[Any, Any]) -> Connection:
    return Connection(name=str(name), provider=driver.name, source=ConnectionSource.SETTINGS)


def _mapping(path: Any, where: str, driver: Provider[Any, Any] | None) -> Iterator[CheckMessage]:
    try:
        mapping = settings.import_path(path, where) if isinstance(path, str) else None
    except ConfigurationError:
        mapping = None
    if not callable(mapping):
        if driver is None or path != settings.PROFILE:
            yield error(
                27,
                gettext("{where}: {path!r} cannot be imported, or is no function.").format(where=where, path=path),
                gettext("Give the dotted path of a function (user, connection) -> Profile or None."),
            )
        return
    reserved = reserved_keys(driver) & frozenset(getattr(mapping, "fields", ()))
    if driver is not None and reserved:
        names = ", ".join(sorted(reserved))
        yield error(
            28,
            gettext("{where}: the mapping's fields hold names that {service} keeps for itself: {names}.").format(
                where=where, service=driver.label, names=names
            ),
            gettext(
                "Give these fields other names; addresses, ids, consent and tags belong into the Profile's own "
                "attributes."
            ),
        )


def reserved_keys(driver: Provider[Any, Any] | None) -> frozenset[str]:
    """Names that no mapping may use for a field: ``RESERVED_KEYS`` of the provider's module or package, if any."""
    if driver is None:
        return frozenset()
    module = type(driver).__module__
    places = (import_module(name) for name in (module, module.rpartition(".")[0]) if name)
    return frozenset().union(*(getattr(place, "RESERVED_KEYS", ()) for place in places))
