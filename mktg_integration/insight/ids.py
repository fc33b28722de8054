"""Ids of mirrored rows as addresses and pages hold them.

A service that has no ids of its own knows people by their address; that one, and what an address cannot hold as it
is, is sealed: the same row always has the same id, and nobody reads it without the site's key.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from mktg_integration.conf import settings

PATTERN: Final = r"[\w.:~-]{1,400}"
"""For ``lookup_value_regex``."""
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.:-]+")
_SEALED: Final = "~"


def is_plain(remote_id: str) -> bool:
    """Whether a remote id may be shown as it is: it is no address, and an address can hold it."""
    return _PLAIN.fullmatch(remote_id) is not None and set(remote_id) != {"."}


def shown(key: str) -> str:
    """The id of the row with this key."""
    connection, _, remote_id = key.partition(":")
    if is_plain(remote_id):
        return key
    sealed = _cipher().encrypt(remote_id.encode(), [connection.encode()])
    return f"{connection}:{_SEALED}{urlsafe_b64encode(sealed).decode().rstrip('=')}"


def key_of(shown_id: str) -> str:
    """The key of the row with this id; empty for what ``shown`` does not give, so that nobody asks for an address by
    it."""
    connection, _, rest = shown_id.partition(":")
    if not rest.startswith(_SEALED):
        return shown_id if is_plain(rest) else ""
    sealed = rest[1:]
    try:
        opened = _cipher().decrypt(urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)), [connection.encode()])
    except (InvalidTag, ValueError):
        return ""
    return f"{connection}:{opened.decode()}"


def _cipher() -> AESSIV:
    return AESSIV(hashlib.sha256(b"mktg_integration.api.ids" + settings.hash_key()).digest())
