"""How any request leaves: one session, the error table, redaction, and the seams for rate and tokens."""

from mktg_integration.http.answers import LastAnswer, take_answer
from mktg_integration.http.auth import Auth, BasicAuth, BearerAuth, HeaderAuth, NoAuth
from mktg_integration.http.errors import DEFAULT, ErrorBody, ErrorReader, ErrorTable, read_errors
from mktg_integration.http.limits import RateLimiter, RollingWindow, Unlimited
from mktg_integration.http.redaction import RedactionFilter, redact, redact_message
from mktg_integration.http.session import (
    USER_AGENT,
    AnswerHook,
    HttpAnswer,
    QueryValue,
    Session,
    checked_base_url,
    retry_after,
)
from mktg_integration.http.tokens import StaticToken, TokenSource

__all__ = [
    "DEFAULT",
    "USER_AGENT",
    "AnswerHook",
    "Auth",
    "BasicAuth",
    "BearerAuth",
    "ErrorBody",
    "ErrorReader",
    "ErrorTable",
    "HeaderAuth",
    "HttpAnswer",
    "LastAnswer",
    "NoAuth",
    "QueryValue",
    "RateLimiter",
    "RedactionFilter",
    "RollingWindow",
    "Session",
    "StaticToken",
    "TokenSource",
    "Unlimited",
    "checked_base_url",
    "read_errors",
    "redact",
    "redact_message",
    "retry_after",
    "take_answer",
]
