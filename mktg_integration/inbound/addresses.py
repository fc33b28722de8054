"""Where a service reaches this site for one connection: addresses with an unguessable part."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any

from django.urls import reverse

from mktg_integration.connections import public_address
from mktg_integration.models import Connection, InboundAddress

TOKEN_KEY = "token"  # noqa: S105 - a key's name
SIGNED = "signed"
"""Stands in the address in place of an event: the deliveries name theirs."""
PLAIN_LENGTH = 40
"""A parameter that is longer, or that an address cannot hold as it is, is named by a digest."""


def address_of(connection: Connection) -> InboundAddress:
    """The connection's inbound address, made if there is none."""
    made: dict[str, Any] = {"secret": {TOKEN_KEY: _new_token()}}
    return InboundAddress.objects.get_or_create(connection=connection, defaults=made)[0]


def renew_address(connection: Connection) -> InboundAddress:
    """Another unguessable part: what was registered under the old one reaches the site no more until it is repaired."""
    made: dict[str, Any] = {"secret": {TOKEN_KEY: _new_token()}}
    row, _ = InboundAddress.objects.update_or_create(connection=connection, defaults=made)
    return row


def find(token: str) -> InboundAddress | None:
    """Whose address this is; None where nobody's. The unguessable part is compared in constant time."""
    number, _, given = token.partition("-")
    row = None
    if number.isascii() and number.isdigit() and len(number) < 19:
        rows = InboundAddress.objects.select_related("connection")
        row = rows.defer("connection__credentials", "connection__stored_options").filter(pk=int(number)).first()
    # Compared where there is none too, so that the time does not tell which connections there are.
    known = row.secret.get(TOKEN_KEY, "") if row is not None else ""
    is_same = hmac.compare_digest(_digest(known), _digest(given))
    return row if is_same and known else None


def token_of(address: InboundAddress) -> str:
    """What stands for the connection in its addresses."""
    return f"{address.pk}-{address.secret[TOKEN_KEY]}"


def webhook_url(address: InboundAddress, event: str, parameter: str = "") -> str:
    """Where one event is told. Raises ``ConfigurationError`` without ``PUBLIC_URL``."""
    named = {"token": token_of(address), "event": event}
    if parameter:
        named["parameter"] = in_address(parameter)
    return public_address(reverse("mktg_integration:webhook", kwargs=named))


def callback_url(connection: Connection) -> str:
    """Where a bulk request's result is told. Raises ``ConfigurationError`` without ``PUBLIC_URL``."""
    named = {"token": token_of(address_of(connection))}
    return public_address(reverse("mktg_integration:bulk-callback", kwargs=named))


def in_address(parameter: str) -> str:
    """A parameter as an address holds it."""
    if parameter.isascii() and parameter.isalnum() and len(parameter) <= PLAIN_LENGTH:
        return parameter
    return "x" + hashlib.sha256(parameter.encode()).hexdigest()[:PLAIN_LENGTH]


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
