"""The options of a ConvertLoop connection."""

from __future__ import annotations

from dataclasses import dataclass

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.providers import values
from mktg_integration.providers.base import Account

OPTION_NAMES = ("PROFILE", "UNKNOWN_CONSENT", "EVENT_TIME_KEY", "REQUESTS_PER_SECOND", "TRACKING_SCRIPT")
EVENT_TIME_KEY = "ocurred_at"
"""The document spells it so in its text, and ``occured_at`` in its table; public clients differ as well."""
EVENT_KEYS = frozenset({"name", "person", "metadata"})


@dataclass(frozen=True, kw_only=True, slots=True)
class ConvertLoopOptions:
    """``event_time_key``: the key under which an event's time is sent."""

    event_time_key: str = EVENT_TIME_KEY
    requests_per_second: int | None = None


def parse_options(account: Account) -> ConvertLoopOptions:
    """The account's options. Raises ``ConfigurationError`` naming the option that is wrong."""
    key = values.text(account, "EVENT_TIME_KEY", default=EVENT_TIME_KEY)
    if not key or key in EVENT_KEYS:
        raise ConfigurationError(f"{account.name}: EVENT_TIME_KEY must be a key such as {EVENT_TIME_KEY!r}")
    rate = account.options.get("REQUESTS_PER_SECOND")
    if rate is not None:
        rate = values.whole_number(account, "REQUESTS_PER_SECOND", default=1, most=1000)
    return ConvertLoopOptions(event_time_key=key, requests_per_second=rate)
