"""Kit's client: all resources over one session."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.http import (
    AnswerHook,
    Auth,
    BearerAuth,
    HeaderAuth,
    RateLimiter,
    RollingWindow,
    Session,
    StaticToken,
    TokenSource,
)
from mktg_integration.providers.kit.client.account import Accounts
from mktg_integration.providers.kit.client.broadcasts import Broadcasts
from mktg_integration.providers.kit.client.custom_fields import CustomFields
from mktg_integration.providers.kit.client.lists import Lists
from mktg_integration.providers.kit.client.members import Members
from mktg_integration.providers.kit.client.newer import Newer
from mktg_integration.providers.kit.client.purchases import Purchases
from mktg_integration.providers.kit.client.subscribers import Subscribers
from mktg_integration.providers.kit.client.tags import Tags
from mktg_integration.providers.kit.client.webhooks import Webhooks

SERVICE = "kit"
DEFAULT_BASE_URL = "https://api.kit.com"
API_KEY_HEADER = "X-Kit-Api-Key"
WINDOW_SECONDS = 60.0
REQUESTS_BY_KEY = 120
"""Document, "Rate limiting": in any rolling window, for a given API key."""
REQUESTS_BY_OAUTH = 600


class KitClient(Accounts, Broadcasts, CustomFields, Subscribers, Tags, Lists, Members, Purchases, Webhooks, Newer):
    """Every endpoint of Kit's v4 document, typed (tokens: ``KitOAuth``), and newer ones, each said to be so.

    Give ``api_key``, or ``access_token``, or ``tokens`` (a source that can refresh). What is under ``/v4/bulk/`` and
    purchases need OAuth (a token). Without ``limiter`` the documented rate is kept within this process.
    ``deadline`` is the most seconds that one request takes. Safe to share between threads.

    All methods raise ``ServiceError`` where Kit refuses or does not answer, with all of its messages, and
    ``MalformedAnswerError`` where an answer is not as documented.
    """

    def __init__(
        self,
        *,
        api_key: str = "",
        access_token: str = "",
        tokens: TokenSource | None = None,
        base_url: str = DEFAULT_BASE_URL,
        limiter: RateLimiter | None = None,
        deadline: float = 30.0,
        connect_timeout: float = 5.0,
        on_answer: AnswerHook | None = None,
    ) -> None:
        if tokens is None and access_token:
            tokens = StaticToken(access_token)
        if (tokens is None) == (not api_key):
            raise ConfigurationError("Kit needs either an API key or an access token: give one of the two")
        self.is_oauth = tokens is not None
        auth: Auth = BearerAuth(tokens) if tokens is not None else HeaderAuth(API_KEY_HEADER, api_key)
        if limiter is None:
            limiter = RollingWindow(REQUESTS_BY_OAUTH if self.is_oauth else REQUESTS_BY_KEY, WINDOW_SECONDS)
        super().__init__(
            Session(
                SERVICE,
                base_url,
                auth=auth,
                limiter=limiter,
                deadline=deadline,
                connect_timeout=connect_timeout,
                on_answer=on_answer,
            )
        )

    def __repr__(self) -> str:
        return f"KitClient({self._session.base_url!r}, {'OAuth' if self.is_oauth else 'API key'})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections that are kept alive."""
        self._session.close()
