"""Where a bearer token comes from. The engines inject one that refreshes under a lease in the database."""

from __future__ import annotations

from typing import Protocol


class TokenSource(Protocol):
    """Gives the access token to use now."""

    def token(self) -> str:
        """A token that is believed to be valid. Raises ``ServiceError`` (RECONNECT) where there is none."""

    def refused(self, token: str) -> bool:
        """The service answered 401 to ``token``: try to get another. True: ``token()`` now gives a newer one."""


class StaticToken:
    """A token that does not change."""

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        return self._token

    def refused(self, token: str) -> bool:
        return False

    def __repr__(self) -> str:
        return "StaticToken(…)"
