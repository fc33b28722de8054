"""How often a preference link may be used."""

from __future__ import annotations

import hashlib
from typing import Any, Final

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from mktg_integration import preference_links
from mktg_integration.conf import api_rate

SCOPE: Final = "mktg-link"


class LinkThrottle(SimpleRateThrottle):
    """By the link, and by the caller's address where it is none of this site's: mail services unsubscribe many people
    from few addresses. ``MKTG_INTEGRATION["API"]["THROTTLE_RATES"]["mktg-link"]`` replaces the rate."""

    scope = SCOPE

    def get_rate(self) -> str | None:
        return api_rate(SCOPE)

    def get_cache_key(self, request: Request, view: Any) -> str | None:
        token = str(view.kwargs["token"])
        whose = self.get_ident(request) if preference_links.read(token) is None else token
        return self.cache_format % {"scope": self.scope, "ident": hashlib.sha256(whose.encode()).hexdigest()}
