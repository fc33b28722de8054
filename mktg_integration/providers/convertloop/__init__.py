"""ConvertLoop: people, segments and events by its REST API v1."""

from mktg_integration.providers.convertloop.client import ConvertLoopClient
from mktg_integration.providers.convertloop.normal import RESERVED_KEYS
from mktg_integration.providers.convertloop.options import ConvertLoopOptions
from mktg_integration.providers.convertloop.provider import ConvertLoopProvider

__all__ = ["RESERVED_KEYS", "ConvertLoopClient", "ConvertLoopOptions", "ConvertLoopProvider"]
