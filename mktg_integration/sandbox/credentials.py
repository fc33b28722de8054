"""Whom the sandbox lets in: its published credentials, and those that a world file or the environment adds.

The defaults are no secrets: they open nothing but a sandbox. Those read from the environment may be real, so
they are never dumped, printed or logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

KIT_API_KEY = "kit_sandbox_key"
KIT_ACCESS_TOKEN = "kit_sandbox_token"
KIT_CLIENT_ID = "kit_sandbox_client"
KIT_CLIENT_SECRET = "kit_sandbox_secret"
CONVERSION_API_KEY = "sk_live_sandbox_secret"
CONVERTLOOP_APP_ID = "sandbox_app"
CONVERTLOOP_API_KEY = "sandbox_key"


@dataclass
class KitCredentials:
    """Kit's: ``X-Kit-Api-Key`` values, bearer tokens, and OAuth clients (id to secret)."""

    api_keys: set[str] = field(default_factory=lambda: {KIT_API_KEY})
    access_tokens: set[str] = field(default_factory=lambda: {KIT_ACCESS_TOKEN})
    clients: dict[str, str] = field(default_factory=lambda: {KIT_CLIENT_ID: KIT_CLIENT_SECRET})


@dataclass
class ConversionCredentials:
    """Conversion's: one key opens v2 (``X-API-Key``) and v1 (``Authorization: Bearer``)."""

    api_keys: set[str] = field(default_factory=lambda: {CONVERSION_API_KEY})


@dataclass
class ConvertLoopCredentials:
    """ConvertLoop's Basic authentication: ``app_id`` to ``api_key``."""

    apps: dict[str, str] = field(default_factory=lambda: {CONVERTLOOP_APP_ID: CONVERTLOOP_API_KEY})


@dataclass
class Credentials:
    """All three services' credentials. The services keep these objects, so changes are made in place."""

    kit: KitCredentials = field(default_factory=KitCredentials)
    conversion: ConversionCredentials = field(default_factory=ConversionCredentials)
    convertloop: ConvertLoopCredentials = field(default_factory=ConvertLoopCredentials)

    def add_from_environment(self, environ: Mapping[str, str]) -> list[str]:
        """Let in what a site's environment names too; answers the names of the variables used, never values."""
        used: list[str] = []

        def read(name: str) -> str:
            value = environ.get(name, "")
            if value:
                used.append(name)
            return value

        if key := read("KIT_API_KEY"):
            self.kit.api_keys.add(key)
        if token := read("KIT_ACCESS_TOKEN"):
            self.kit.access_tokens.add(token)
        if key := read("CONVERSION_API_KEY"):
            self.conversion.api_keys.add(key)
        # A pair counts only when whole: half of one would let in an empty secret.
        if environ.get("KIT_CLIENT_ID") and environ.get("KIT_CLIENT_SECRET"):
            self.kit.clients |= {read("KIT_CLIENT_ID"): read("KIT_CLIENT_SECRET")}
        if environ.get("CONVERTLOOP_APP_ID") and environ.get("CONVERTLOOP_API_KEY"):
            self.convertloop.apps |= {read("CONVERTLOOP_APP_ID"): read("CONVERTLOOP_API_KEY")}
        return used
