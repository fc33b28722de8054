"""Which providers there are: the three of this package, and those that others register by entry point."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from mktg_integration.exceptions import ConfigurationError
from mktg_integration.providers.base import Provider

ENTRY_POINT_GROUP = "mktg_integration.providers"
BUILT_IN = {
    "kit": "mktg_integration.providers.kit:KitProvider",
    "conversion": "mktg_integration.providers.conversion:ConversionProvider",
    "convertloop": "mktg_integration.providers.convertloop:ConvertLoopProvider",
}


@cache
def _registered() -> dict[str, str]:
    found = {point.name: point.value for point in entry_points(group=ENTRY_POINT_GROUP)}
    return {**found, **BUILT_IN}


def provider_names() -> tuple[str, ...]:
    """All known names, in alphabetical order."""
    return tuple(sorted(_registered()))


@cache
def get_provider(name: str) -> Provider[Any, Any]:
    """The provider of that name. Raises ``ConfigurationError`` where no package registers it."""
    try:
        path = _registered()[name]
    except KeyError:
        known = ", ".join(provider_names())
        raise ConfigurationError(f"PROVIDER {name!r} is not known; use one of: {known}") from None
    module, _, attribute = path.partition(":")
    provider: Provider[Any, Any] = getattr(import_module(module), attribute)()
    return provider
