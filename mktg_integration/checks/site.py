"""Checks of the setting as a whole: its keys, their types, and the site's own code that it names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from django.apps import apps
from django.core.checks import CheckMessage
from django.utils.module_loading import import_string
from django.utils.translation import gettext

from mktg_integration.checks.messages import did_you_mean, error, given, key
from mktg_integration.conf import CHOICES, DEFAULTS, NAME, SHARES

_TOPIC = re.compile(r"[A-Za-z0-9_-]+")
MOST_TAG = 255
MOST_DAYS = 36_500
"""A hundred years: more cannot be taken from a date."""
ABOVE_ZERO = frozenset({"CALL_SECONDS", "CONNECT_SECONDS", "DRAIN_SECONDS"})
"""Without any time nothing would be called."""


def check_site(**_: Any) -> list[CheckMessage]:
    values = given()
    if values is None:
        return [
            error(
                1,
                gettext("{setting} is not a dict.").format(setting=NAME),
                gettext("Set {setting} = {{…}} in the site's settings.").format(setting=NAME),
            )
        ]
    return [
        *_keys(values),
        *_values(values),
        *_relations(values),
        *_watch(values),
        *_functions(values),
        *_topics(values),
    ]


def _keys(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name in values:
        if name not in DEFAULTS:
            yield error(
                2,
                gettext("{setting} has an unknown key {name!r}.").format(setting=NAME, name=name),
                did_you_mean(name, DEFAULTS),
            )


def _values(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name, value in values.items():
        if name in DEFAULTS:
            wanted = _wanted(name, value)
            if wanted:
                yield error(
                    3,
                    gettext("{name} has a value that cannot be used.").format(name=key(name)),
                    gettext("Set {name} to {wanted}.").format(name=key(name), wanted=wanted),
                )


def _wanted(name: str, value: Any) -> str:
    """What the value should be; empty where it is."""
    default = DEFAULTS[name]
    if name in CHOICES:
        return "" if value in CHOICES[name] else _one_of(CHOICES[name])
    if name in SHARES:
        return "" if _is_number(value) and 0 <= value <= 1 else gettext("a share between 0 and 1")
    if name == "PUBLIC_URL":
        return "" if _is_address(value) else gettext("this site's address, such as 'https://example.com'")
    if isinstance(default, bool):
        return "" if isinstance(value, bool) else gettext("True or False")
    if isinstance(default, float):
        most = MOST_DAYS if name.endswith("_DAYS") else MOST_DAYS * 86_400
        if _is_number(value) and (value > 0 if name in ABOVE_ZERO else value >= 0) and value <= most:
            return ""
        return gettext("a number of days") if name.endswith("_DAYS") else gettext("a number of seconds")
    if isinstance(default, int):
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        return "" if is_whole and value > 0 else gettext("a whole number above 0")
    if isinstance(default, tuple):
        is_list = isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
        return "" if is_list else gettext("a list of texts")
    if isinstance(default, dict):
        return "" if isinstance(value, Mapping) else gettext("a dict")
    return "" if isinstance(value, str) else gettext("a text")


def _one_of(choices: Iterable[Any]) -> str:
    return gettext("one of: {choices}").format(choices=", ".join(map(repr, choices)))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_address(value: Any) -> bool:
    if not isinstance(value, str):
        return False
    parts = urlsplit(value)
    return not value or (parts.scheme in ("http", "https") and bool(parts.netloc))


def _relations(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    call, lease = (values.get(name, DEFAULTS[name]) for name in ("CALL_SECONDS", "LEASE_SECONDS"))
    if _is_number(call) and _is_number(lease) and lease < 2 * call:
        yield error(
            4,
            gettext(
                "{LEASE_SECONDS} is less than twice {CALL_SECONDS}: a drain could lose its lease in a call."
            ).format(LEASE_SECONDS=key("LEASE_SECONDS"), CALL_SECONDS=key("CALL_SECONDS")),
            gettext("Set {LEASE_SECONDS} to {seconds:g} or more.").format(
                LEASE_SECONDS=key("LEASE_SECONDS"), seconds=2 * call
            ),
        )


def _watch(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    watch = values.get("WATCH", {})
    for label, path in watch.items() if isinstance(watch, Mapping) else ():
        where = f'{key("WATCH")}["{label}"]'
        try:
            model = apps.get_model(label)
        except (LookupError, ValueError):
            yield error(
                5,
                gettext("{where}: there is no model {label!r}.").format(where=where, label=label),
                gettext("Name it as 'app_label.Model'."),
            )
            continue
        if not isinstance(path, str) or not (hasattr(model, path.split(".")[0]) or _is_function(path)):
            yield error(
                6,
                gettext("{where}: {path!r} leads to no user.").format(where=where, path=path),
                gettext(
                    "Give the attributes of {model} that lead to a user (such as 'user'), or the dotted path of "
                    "a function that takes the object."
                ).format(model=model.__name__),
            )


def _functions(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    for name, taken in (("EMAIL_VERIFIED", "user"), ("VISITOR_CONSENT", "request")):
        path = values.get(name, "")
        if isinstance(path, str) and path and not _is_function(path):
            yield error(
                7,
                gettext("{name}: {path!r} cannot be imported, or is no function.").format(name=key(name), path=path),
                gettext("Give the dotted path of a function that takes a {taken} and returns True or False.").format(
                    taken=taken
                ),
            )


def _topics(values: Mapping[str, Any]) -> Iterator[CheckMessage]:
    topics = values.get("TOPICS", {})
    for name, topic in topics.items() if isinstance(topics, Mapping) else ():
        where = f"{key('TOPICS')}[{name!r}]"
        if not isinstance(name, str) or not _TOPIC.fullmatch(name):
            yield error(
                8,
                gettext("{where}: the key cannot be used.").format(where=where),
                gettext("Use letters, digits, hyphens and underscores."),
            )
        tag = topic.get("TAG") if isinstance(topic, Mapping) else None
        if not isinstance(tag, str) or not 0 < len(tag.strip()) <= MOST_TAG or set(topic) - {"TAG", "LABEL"}:
            yield error(
                8,
                gettext("{where} does not say which tag the topic is.").format(where=where),
                gettext('Write {"TAG": "<name of the tag>", "LABEL": "<what people read>"}.'),
            )


def _is_function(path: str) -> bool:
    try:
        return callable(import_string(path))
    except ImportError:
        return False
