"""OAuth 2.0, as far as all providers share it: what one declares, and a client that is made of the declaration.

The authorization code grant with PKCE (RFC 6749 section 4.1, RFC 7636), refresh (RFC 6749 section 6) and revocation
(RFC 7009). A provider whose token endpoint differs overrides ``Provider.oauth_client``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from authlib.common.security import generate_token
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError
from mktg_integration.http import DEFAULT, AnswerHook, NoAuth, RateLimiter, Session

INVALID_GRANT = "invalid_grant"
INVALID_CLIENT = "invalid_client"
VERIFIER_LENGTH = 64
"""Characters; RFC 7636 section 4.1 allows 43 to 128."""
LIFETIME = 3600.0
"""Seconds; where a token endpoint does not tell how long a token is good, it is replaced as if it were for so long."""
_ERRORS = DEFAULT.overridden(
    codes={(400, INVALID_GRANT): Action.RECONNECT, (400, INVALID_CLIENT): Action.RECONNECT},
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OAuthEndpoints:
    """What a provider declares. Paths are appended to the connection's base address.

    ``redirect_hosts``: the service's own hosts, subdomains included, that the browser may be sent back to over https.
    The other names are the keys of ``Account.credentials`` under which each secret is known.
    """

    authorize_url: str
    token_path: str = "/oauth/token"  # noqa: S105 - a path
    revoke_path: str = ""
    scope: str = ""
    redirect_hosts: tuple[str, ...] = ()
    extra_names: tuple[str, ...] = ()
    """Further parameters that the authorize address takes, as a site may set them (in upper case)."""
    access_token: str = "ACCESS_TOKEN"  # noqa: S105 - a key's name
    refresh_token: str = "REFRESH_TOKEN"  # noqa: S105 - a key's name
    client_id: str = "CLIENT_ID"
    client_secret: str = "CLIENT_SECRET"  # noqa: S105 - a key's name

    def allows_redirect_host(self, host: str) -> bool:
        """Whether ``host`` (lower case, without port) is one of the service's own."""
        return any(host == own or host.endswith("." + own) for own in self.redirect_hosts)


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenPair:
    """What a token endpoint gave. ``expires_in`` is in seconds; ``refresh_token`` may be empty."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_in: float = LIFETIME
    answer: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """All that the endpoint answered, the tokens among it."""


def new_verifier() -> str:
    """A PKCE code verifier."""
    return str(generate_token(VERIFIER_LENGTH))


class OAuthClient:
    """The token endpoint of one app at one service. ``service`` is the provider's name, for errors.

    Refresh tokens may be single-use: whoever refreshes has to save the new pair before it is used.
    """

    def __init__(
        self,
        service: str,
        endpoints: OAuthEndpoints,
        *,
        base_url: str,
        client_id: str,
        client_secret: str = "",
        authorize_url: str = "",
        extra: Mapping[str, str] | None = None,
        limiter: RateLimiter | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 5.0,
        on_answer: AnswerHook | None = None,
    ) -> None:
        self._service = service
        self._endpoints = endpoints
        self._authorize_url = authorize_url or endpoints.authorize_url
        self._extra = {name.lower(): value for name, value in (extra or {}).items() if value}
        self._client_id = client_id
        self._client_secret = client_secret
        self._session = Session(
            service,
            base_url,
            auth=NoAuth(),
            limiter=limiter,
            deadline=deadline,
            connect_timeout=connect_timeout,
            error_table=_ERRORS,
            on_answer=on_answer,
        )

    def __repr__(self) -> str:
        return f"OAuthClient({self._service!r}, …)"

    @property
    def authorize_host(self) -> str:
        """Where the browser is sent, for what a page may say of it."""
        return urlsplit(self._authorize_url).hostname or ""

    def authorize_url(
        self, redirect_uri: str, state: str, *, verifier: str = "", challenge: str = "", scope: str = ""
    ) -> str:
        """The address for the browser, by PKCE S256 (RFC 7636 section 4.3) with a ``verifier`` or what was made of one.

        ``scope`` takes the place of the one declared.
        """
        challenge = create_s256_code_challenge(verifier) if verifier else challenge
        pkce = {"code_challenge": challenge, "code_challenge_method": "S256"} if challenge else {}
        return str(
            prepare_grant_uri(
                self._authorize_url,
                self._client_id,
                "code",
                redirect_uri=redirect_uri,
                scope=scope or self._endpoints.scope or None,
                state=state,
                **pkce,
                **self._extra,
            )
        )

    def exchange_code(self, code: str, redirect_uri: str, *, verifier: str = "") -> TokenPair:
        """RFC 6749 section 4.1.3 with RFC 7636 section 4.5. Raises ``ServiceError``, ``MalformedAnswerError``."""
        return self._ask(grant_type="authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=verifier)

    def refresh(self, refresh_token: str) -> TokenPair:
        """RFC 6749 section 6. A used or revoked token is a ``ServiceError`` whose code is ``INVALID_GRANT``.

        Where the answer brings no refresh token, the one given stays good.
        """
        pair = self._ask(grant_type="refresh_token", refresh_token=refresh_token)
        if pair.refresh_token:
            return pair
        return replace(pair, refresh_token=refresh_token)

    def revoke(self, token: str) -> None:
        """RFC 7009; nothing where the provider declares no way. Raises ``ServiceError``."""
        if self._endpoints.revoke_path:
            self._session.request("POST", self._endpoints.revoke_path, form=self._form(token=token), expect=(200, 204))

    def close(self) -> None:
        self._session.close()

    def _form(self, **given: str) -> dict[str, str]:
        form = {"client_id": self._client_id, "client_secret": self._client_secret, **given}
        return {name: value for name, value in form.items() if value}

    def _ask(self, **grant: str) -> TokenPair:
        answer = self._session.request("POST", self._endpoints.token_path, form=self._form(**grant))
        return self._pair(answer.payload)

    def _pair(self, payload: Any) -> TokenPair:
        given = payload if isinstance(payload, Mapping) else {}
        access, refresh = given.get("access_token"), given.get("refresh_token") or ""
        lifetime = given.get("expires_in", LIFETIME)
        wrong = [
            name
            for name, good in (
                ("access_token", isinstance(access, str) and access != ""),
                ("refresh_token", isinstance(refresh, str)),
                ("expires_in", isinstance(lifetime, int | float) and not isinstance(lifetime, bool)),
            )
            if not good
        ]
        if wrong:
            raise MalformedAnswerError(
                f"{self._service}: POST {self._endpoints.token_path} is not as documented: {', '.join(wrong)}"
            )
        return TokenPair(
            access_token=str(access), refresh_token=refresh, expires_in=max(0.0, float(lifetime)), answer=given
        )


def is_refused_grant(error: ServiceError) -> bool:
    """Whether the service says that a code or refresh token is used, revoked, expired or another app's."""
    return error.code == INVALID_GRANT


def is_refused_client(error: ServiceError) -> bool:
    """Whether the service does not know the app, or refuses its secret."""
    return error.code == INVALID_CLIENT
