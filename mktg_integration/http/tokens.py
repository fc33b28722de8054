"""Where a bearer token comes from. The engines inject one that refreshes under a lease in the database."""

from __future__ import annotations

import re
from typing import Protocol

from mktg_integration.exceptions import ConfigurationError

_NOT_IN_A_HEADER = re.compile(r"[^\x20-\x7e]")


def checked_secret(secret: str) -> str:
    """``secret``. Raises ``ConfigurationError``, which shows nothing of it, where no header can carry it: left to the
    HTTP library, the error would quote it."""
    if _NOT_IN_A_HEADER.search(secret):
        raise ConfigurationError(
            "a key or token holds line breaks or other characters that cannot be sent: copy it from the service anew"
        )
    return secret


class TokenSource(Protocol):
    """Gives the access token to use now."""

    def token(self) -> str:
        """A token that is believed to be valid. Raises ``ServiceError`` (RECONNECT) where there is none."""

    def refused(self, token: str) -> bool:
        """The service answered 401 to ``token``: try to get another. True: ``token()`` now gives a newer one."""


class StaticToken:
    """A token that does not change. Raises ``ConfigurationError`` where it cannot be sent."""

    def __init__(self, token: str) -> None:
        self._token = checked_secret(token)

    def token(self) -> str:
        return self._token

    def refused(self, token: str) -> bool:
        return False

    def __repr__(self) -> str:
        return "StaticToken(…)"
