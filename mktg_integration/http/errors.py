"""What a refused or failed request means: the error table as data, and what can be read of a service's error body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from mktg_integration.exceptions import Action

_MOST_MESSAGES = 10
_CODE_KEYS = ("code", "error_code", "type")
_MESSAGE_KEYS = ("message", "messages", "error_description", "detail", "error", "errors", "title")

DEFAULT_STATUSES: Mapping[int, Action] = MappingProxyType(
    {
        400: Action.REJECT,
        401: Action.RECONNECT,
        402: Action.FORBIDDEN,
        403: Action.FORBIDDEN,
        404: Action.REJECT,
        408: Action.RETRY,
        409: Action.REJECT,
        413: Action.WAIT,
        422: Action.REJECT,
        425: Action.RETRY,
        429: Action.WAIT,
    }
)


@dataclass(frozen=True, slots=True)
class ErrorTable:
    """HTTP status, or status and the service's error code, to ``Action``.

    Closed by default: a status that is not named is RETRY from 500 on and FAIL below (an unknown 4xx, a redirect, an
    undocumented success), so that nothing unknown is repeated without end or taken for done.
    """

    statuses: Mapping[int, Action] = field(default_factory=lambda: DEFAULT_STATUSES)
    codes: Mapping[tuple[int, str], Action] = field(default_factory=dict)

    def action(self, status: int, code: str = "") -> Action:
        """What ``status`` (with the service's ``code``) means for the work that the call carried."""
        named = self.codes.get((status, code)) or self.statuses.get(status)
        if named is not None:
            return named
        return Action.RETRY if status >= 500 else Action.FAIL

    def overridden(
        self,
        statuses: Mapping[int, Action] | None = None,
        codes: Mapping[tuple[int, str], Action] | None = None,
    ) -> ErrorTable:
        """This table with a provider's own entries on top."""
        return replace(self, statuses={**self.statuses, **(statuses or {})}, codes={**self.codes, **(codes or {})})


DEFAULT = ErrorTable()


class ErrorBody(NamedTuple):
    """What an error's body says: a short machine-readable word, and the messages as the service wrote them."""

    code: str = ""
    messages: tuple[str, ...] = ()


ErrorReader = Callable[[Any], ErrorBody]
"""Reads an error's payload: parsed JSON, or the text of a ``text/plain`` answer. Never sees HTML."""


def read_errors(payload: Any) -> ErrorBody:
    """Code and messages of the usual shapes: plain text, ``{"errors": [...]}``, ``{"error": {"code", "message"}}``."""
    return ErrorBody(_code(payload), tuple(dict.fromkeys(_messages(payload)))[:_MOST_MESSAGES])


def _code(payload: Any) -> str:
    if not isinstance(payload, Mapping):
        return ""
    for key in _CODE_KEYS:
        if isinstance(payload.get(key), str):
            return str(payload[key])
    error = payload.get("error")
    if isinstance(error, Mapping):
        return _code(error)
    # RFC 6749 section 5.2: "error" is the code and "error_description" the message.
    return error if isinstance(error, str) and " " not in error else ""


def _messages(payload: Any) -> list[str]:
    if isinstance(payload, str):
        return [payload.strip()] if payload.strip() else []
    if isinstance(payload, list | tuple):
        return [message for item in payload for message in _messages(item)]
    if isinstance(payload, Mapping):
        return [message for key in _MESSAGE_KEYS for message in _messages(payload.get(key))]
    return []
