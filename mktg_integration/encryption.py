"""Secrets at rest: MultiFernet over the site's own key list, and keyed hashes of addresses."""

from __future__ import annotations

import hashlib
import hmac
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from mktg_integration.conf import settings
from mktg_integration.exceptions import ConfigurationError, DecryptionError
from mktg_integration.profile import normal_email

HOW_TO_MAKE_A_KEY = 'python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'


@cache
def _fernet(keys: tuple[str, ...]) -> MultiFernet:
    try:
        return MultiFernet([Fernet(key) for key in keys])
    except ValueError:
        raise ConfigurationError(
            'MKTG_INTEGRATION["ENCRYPTION_KEYS"] holds something that is no Fernet key; make one with '
            + HOW_TO_MAKE_A_KEY
        ) from None


def _keys() -> tuple[str, ...]:
    keys = tuple(settings.ENCRYPTION_KEYS)
    if not keys:
        raise ConfigurationError(
            'MKTG_INTEGRATION["ENCRYPTION_KEYS"] is empty; add a key made with ' + HOW_TO_MAKE_A_KEY
        )
    return keys


def encrypt(text: str) -> str:
    """``text`` under the first key. Raises ``ConfigurationError`` without keys."""
    return _fernet(_keys()).encrypt(text.encode()).decode()


def decrypt(token: str) -> str:
    """What ``encrypt`` was given, under any of the keys. Raises ``DecryptionError``."""
    try:
        return _fernet(_keys()).decrypt(token.encode()).decode()
    except InvalidToken:
        raise DecryptionError(
            'A stored secret cannot be read with MKTG_INTEGRATION["ENCRYPTION_KEYS"]: put the key that it was '
            "written with back on the list, or enter the secret again"
        ) from None


def rotate(token: str) -> str:
    """The same secret under the first key. Raises ``DecryptionError``."""
    return encrypt(decrypt(token))


def is_current(token: str) -> bool:
    """Whether ``token`` was written with the first key. Raises ``ConfigurationError`` without keys."""
    try:
        _fernet(_keys()[:1]).decrypt(token.encode())
    except InvalidToken:
        return False
    return True


def address_hash(email: str) -> str:
    """A keyed hash of an address, by which it is known after it was forgotten.

    Keyed by ``MKTG_INTEGRATION["HASH_KEY"]``, by default the site's ``SECRET_KEY``: it must not rotate with the
    encryption keys, or a forgotten address would be known no more.
    """
    return hmac.new(settings.hash_key(), normal_email(email).encode(), hashlib.sha256).hexdigest()
