"""Kit v4, "OAuth Authentication": where to send the browser, and tokens for what it brings back."""

from __future__ import annotations

from urllib.parse import urlencode

from mktg_integration.exceptions import Action
from mktg_integration.http import DEFAULT, AnswerHook, NoAuth, RateLimiter, Session
from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, parsed

DEFAULT_AUTHORIZE_URL = "https://app.kit.com/oauth/authorize"
_TOKEN = "/oauth/token"  # noqa: S105 - a path
_ERRORS = DEFAULT.overridden(
    codes={(400, "invalid_grant"): Action.RECONNECT, (400, "invalid_client"): Action.RECONNECT}
)


class KitOAuth(KitBase):
    """The token endpoint. ``client_secret`` is for confidential apps; others use PKCE (``code_verifier``).

    Refresh tokens are single-use: whoever refreshes has to save the new one before it is used.
    """

    def __init__(
        self,
        client_id: str,
        client_secret: str = "",
        *,
        base_url: str = "https://api.kit.com",
        limiter: RateLimiter | None = None,
        deadline: float = 30.0,
        on_answer: AnswerHook | None = None,
    ) -> None:
        super().__init__(
            Session(
                "kit",
                base_url,
                auth=NoAuth(),
                limiter=limiter,
                deadline=deadline,
                error_table=_ERRORS,
                on_answer=on_answer,
            )
        )
        self._client_id = client_id
        self._client_secret = client_secret

    def __repr__(self) -> str:
        return "KitOAuth(…)"

    def authorize_url(
        self,
        redirect_uri: str,
        state: str,
        *,
        code_challenge: str = "",
        scope: str = "",
        tenant_name: str = "",
        url: str = DEFAULT_AUTHORIZE_URL,
    ) -> str:
        """ "Get an authorization code grant": the address for the browser, by PKCE (S256) where a challenge is given.

        ``tenant_name`` (beyond the document) gives each site its own tokens on one account.
        """
        query = {
            "client_id": self._client_id,
            "response_type": "code",
            "redirect_uri": redirect_uri,
            "state": state,
            "scope": scope,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256" if code_challenge else "",
            "tenant_name": tenant_name,
        }
        return f"{url}?{urlencode({name: value for name, value in query.items() if value})}"

    def exchange_code(self, code: str, redirect_uri: str, *, code_verifier: str = "") -> schemas.Token:
        """ "Get a new token using an authorization code" (with the verifier: its PKCE form)."""
        return self._token(
            grant_type="authorization_code", code=code, redirect_uri=redirect_uri, code_verifier=code_verifier
        )

    def refresh(self, refresh_token: str) -> schemas.Token:
        """ "Get a new token using a refresh token". A used or revoked one is a ``ServiceError`` (RECONNECT)."""
        return self._token(grant_type="refresh_token", refresh_token=refresh_token)

    def revoke(self, token: str) -> None:
        """RFC 7009 at ``/oauth/revoke`` (beyond the document)."""
        form = {"client_id": self._client_id, "client_secret": self._client_secret, "token": token}
        given = {name: value for name, value in form.items() if value}
        self._request("POST", "/oauth/revoke", form=given, expect=(200, 204))

    def _token(self, **grant: str) -> schemas.Token:
        form = {"client_id": self._client_id, "client_secret": self._client_secret, **grant}
        answer = self._request("POST", _TOKEN, form={name: value for name, value in form.items() if value})
        return parsed(schemas.Token, answer, f"POST {_TOKEN}")
