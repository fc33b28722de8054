"""What a mapping may return: anything else is refused in words, and so stops one row alone."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from mktg_integration.exceptions import ProfileError
from mktg_integration.profile import Company, Consent, ConsentStatus, Profile

NOW = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"email": None}, "email"),
        ({"consent": "granted"}, "consent"),
        ({"consent": Consent.granted(who=None, when=NOW)}, "who"),  # type: ignore[arg-type]
        ({"consent": Consent.granted(who="a", when=NOW, how=5)}, "how"),  # type: ignore[arg-type]
        ({"consent": Consent.granted(when="yesterday")}, "when"),  # type: ignore[arg-type]
        ({"consent": Consent.refused(when=date(2026, 1, 2))}, "when"),  # type: ignore[arg-type]
        ({"consent": Consent(status="granted")}, "status"),  # type: ignore[arg-type]
        ({"first_name": 5}, "first_name"),
        ({"last_name": b"Doe"}, "last_name"),
        ({"user_id": 5}, "user_id"),
        ({"pid": 5}, "pid"),
        ({"tags": "VIP"}, "tags"),
        ({"tags": 5}, "tags"),
        ({"tags": ["VIP", 5]}, "tags"),
        ({"fields": ["plan"]}, "fields"),
        ({"fields": None}, "fields"),
        ({"fields": {5: "x"}}, "field"),
        ({"fields": {"": "x"}}, "field"),
        ({"fields": {"plan": float("nan")}}, "plan"),
        ({"fields": {"plan": Decimal("-Infinity")}}, "plan"),
        ({"company": "Acme"}, "company"),
        ({"company": Company(name=5)}, "company's name"),  # type: ignore[arg-type]
        ({"company": Company(fields={"size": [1]})}, "size"),  # type: ignore[dict-item]
        ({"first_seen_at": "yesterday"}, "first_seen_at"),
    ],
)
def test_what_no_service_could_take_names_what_to_correct(given: dict[str, Any], named: str) -> None:
    with pytest.raises(ProfileError, match=named):
        Profile(**{"email": "ada@example.com", **given}).checked()


@pytest.mark.parametrize("name", ["first_name", "last_name", "user_id", "pid"])
def test_none_is_an_empty_text(name: str) -> None:
    assert getattr(Profile(**{"email": "ada@example.com", name: None}).checked(), name) == ""  # type: ignore[arg-type]


def test_tags_are_trimmed_and_empty_ones_left_out() -> None:
    assert Profile(email="ada@example.com", tags=[" VIP ", "", None]).checked().tags == {"VIP"}  # type: ignore[list-item]


def test_what_is_right_stays() -> None:
    consent = Consent.granted(who="the person", when=NOW, how="form")
    profile = Profile(email="ada@Example.com", fields={"n": Decimal("1.5"), "big": 10**30}, consent=consent).checked()

    assert (profile.email, profile.fields) == ("ada@example.com", {"n": Decimal("1.5"), "big": 10**30})
    assert profile.consent.status is ConsentStatus.GRANTED
