"""A typed client of Kit's v4 API, usable on its own: ``KitClient(api_key="kit_…")``."""

from mktg_integration.providers.kit.client.base import KitPage, Listing, Written
from mktg_integration.providers.kit.client.client import DEFAULT_BASE_URL, KitClient

__all__ = ["DEFAULT_BASE_URL", "KitClient", "KitPage", "Listing", "Written"]
