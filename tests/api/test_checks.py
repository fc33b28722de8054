"""The system checks of what the site says of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mktg_integration.checks.api import check_api

GOOD = {
    "AUTHENTICATION_CLASSES": ["rest_framework.authentication.BasicAuthentication"],
    "PERMISSION_CLASSES": [],
    "THROTTLE_RATES": {"mktg-read": "10/s", "mktg-call": None},
    "MONITOR_TOKENS": ["J0h6t0yq2uQ8Yw2b1l7m5o8w"],
}


def test_a_good_one(marketing: Callable[..., None]) -> None:
    marketing(API=GOOD)
    assert check_api() == []


@pytest.mark.parametrize(
    ("change", "number", "hint"),
    [
        ({"AUTHENTICATION": []}, "E050", "AUTHENTICATION_CLASSES"),
        ({"PERMISSION_CLASSES": ["nowhere.at.all"]}, "E051", "dotted paths"),
        ({"THROTTLE_CLASSES": "rest_framework.throttling.AnonRateThrottle"}, "E051", "dotted paths"),
        ({"STATUS_PERMISSION_CLASSES": [1]}, "E051", "dotted paths"),
        ({"THROTTLE_RATES": {"read": "1/min"}}, "E052", "mktg-read"),
        ({"THROTTLE_RATES": {"mktg-read": "often"}}, "E052", "60/min"),
        ({"THROTTLE_RATES": {"mktg-read": 5}}, "E052", "60/min"),
        ({"MONITOR_TOKENS": ["secret"]}, "E053", "token_urlsafe"),
        ({"MONITOR_TOKENS": "J0h6t0yq2uQ8Yw2b1l7m5o8w"}, "E053", "token_urlsafe"),
    ],
)
def test_what_is_wrong_and_what_to_do(
    marketing: Callable[..., None], change: dict[str, Any], number: str, hint: str
) -> None:
    marketing(API={**GOOD, **change})
    [message] = check_api()
    assert str(message.id) == f"mktg_integration.{number}"
    assert hint in str(message.hint)
    assert "secret" not in message.msg
