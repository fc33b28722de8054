"""Conversion: contacts by v2 (default) or v1."""

from mktg_integration.providers.conversion.client import ConversionClient
from mktg_integration.providers.conversion.options import ConversionOptions, Dialect
from mktg_integration.providers.conversion.provider import ConversionProvider

__all__ = ["ConversionClient", "ConversionOptions", "ConversionProvider", "Dialect"]
