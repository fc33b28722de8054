"""What is given of a connection, and what is told of it. Credentials are tried before they are saved."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext
from rest_framework import serializers

from mktg_integration.connections import account_key, check_may_set, check_not_moved, checked_account, try_out
from mktg_integration.exceptions import ConfigurationError, DecryptionError
from mktg_integration.insight.noted import worded
from mktg_integration.models import Connection, ConnectionSource
from mktg_integration.providers.base import Account, Provider
from mktg_integration.providers.registry import get_provider, provider_names


class Hidden(dict[str, str]):
    """Credentials on their way, which no report of an error shows."""

    def __repr__(self) -> str:
        return "…"


class CredentialsField(serializers.DictField):
    def to_internal_value(self, data: Any) -> Any:
        return Hidden(super().to_internal_value(data))


class OptionsField(serializers.DictField):
    """A JSON object that every database can hold."""

    def to_internal_value(self, data: Any) -> Any:
        if not _can_be_stored(data):
            raise serializers.ValidationError(gettext("A text in it holds a character that cannot be stored."))
        return super().to_internal_value(data)


class ConnectionSerializer(serializers.ModelSerializer[Connection]):
    """One account. ``credentials`` by the names that the provider has for them; of a change those given replace those
    stored, and ``forget_credentials`` forgets the others."""

    provider = serializers.CharField(max_length=32)
    credentials = CredentialsField(
        child=serializers.CharField(max_length=4000), write_only=True, required=False, help_text="Never told again."
    )
    forget_credentials = serializers.BooleanField(write_only=True, required=False, default=False)
    options = OptionsField(
        source="stored_options", required=False, help_text="As in settings: BASE_URL, PROFILE, the provider's own."
    )

    class Meta:
        model = Connection
        fields = [
            "id",
            "name",
            "provider",
            "source",
            "credentials",
            "forget_credentials",
            "options",
            "account_label",
            "push_enabled",
            "paused",
            "dry_run",
            "bound_url",
            "undeclared",
            "created_at",
        ]
        read_only_fields = ["source", "account_label", "paused", "dry_run", "bound_url", "undeclared", "created_at"]

    def __repr__(self) -> str:
        # DRF's holds what was sent, and reports of errors hold it.
        return type(self).__name__

    def validate_provider(self, name: str) -> str:
        if name not in provider_names():
            raise serializers.ValidationError(gettext("Use one of: {able}.").format(able=", ".join(provider_names())))
        if self.instance is not None and name != self.instance.provider:
            raise serializers.ValidationError(gettext("A connection keeps its provider: add another connection."))
        return name

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        connection: Connection | None = self.instance
        if connection is not None and connection.source == ConnectionSource.SETTINGS:
            raise serializers.ValidationError(gettext("The settings declare this connection: change it there."))
        driver = get_provider(connection.provider if connection is not None else attrs["provider"])
        entered = attrs.get("credentials", Hidden())
        _must_know(driver, entered)
        forget = attrs.pop("forget_credentials", False)
        try:
            if connection is None or entered or forget:
                attrs["credentials"] = Hidden({**({} if forget else _stored(connection)), **entered})
            self._check(driver, connection, attrs, entered)
        except ConfigurationError as error:
            raise serializers.ValidationError(worded(str(error))) from None
        return attrs

    def _check(
        self,
        driver: Provider[Any, Any],
        connection: Connection | None,
        attrs: dict[str, Any],
        entered: dict[str, str],
    ) -> None:
        if connection is None:
            credentials, options = attrs["credentials"], attrs.get("stored_options", {})
            account = checked_account(attrs["name"], driver, credentials, options)
            check_may_set(self.context["request"].user, driver, options, {})
        else:
            given = attrs["credentials"] if "credentials" in attrs else _stored(connection)
            credentials = Hidden(connection.with_tokens(Hidden(given), driver.oauth))
            options = attrs.get("stored_options", connection.stored_options)
            account = checked_account(attrs.get("name", connection.name), driver, credentials, options)
            check_may_set(self.context["request"].user, driver, options, connection.stored_options)
            check_not_moved(connection, driver, options, set(given) - entered.keys())
        if connection is None or entered:
            attrs |= _tried(driver, account, connection)


def _must_know(driver: Provider[Any, Any], entered: dict[str, str]) -> None:
    unknown = sorted(set(entered) - set(driver.credential_names))
    if unknown:
        known = ", ".join(driver.credential_names)
        text = gettext("{unknown}: not known; there are: {known}").format(unknown=", ".join(unknown), known=known)
        raise serializers.ValidationError({"credentials": text})


def _stored(connection: Connection | None) -> Hidden:
    if connection is None:
        return Hidden()
    try:
        return Hidden(connection.credentials)
    except DecryptionError:
        text = gettext("What is stored cannot be read: give all credentials anew, with forget_credentials.")
        raise serializers.ValidationError({"credentials": text}) from None


def _tried(driver: Provider[Any, Any], account: Account, connection: Connection | None) -> dict[str, Any]:
    """Before it is saved: a wrong key is found while whoever entered it still looks. Raises ``ConfigurationError``."""
    identity = try_out(driver, account)
    if identity is None:
        return {}
    key = account_key(driver, identity)
    same = Connection.objects.filter(account_key=key)
    if connection is not None:
        same = same.exclude(pk=connection.pk)
        if connection.account_key not in (None, key):
            raise ConfigurationError(
                gettext(
                    "this is the key of another account; a connection keeps its account, because its contacts are "
                    "known by that account's ids: add the other one as a new connection"
                )
            )
    other = same.values_list("name", flat=True).first()
    if other is not None:
        raise ConfigurationError(gettext("this account is connected already, as {name}").format(name=other))
    return {"account_key": key, "account_label": identity.label[:255]}


def _can_be_stored(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= one <= "\udfff" for one in value)
    if isinstance(value, dict):
        return all(_can_be_stored(key) and _can_be_stored(inner) for key, inner in value.items())
    if isinstance(value, list):
        return all(map(_can_be_stored, value))
    return True
