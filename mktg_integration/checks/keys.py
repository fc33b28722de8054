"""Checks of the encryption keys. No message shows a key."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from typing import Any

from cryptography.fernet import Fernet
from django.conf import settings as django_settings
from django.core.checks import CheckMessage
from django.utils.translation import gettext

from mktg_integration.checks.messages import error, given, key, warning
from mktg_integration.encryption import HOW_TO_MAKE_A_KEY


def check_keys(**_: Any) -> list[CheckMessage]:
    values = given()
    if values is None:
        return []
    keys = values.get("ENCRYPTION_KEYS", ())
    if not isinstance(keys, list | tuple):
        return []  # reported with the types
    if not keys:
        return [
            error(
                10,
                gettext("{ENCRYPTION_KEYS} is empty, so nothing secret can be stored.").format(
                    ENCRYPTION_KEYS=key("ENCRYPTION_KEYS")
                ),
                gettext("Add a key. Make one with: {command}").format(command=HOW_TO_MAKE_A_KEY),
            )
        ]
    return [*_each(list(keys)), *_hash_key(str(values.get("HASH_KEY", "")))]


def _each(keys: list[Any]) -> Iterator[CheckMessage]:
    secrets = [django_settings.SECRET_KEY, *django_settings.SECRET_KEY_FALLBACKS]
    derived = {form for secret in secrets for form in _derived(str(secret))}
    for position, value in enumerate(keys):
        where = f"{key('ENCRYPTION_KEYS')}[{position}]"
        if value in derived:
            yield error(
                12,
                gettext("{where} is SECRET_KEY, or made of it: who learns the one has the other.").format(where=where),
                gettext("Use a key of its own. Make one with: {command}").format(command=HOW_TO_MAKE_A_KEY),
            )
        elif not _is_fernet_key(value):
            yield error(
                11,
                gettext("{where} is no Fernet key.").format(where=where),
                gettext("Make one with: {command}").format(command=HOW_TO_MAKE_A_KEY),
            )


def _is_fernet_key(value: Any) -> bool:
    try:
        Fernet(value)
    except (ValueError, TypeError):
        return False
    return True


def _derived(secret: str) -> Iterator[str]:
    """``secret`` itself, and the usual ways to make a Fernet key of it."""
    yield secret
    raw = secret.encode()
    for material in (
        raw[:32].ljust(32, b"\0"),
        raw[:32].ljust(32, b"="),
        raw[-32:].rjust(32, b"\0"),
        hashlib.sha256(raw).digest(),
        hashlib.sha256(raw).hexdigest()[:32].encode(),
        hashlib.md5(raw, usedforsecurity=False).hexdigest().encode(),
        hashlib.sha512(raw).digest()[:32],
        hashlib.blake2b(raw, digest_size=32).digest(),
    ):
        yield urlsafe_b64encode(material).decode()


def _hash_key(hash_key: str) -> Iterator[CheckMessage]:
    if not hash_key and django_settings.SECRET_KEY_FALLBACKS:
        yield warning(
            5,
            gettext(
                "{HASH_KEY} is not set and SECRET_KEY is being rotated: forgotten and unsubscribed addresses "
                "are known by hashes under the old SECRET_KEY, and would not be recognised."
            ).format(HASH_KEY=key("HASH_KEY")),
            gettext(
                "Set {HASH_KEY} to the oldest SECRET_KEY under which the site has used this app, and keep it."
            ).format(HASH_KEY=key("HASH_KEY")),
        )
