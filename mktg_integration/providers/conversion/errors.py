"""Conversion's error codes, of both dialects, and what each means for the work that a call carried."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mktg_integration.exceptions import Action, ServiceError
from mktg_integration.http import DEFAULT, ErrorBody, ErrorTable, read_errors, redact_message
from mktg_integration.providers.base import Outcome, Result

JSON = Any

CONTACT_NOT_FOUND = "contact_not_found"
NOT_FOUND = "NOT_FOUND"
DUPLICATE = "DUPLICATE_ERROR"
INVALID_FIELD = "invalid_field"
UPSERT_FAILED = "upsert_failed"

CODES: Mapping[str, Action] = {
    # Overview, "Error codes" (v2)
    "missing_identifier": Action.REJECT,
    "invalid_email": Action.REJECT,
    "invalid_subscription_status": Action.REJECT,
    INVALID_FIELD: Action.REJECT,
    CONTACT_NOT_FOUND: Action.REJECT,
    UPSERT_FAILED: Action.RETRY,
    "internal_error": Action.RETRY,
    # v1, "Error Codes"
    "VALIDATION_ERROR": Action.REJECT,
    NOT_FOUND: Action.REJECT,
    DUPLICATE: Action.REJECT,
    "RATE_LIMIT_EXCEEDED": Action.WAIT,
    "UNAUTHORIZED": Action.RECONNECT,
    "INTERNAL_ERROR": Action.RETRY,
}
_STATUSES = (200, 400, 404, 409, 422, 429, 500)

# A 404 without a documented code is no contact's: the base URL is wrong, which no row can help.
# ``success: false`` comes with 200, and then the code decides; without one it is a refusal.
TABLE: ErrorTable = DEFAULT.overridden(
    statuses={404: Action.FAIL, 200: Action.REJECT},
    codes={(status, code): action for status in _STATUSES for code, action in CODES.items()},
)

_TAKEN_WORDS = ("already", "duplicate", "exists", "in use", "taken")


def is_contact_missing(error: ServiceError) -> bool:
    """The service says that there is no such contact; a missing endpoint says less."""
    if error.code in (CONTACT_NOT_FOUND, NOT_FOUND):
        return True
    said = " ".join(error.messages).lower()
    return error.status in (200, 404) and "contact" in said and "not found" in said


def may_be_taken(code: str, messages: Collection[str]) -> bool:
    """Whether a refused change of address may be for another contact that has it: no code is documented for that."""
    said = " ".join(messages).lower()
    return code in (UPSERT_FAILED, DUPLICATE) or any(word in said for word in _TAKEN_WORDS)


def item_error(item: Mapping[str, JSON]) -> ErrorBody:
    """Why one item of a batch failed, in whichever shape it is said."""
    found = read_errors(item)
    return ErrorBody(redact_message(found.code), tuple(redact_message(message) for message in found.messages))


def refused(code: str, messages: Collection[str], sent_fields: Collection[str]) -> Result:
    """The result of an item that failed with ``code``."""
    if code in (CONTACT_NOT_FOUND, NOT_FOUND):
        return Result(outcome=Outcome.ABSENT)
    said = "; ".join(messages)
    if CODES.get(code, Action.REJECT) is not Action.REJECT:
        return Result(outcome=Outcome.RETRY, code=code, reason=said)
    reason = said or "the service refused it without a reason"
    if code == INVALID_FIELD:
        reason = f"{_named(said, sent_fields)}: create the field in Conversion or take it out of the mapping"
    return Result(outcome=Outcome.REJECTED, code=code or "refused", reason=reason)


def _named(said: str, sent_fields: Collection[str]) -> str:
    """Field keys are the site's own words, so they may be told where the message is silent or cut."""
    named = sorted(name for name in sent_fields if name in said) or sorted(sent_fields)
    return f"Conversion does not take a field among {', '.join(repr(name) for name in named)}"
