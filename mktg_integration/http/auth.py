"""How a request proves who it comes from."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Protocol

from mktg_integration.http.tokens import TokenSource, checked_secret


class Auth(Protocol):
    """Adds credentials to a request's headers."""

    def headers(self) -> Mapping[str, str]:
        """The headers to send with the next request."""

    def refused(self, headers: Mapping[str, str]) -> bool:
        """The service answered 401 to ``headers``. True: ``headers()`` now gives others, worth one more try."""


class NoAuth:
    """For requests that carry their credentials in the body (an OAuth token request)."""

    def headers(self) -> Mapping[str, str]:
        return {}

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False


class HeaderAuth:
    """A secret in a header of the service's own name, such as ``X-Kit-Api-Key``.

    Raises ``ConfigurationError`` where it cannot be sent.
    """

    def __init__(self, name: str, secret: str) -> None:
        self._name = name
        self._secret = checked_secret(secret)

    def headers(self) -> Mapping[str, str]:
        return {self._name: self._secret}

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False

    def __repr__(self) -> str:
        return f"HeaderAuth({self._name!r}, …)"


class BasicAuth:
    """User and password by RFC 7617."""

    def __init__(self, user: str, password: str) -> None:
        self._user = user
        self._password = password

    def headers(self) -> Mapping[str, str]:
        pair = b64encode(f"{self._user}:{self._password}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    def refused(self, headers: Mapping[str, str]) -> bool:
        return False

    def __repr__(self) -> str:
        return "BasicAuth(…)"


class BearerAuth:
    """A bearer token by RFC 6750; a refused one is handed back to its source, which may have a newer one."""

    _prefix = "Bearer "

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def headers(self) -> Mapping[str, str]:
        return {"Authorization": self._prefix + self._tokens.token()}

    def refused(self, headers: Mapping[str, str]) -> bool:
        return self._tokens.refused(headers["Authorization"].removeprefix(self._prefix))

    def __repr__(self) -> str:
        return "BearerAuth(…)"
