"""What the example site reads of its environment. It imports no Django, so settings can be built from it."""

from __future__ import annotations

import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from cryptography.fernet import Fernet

from mktg_integration.sandbox import credentials as sandbox

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}
SQLITE_OPTIONS: dict[str, Any] = {
    # A transaction that reads first and writes later cannot wait for another writer; one that locks at once can.
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    # Readers do not wait for the writer.
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
DEFAULT_SANDBOX_URL = "http://127.0.0.1:8765"
CREDENTIALS = (
    "KIT_API_KEY",
    "KIT_ACCESS_TOKEN",
    "KIT_CLIENT_ID",
    "CONVERSION_API_KEY",
    "CONVERTLOOP_APP_ID",
    "CONVERTLOOP_API_KEY",
)


def database(url: str, *, tune_sqlite: bool = True) -> dict[str, Any]:
    """An entry of ``DATABASES`` for ``sqlite:///file``, ``postgres://…`` or ``mysql://…``.

    A query string becomes ``OPTIONS``; a socket's folder is given as a percent-encoded host. ``tune_sqlite=False``
    leaves SQLite as Django has it. Raises ``ValueError`` for a scheme that it does not know.
    """
    parts = urlsplit(url)
    if parts.scheme not in ENGINES:
        raise ValueError(f"DATABASE_URL begins with {parts.scheme!r}; use one of: {', '.join(sorted(ENGINES))}")
    entry: dict[str, Any] = {"ENGINE": ENGINES[parts.scheme], "OPTIONS": _options(parts.query)}
    if parts.scheme == "sqlite":
        entry["NAME"] = unquote(parts.path[1:]) or ":memory:"
        if tune_sqlite:
            entry["OPTIONS"] = {**SQLITE_OPTIONS, **entry["OPTIONS"]}
        return entry
    entry |= {
        "NAME": unquote(parts.path[1:]),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(parts.port or ""),
    }
    if "mysql" in entry["ENGINE"]:
        entry["OPTIONS"].setdefault("charset", "utf8mb4")
    return entry


def _options(query: str) -> dict[str, Any]:
    return {name: int(value) if value.isdigit() else value for name, value in parse_qsl(query)}


def connections(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """``MKTG_INTEGRATION["CONNECTIONS"]``: a connection for each provider with a credential, else the sandbox's."""
    given = {name: environ.get(name, "") for name in CREDENTIALS}
    if not any(given.values()):
        return _sandbox_connections(environ)
    found: dict[str, dict[str, Any]] = {}
    if given["KIT_ACCESS_TOKEN"] or given["KIT_API_KEY"]:
        found["kit"] = {
            "PROVIDER": "kit",
            # A token may make bulk calls and an API key may not, so of two the token is used.
            **(_named(environ, "KIT", "ACCESS_TOKEN") or _named(environ, "KIT", "API_KEY")),
            **_named(environ, "KIT", "CLIENT_ID", "CLIENT_SECRET", "BASE_URL"),
        }
    if given["CONVERSION_API_KEY"]:
        found["conversion"] = {"PROVIDER": "conversion", **_named(environ, "CONVERSION", "API_KEY", "BASE_URL")}
    if given["CONVERTLOOP_APP_ID"] or given["CONVERTLOOP_API_KEY"]:
        found["convertloop"] = {
            "PROVIDER": "convertloop",
            **_named(environ, "CONVERTLOOP", "APP_ID", "API_KEY", "BASE_URL"),
        }
    return found


def oauth_apps(environ: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """``MKTG_INTEGRATION["OAUTH"]``: the app of ``KIT_CLIENT_ID``; without any credential in the environment the one
    that the sandbox knows, so that Connect can be tried."""
    if environ.get("KIT_CLIENT_ID"):
        return {"kit": _named(environ, "KIT", "CLIENT_ID", "CLIENT_SECRET", "AUTHORIZE_URL", "BASE_URL")}
    if any(environ.get(name) for name in CREDENTIALS):
        return {}
    base_url = _sandbox_connections(environ)["kit"]["BASE_URL"]
    app = {"CLIENT_ID": sandbox.KIT_CLIENT_ID, "CLIENT_SECRET": sandbox.KIT_CLIENT_SECRET, "BASE_URL": base_url}
    return {"kit": {**app, "AUTHORIZE_URL": environ.get("KIT_AUTHORIZE_URL") or f"{base_url}/oauth/authorize"}}


def _sandbox_connections(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    url = environ.get("SANDBOX_URL", DEFAULT_SANDBOX_URL).rstrip("/")
    return {
        "kit": {
            "PROVIDER": "kit",
            "BASE_URL": environ.get("KIT_BASE_URL") or f"{url}/kit",
            "ACCESS_TOKEN": sandbox.KIT_ACCESS_TOKEN,
        },
        "conversion": {
            "PROVIDER": "conversion",
            "BASE_URL": environ.get("CONVERSION_BASE_URL") or f"{url}/conversion/api",
            "API_KEY": sandbox.CONVERSION_API_KEY,
        },
        "convertloop": {
            "PROVIDER": "convertloop",
            "BASE_URL": environ.get("CONVERTLOOP_BASE_URL") or f"{url}/convertloop/v1",
            "APP_ID": sandbox.CONVERTLOOP_APP_ID,
            "API_KEY": sandbox.CONVERTLOOP_API_KEY,
        },
    }


def _named(environ: Mapping[str, str], prefix: str, *names: str) -> dict[str, str]:
    return {name: environ[f"{prefix}_{name}"] for name in names if environ.get(f"{prefix}_{name}")}


def local_secrets(path: Path) -> dict[str, str]:
    """``SECRET_KEY`` and ``ENCRYPTION_KEY`` of this machine, made at the first start and kept in a file.

    For the example alone: a real site takes its keys from its secret store, apart from the database.
    """
    if not path.exists():
        made = {"SECRET_KEY": secrets.token_urlsafe(50), "ENCRYPTION_KEY": Fernet.generate_key().decode()}
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as draft:
            draft.write(json.dumps(made))
            draft.flush()
            # Site and cluster may start together: the first one's file stays, and both read it.
            with suppress(FileExistsError):
                os.link(draft.name, path)
    kept: dict[str, str] = json.loads(path.read_text())
    return kept
