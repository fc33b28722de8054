"""Kit v4, "OAuth Authentication": where to send the browser, and tokens for what it brings back."""

from __future__ import annotations

from mktg_integration.http import AnswerHook, RateLimiter
from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import checked
from mktg_integration.providers.oauth import OAuthClient, OAuthEndpoints, TokenPair

DEFAULT_AUTHORIZE_URL = "https://app.kit.com/oauth/authorize"
_TOKEN = "/oauth/token"  # noqa: S105 - a path

ENDPOINTS = OAuthEndpoints(
    authorize_url=DEFAULT_AUTHORIZE_URL,
    token_path=_TOKEN,
    revoke_path="/oauth/revoke",
    redirect_hosts=("kit.com", "convertkit.com"),
    extra_names=("TENANT_NAME",),
)


class KitOAuth:
    """``OAuthClient`` at Kit, with the document's words. ``client_secret`` is for confidential apps; others use PKCE
    (``code_verifier``).

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
        def app(url: str = "", tenant_name: str = "") -> OAuthClient:
            return OAuthClient(
                "kit",
                ENDPOINTS,
                base_url=base_url,
                client_id=client_id,
                client_secret=client_secret,
                authorize_url=url,
                extra={"tenant_name": tenant_name},
                limiter=limiter,
                deadline=deadline,
                on_answer=on_answer,
            )

        self._app_at = app
        self._app = app()

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
        app = self._app_at(url, tenant_name)
        return app.authorize_url(redirect_uri, state, challenge=code_challenge, scope=scope)

    def exchange_code(self, code: str, redirect_uri: str, *, code_verifier: str = "") -> schemas.Token:
        """ "Get a new token using an authorization code" (with the verifier: its PKCE form)."""
        return _token(self._app.exchange_code(code, redirect_uri, verifier=code_verifier))

    def refresh(self, refresh_token: str) -> schemas.Token:
        """ "Get a new token using a refresh token". A used or revoked one is a ``ServiceError`` (RECONNECT)."""
        return _token(self._app.refresh(refresh_token))

    def revoke(self, token: str) -> None:
        """RFC 7009 at ``/oauth/revoke`` (beyond the document)."""
        self._app.revoke(token)


def _token(pair: TokenPair) -> schemas.Token:
    return checked(schemas.Token, dict(pair.answer), f"POST {_TOKEN}")
