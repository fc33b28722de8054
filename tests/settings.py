"""Settings of the test suite.

``DATABASE_URL`` names the database (default: an SQLite file of this process); its query string gives the ``OPTIONS``.
``TEST_USER_MODEL`` swaps the user model: ``members.Member`` or ``nameless.Account``.
"""

from __future__ import annotations

import os
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

ENGINES = {
    "sqlite": "django.db.backends.sqlite3",
    "postgres": "django.db.backends.postgresql",
    "postgresql": "django.db.backends.postgresql",
    "mysql": "django.db.backends.mysql",
    "mariadb": "django.db.backends.mysql",
}
WAL = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL"


def parse_database_url(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    engine = ENGINES[parts.scheme]
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    if engine == ENGINES["sqlite"]:
        name = unquote(parts.path[1:]) or ":memory:"
        if "timeout" in options:
            options["timeout"] = float(options["timeout"])
        return {"ENGINE": engine, "NAME": name, "OPTIONS": options, "TEST": {"NAME": name}}
    if engine == ENGINES["mysql"]:
        options.setdefault("charset", "utf8mb4")
    return {
        "ENGINE": engine,
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": parts.hostname or "",
        "PORT": str(parts.port or ""),
        "OPTIONS": options,
    }


def own_sqlite_file() -> dict[str, Any]:
    """A file, not memory, so that tests can start processes that share it (see the fixture ``database_url``)."""
    name = str(Path(tempfile.gettempdir()) / f"mktg_tests_{os.getpid()}.sqlite3")
    options = {"timeout": 20, "transaction_mode": "IMMEDIATE", "init_command": WAL}
    return {"ENGINE": ENGINES["sqlite"], "NAME": name, "OPTIONS": options, "TEST": {"NAME": name}}


DATABASE_URL = os.environ.get("DATABASE_URL", "")
DATABASES = {"default": parse_database_url(DATABASE_URL) if DATABASE_URL else own_sqlite_file()}

SECRET_KEY = "not a secret: for tests only, and long enough"
DEBUG = False
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "tests.urls"
STATIC_URL = "/static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = os.environ.get("TEST_USER_MODEL", "auth.User")
USER_APPS = {"members.Member": ["tests.members"], "nameless.Account": ["tests.nameless"]}

# The extra `openapi`, without which all but the schema works.
OPENAPI = ["drf_spectacular"] if find_spec("drf_spectacular") else []

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    *OPENAPI,
    "django_q",
    "mktg_integration",
    "tests.testapp",
    *USER_APPS.get(AUTH_USER_MODEL, []),
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tests.browser.policy.strict_policy",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]

Q_CLUSTER = {
    "name": "mktg_tests",
    "orm": "default",
    "workers": 2,
    "timeout": 90,
    "retry": 180,
    "max_attempts": 5,
    "save_limit": -1,
    "poll": 0.2,
    "catch_up": False,
}

REST_FRAMEWORK = {"DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema"} if OPENAPI else {}
SPECTACULAR_SETTINGS = {"TITLE": "Marketing", "VERSION": "1", "SCHEMA_PATH_PREFIX": "/marketing/api/v1"}

MKTG_INTEGRATION: dict[str, Any] = {
    "ENCRYPTION_KEYS": ["uLr1sZ0R2oH3m3yAQn0x2q4D1q8kM5cC9bPzq0o2V7A="],
    "HASH_KEY": "for tests only",
}
