"""How any request leaves: one session, the error table, redaction, and the seams for rate and tokens."""

from mktg_integration.http.limits import RateLimiter, RollingWindow, Unlimited
from mktg_integration.http.tokens import StaticToken, TokenSource

__all__ = ["RateLimiter", "RollingWindow", "StaticToken", "TokenSource", "Unlimited"]
