"""ConvertLoop's tracking script: which it is, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from mktg_integration.exceptions import ConfigurationError

JSON = Any


@dataclass(frozen=True, slots=True)
class Tracking:
    """``src``: the script's address. ``configure``: what ``_dp("configure", …)`` is given."""

    src: str
    configure: Mapping[str, JSON]


def tracking(connection: str, *, app_id: str, src: str) -> Tracking:
    """Raises ``ConfigurationError`` naming the key that is missing or wrong.

    The script's address is in the snippet that ConvertLoop shows under Settings; no document names it.
    """
    parts = urlsplit(src)
    if parts.scheme != "https" or not parts.netloc:
        raise ConfigurationError(
            f"{connection}: set TRACKING_SCRIPT to the address of loop.min.js (https://…) in ConvertLoop's own snippet"
        )
    if not app_id:
        raise ConfigurationError(f"{connection}: ConvertLoop needs APP_ID (ConvertLoop, Settings > Account)")
    return Tracking(src=src, configure={"appId": app_id, "autoTrack": True})
