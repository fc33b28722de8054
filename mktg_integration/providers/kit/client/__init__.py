"""A typed client of Kit's v4 API, usable on its own: ``KitClient(api_key="kit_…")``."""

from mktg_integration.providers.kit.client.base import KitPage, Listing, Written
from mktg_integration.providers.kit.client.broadcasts import BroadcastBody
from mktg_integration.providers.kit.client.client import DEFAULT_BASE_URL, KitClient
from mktg_integration.providers.kit.client.oauth import DEFAULT_AUTHORIZE_URL, KitOAuth
from mktg_integration.providers.kit.client.purchases import ProductBody, PurchaseBody

__all__ = [
    "DEFAULT_AUTHORIZE_URL",
    "DEFAULT_BASE_URL",
    "BroadcastBody",
    "KitClient",
    "KitOAuth",
    "KitPage",
    "Listing",
    "ProductBody",
    "PurchaseBody",
    "Written",
]
