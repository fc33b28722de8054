"""Kit (formerly ConvertKit), API v4: the client, and the provider that the engines use."""

from mktg_integration.providers.kit.client import KitClient
from mktg_integration.providers.kit.provider import KitProvider

__all__ = ["KitClient", "KitProvider"]
