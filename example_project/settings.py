"""Settings of the example site. Everything that differs from one machine to the next comes from the environment:

``DATABASE_URL``, ``PUBLIC_URL``, ``PORT``, ``SECRET_KEY``, ``ENCRYPTION_KEYS`` (comma-separated), ``EXAMPLE_CONSENT``,
``SANDBOX_URL``, and for each service its base URL and credentials (``KIT_…``, ``CONVERSION_…``, ``CONVERTLOOP_…``).
"""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote, urlsplit

from example_project import environment

BASE_DIR = Path(__file__).resolve().parent
DEBUG = os.environ.get("DEBUG") == "1"

PORT = os.environ.get("PORT") or "8000"
# Where services reach the site. Without it nothing tells this site from a copy of its database elsewhere.
PUBLIC_URL = os.environ.get("PUBLIC_URL", "")
SITE_URL = PUBLIC_URL or f"http://127.0.0.1:{PORT}"
ALLOWED_HOSTS = [urlsplit(SITE_URL).hostname or "localhost", "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(SITE_URL))]

_database = environment.database(
    os.environ.get("DATABASE_URL") or f"sqlite:///{quote(str(BASE_DIR / 'db.sqlite3'))}",
    tune_sqlite=os.environ.get("EXAMPLE_SQLITE") != "default",
)
DATABASES = {"default": _database}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

SECRET_KEY = os.environ.get("SECRET_KEY", "")
_encryption_keys = [key.strip() for key in os.environ.get("ENCRYPTION_KEYS", "").split(",") if key.strip()]
if not (SECRET_KEY and _encryption_keys):
    _is_file = "sqlite3" in _database["ENGINE"] and _database["NAME"] != ":memory:"
    _kept = environment.local_secrets(
        Path(f"{_database['NAME']}-secrets.json") if _is_file else BASE_DIR / "local_secrets.json"
    )
    SECRET_KEY = SECRET_KEY or _kept["SECRET_KEY"]
    _encryption_keys = _encryption_keys or [_kept["ENCRYPTION_KEY"]]

INSTALLED_APPS = [
    "example_project.accounts",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_q",
    "mktg_integration",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "example_project.urls"
WSGI_APPLICATION = "example_project.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
STATIC_URL = "static/"
LANGUAGE_CODE = "en"
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "profile"
LOGOUT_REDIRECT_URL = "home"
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.ScryptPasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
# Mails are printed where the site runs; the link in them confirms an address.
EMAIL_BACKEND = os.environ.get("EMAIL_BACKEND") or "django.core.mail.backends.console.EmailBackend"

# A task that is killed runs again after `retry`; one that fails is given up after `max_attempts`, because what it
# was to send is still in the outbox, where the next scheduled drain finds it.
Q_CLUSTER = {
    "name": "example",
    "orm": "default",
    "workers": int(os.environ.get("Q_WORKERS") or 2),
    "timeout": 90,
    "retry": 120,
    "max_attempts": 5,
    "save_limit": -1,
    "poll": 0.2,
    "catch_up": False,
}

MKTG_INTEGRATION = {
    "CONNECTIONS": environment.connections(os.environ),
    "OAUTH": environment.oauth_apps(os.environ),
    "PROFILE": "example_project.accounts.mapping.profile",
    "WATCH": {
        "accounts.Member": "user",
        "accounts.Interest": "member.user",
        "accounts.Company": "example_project.accounts.mapping.users_of",
    },
    "EMAIL_VERIFIED": "example_project.accounts.confirmation.is_confirmed",
    "ENCRYPTION_KEYS": _encryption_keys,
    "PUBLIC_URL": PUBLIC_URL,
}

# Without a public address nobody copies this database to another host, of which the check warns.
SILENCED_SYSTEM_CHECKS = [] if PUBLIC_URL else ["mktg_integration.W006"]

# What a user made without a word on consent counts as: "granted", or anything else for unknown.
EXAMPLE_CONSENT = os.environ.get("EXAMPLE_CONSENT", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "{asctime} {levelname:<7} {message}", "style": "{", "datefmt": "%H:%M:%S"}},
    "filters": {"redact": {"()": "mktg_integration.http.RedactionFilter"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "plain", "filters": ["redact"]},
    },
    "root": {"handlers": ["console"], "level": "WARNING"},
    "loggers": {
        "mktg_integration": {"level": os.environ.get("LOG_LEVEL") or "INFO"},
        "example_project": {"level": "INFO"},
        "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
    },
}
