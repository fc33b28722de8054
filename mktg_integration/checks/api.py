"""Checks of what the site says of the API: who may call it, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from django.core.checks import CheckMessage
from django.utils.module_loading import import_string
from django.utils.translation import gettext

from mktg_integration.checks.messages import did_you_mean, error, given, key
from mktg_integration.conf import API_RATES

CLASSES: Final = (
    "AUTHENTICATION_CLASSES",
    "PERMISSION_CLASSES",
    "THROTTLE_CLASSES",
    "STATUS_PERMISSION_CLASSES",
)
KEYS: Final = (*CLASSES, "THROTTLE_RATES", "MONITOR_TOKENS")
SHORTEST_TOKEN: Final = 20
# As DRF reads it: the unit's first letter decides.
_RATE = re.compile(r"[1-9]\d*/[smhd]\w*")


def check_api(**_: Any) -> list[CheckMessage]:
    values = (given() or {}).get("API", {})
    # That it has to be a dict is said by the check of the site.
    return [*_keys(values), *_classes(values), *_rates(values), *_tokens(values)] if isinstance(values, Mapping) else []


def _keys(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name in values:
        if name not in KEYS:
            yield error(
                50,
                gettext("{API} has an unknown key {name!r}.").format(API=key("API"), name=name),
                did_you_mean(name, KEYS),
            )


def _classes(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name in CLASSES:
        paths = values.get(name, ())
        if not isinstance(paths, list | tuple) or not all(isinstance(path, str) and _is_class(path) for path in paths):
            yield error(
                51,
                gettext("{API}[{name!r}] names a class that cannot be imported.").format(API=key("API"), name=name),
                gettext("Give a list of dotted paths, as in Django REST framework's own setting of that name."),
            )


def _rates(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    rates = values.get("THROTTLE_RATES", {})
    for scope, rate in rates.items() if isinstance(rates, Mapping) else [("", rates)]:
        where = f"{key('API')}['THROTTLE_RATES']"
        if scope not in API_RATES:
            yield error(
                52,
                gettext("{where} has an unknown scope {scope!r}.").format(where=where, scope=scope),
                gettext("There are: {scopes}.").format(scopes=", ".join(sorted(API_RATES))),
            )
        elif rate is not None and not (isinstance(rate, str) and _RATE.fullmatch(rate)):
            yield error(
                52,
                gettext("{where}[{scope!r}] is no rate.").format(where=where, scope=scope),
                gettext("Write it as '60/min', or None for no limit."),
            )


def _tokens(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    tokens = values.get("MONITOR_TOKENS", ())
    is_list = isinstance(tokens, list | tuple)
    if not is_list or not all(isinstance(token, str) and len(token) >= SHORTEST_TOKEN for token in tokens):
        yield error(
            53,
            gettext("{API}['MONITOR_TOKENS'] holds what is no token, or one that could be guessed.").format(
                API=key("API")
            ),
            gettext(
                "Give a list of random texts of {shortest_token} characters or more, such as: python -c 'import "
                "secrets; print(secrets.token_urlsafe(32))'"
            ).format(shortest_token=SHORTEST_TOKEN),
        )


def _is_class(path: str) -> bool:
    try:
        return isinstance(import_string(path), type)
    except ImportError:
        return False
