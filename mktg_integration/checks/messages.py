"""How the checks say things."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any

from django.conf import settings as django_settings
from django.core.checks import Error, Warning
from django.utils.translation import gettext

from mktg_integration.conf import NAME

PREFIX = "mktg_integration."


def error(number: int, text: str, hint: str) -> Error:
    return Error(text, hint=hint, id=f"{PREFIX}E{number:03}")


def warning(number: int, text: str, hint: str) -> Warning:
    return Warning(text, hint=hint, id=f"{PREFIX}W{number:03}")


def given() -> Mapping[str, Any] | None:
    """What the site wrote, None where it is no dict (which ``check_site`` reports)."""
    value = getattr(django_settings, NAME, {})
    return value if isinstance(value, Mapping) else None


def key(name: str) -> str:
    """How a key of the setting is written."""
    return f'{NAME}["{name}"]'


def did_you_mean(name: object, known: Collection[str]) -> str:
    close = get_close_matches(str(name).upper(), known, n=1)
    if close:
        return gettext('Did you mean "{name}"?').format(name=close[0])
    return gettext("Remove it. Known keys: {keys}").format(keys=", ".join(sorted(known)))
