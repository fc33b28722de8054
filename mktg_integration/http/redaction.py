"""Blanks out what tells of a person or opens an account: for messages of services, and for sites' logs."""

from __future__ import annotations

import logging
import re

BLANK = "[…]"
_LONGEST = 300

_EMAIL = re.compile(r"[^\s@<>\"(),;:]+(?:@|%40)[^\s@<>\"'(),;:=&?/]+", re.IGNORECASE)
_SCHEME = re.compile(r"\b(bearer|basic|token)\s+(?=\S{8})[\w.~+/=:-]+", re.IGNORECASE)
_NAMED_SECRET = re.compile(
    r"\b((?:x[-_])?(?:kit[-_])?(?:api[-_ ]?(?:key|secret)|(?:access|refresh|id)[-_]token|client[-_]secret"
    r"|password|secret|code[-_]verifier|authorization))"
    r"([\"']?\s*[:=]\s*[\"']?)(?!\s*(?:bearer|basic)\b)[^\s\"'&,;}]+",
    re.IGNORECASE,
)
_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
# A key or token standing alone: long, of one piece, and with a digit in it, which words do not have.
_KEY = re.compile(r"(?<![\w-])(?=[\w-]*\d)[A-Za-z0-9_-]{20,}(?![\w-])")
_DIGITS = re.compile(r"\d(?:[\d .()-]{4,}\d)")


def redact(text: str) -> str:
    """``text`` without addresses, credentials, keys, UUIDs and runs of six or more digits (ids, telephone numbers)."""
    text = _NAMED_SECRET.sub(rf"\1\2{BLANK}", text)
    text = _SCHEME.sub(rf"\1 {BLANK}", text)
    for pattern in (_EMAIL, _UUID, _KEY):
        text = pattern.sub(BLANK, text)
    return _DIGITS.sub(_blank_if_long, text)


def redact_message(text: str) -> str:
    """One service's message, redacted, on one line and cut to a length that a table can show."""
    text = redact(" ".join(text.split()))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _blank_if_long(match: re.Match[str]) -> str:
    digits = sum(character.isdigit() for character in match[0])
    return BLANK if digits >= 6 else match[0]


class RedactionFilter(logging.Filter):
    """A logging filter for sites: lets every record pass, with its text redacted.

    Add it to a handler, so that it sees the records of all loggers::

        "filters": {"redact": {"()": "mktg_integration.http.RedactionFilter"}}
    """

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg = redact(record.getMessage())
        record.args = ()
        return True
