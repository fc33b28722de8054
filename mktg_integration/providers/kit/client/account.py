"""Kit v4, "Accounts"."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from mktg_integration.exceptions import ServiceError
from mktg_integration.providers.kit import schemas
from mktg_integration.providers.kit.client.base import KitBase, day

_COLORS = "/v4/account/colors"
MAX_COLORS = 5


class Accounts(KitBase):
    def get_account(self) -> schemas.Account:
        """ "Get current account"."""
        return self._get("/v4/account", schemas.Account)

    def list_colors(self) -> tuple[str, ...]:
        """ "List colors": hex codes."""
        return self._get(_COLORS, schemas.Colors).colors

    def update_colors(self, colors: Iterable[str]) -> tuple[str, ...]:
        """ "Update colors". Raises ``ValueError`` for more than five."""
        given = list(colors)
        if len(given) > MAX_COLORS:
            raise ValueError(f"Kit keeps at most {MAX_COLORS} colors")
        return self._send("PUT", _COLORS, schemas.Colors, json={"colors": given}, expect=(200,))[0].colors

    def get_creator_profile(self) -> schemas.CreatorProfile | None:
        """ "Get Creator Profile"; None where the account has none (Kit answers 404)."""
        try:
            return self._get("/v4/account/creator_profile", schemas.CreatorProfileAnswer).profile
        except ServiceError as error:
            if error.status == 404:
                return None
            raise

    def get_email_stats(self) -> schemas.EmailStats:
        """ "Get email stats": the last 90 days."""
        return self._get("/v4/account/email_stats", schemas.EmailStatsAnswer).stats

    def get_growth_stats(
        self, *, starting: date | str | None = None, ending: date | str | None = None
    ) -> schemas.GrowthStats:
        """ "Get growth stats" of some days, by default the last 90, in the account's own time zone (not UTC)."""
        query = {"starting": day(starting), "ending": day(ending)}
        return self._get("/v4/account/growth_stats", schemas.GrowthStatsAnswer, query=query).stats
