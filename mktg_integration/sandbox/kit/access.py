"""Who may call, and how often ("OAuth Authentication", "API Key Authentication", "Rate limiting")."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..credentials import KitCredentials
from .objects import RateLimit
from .stats import Stats
from .world import World

Kind = Literal["api_key", "oauth"]


@dataclass(frozen=True)
class Caller:
    kind: Kind
    credential: str = field(repr=False)


def caller(headers: Mapping[str, str], credentials: KitCredentials, world: World, now: float) -> Caller | None:
    """Who a request comes from; None where it names no credential or one that is not good."""
    scheme, _, token = headers.get("authorization", "").strip().partition(" ")
    token = token.strip()
    if scheme:
        known = token in credentials.access_tokens or any(
            row.access_token == token and not row.revoked and row.expires_at > now for row in world.tokens
        )
        return Caller("oauth", token) if scheme.lower() == "bearer" and token and known else None
    key = headers.get("x-kit-api-key", "").strip()
    return Caller("api_key", key) if key and key in credentials.api_keys else None


@dataclass
class _Use:
    asked: deque[float] = field(default_factory=deque)
    allowed: deque[float] = field(default_factory=deque)


class RateMeter:
    """Counts each credential's requests in a rolling window."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[Caller, _Use] = {}

    def allows(self, who: Caller, limit: RateLimit | None, stats: Stats) -> bool:
        """Count one request and say whether it is within the limit; one that is not does not use it up."""
        now = self._clock()
        window = limit.seconds if limit else RateLimit().seconds
        use = self._uses.setdefault(who, _Use())
        for times in (use.asked, use.allowed):
            while times and times[0] <= now - window:
                times.popleft()
        use.asked.append(now)
        stats.rate_peak[who.kind] = max(stats.rate_peak.get(who.kind, 0), len(use.asked))
        if limit is not None and len(use.allowed) >= getattr(limit, who.kind):
            stats.rejected[who.kind] += 1
            return False
        use.allowed.append(now)
        return True
