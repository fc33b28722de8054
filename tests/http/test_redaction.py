"""What a log or a message may show."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mktg_integration.http import RedactionFilter, redact, redact_message


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ada@example.com has already been taken", "[…] has already been taken"),
        ("?email_address=ada%40example.com&status=all", "[…]&status=all"),
        ("Authorization: Bearer abc.def-123456", "Authorization: Bearer […]"),
        ("api_key=abc123&x=1", "api_key=[…]&x=1"),
        ('{"refresh_token": "short"}', '{"refresh_token": "[…]"}'),
        ("X-Kit-Api-Key: kit_abc", "X-Kit-Api-Key: […]"),
        ("key kit_0123456789abcdef0123 is wrong", "key […] is wrong"),
        ("subscriber 123456789 not found", "subscriber […] not found"),
        ("call +49 (030) 1234-567", "call +[…]"),
        ("id 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "id […]"),
        ("Starting date is incorrectly formatted. Use YYYY-MM-DD.", None),
        ("maximum of 140 custom fields", None),
        ("The access token is invalid", None),
        ("Only a single filter group is supported. Use one of `all`, `any`, or `none`.", None),
    ],
)
def test_what_is_blanked_out(text: str, shown: str | None) -> None:
    assert redact(text) == (text if shown is None else shown)


@given(st.emails(), st.text(max_size=20), st.text(max_size=20))
def test_no_address_survives(email: str, before: str, after: str) -> None:
    assert email not in redact(f"{before} {email} {after}")


def test_a_message_is_one_short_line() -> None:
    message = redact_message("Too\nmany " + "words " * 200)
    assert "\n" not in message
    assert len(message) <= 300


def test_the_filter_redacts_records_of_any_logger() -> None:
    record = logging.LogRecord("x", logging.INFO, "f.py", 1, "mailed %s", ("ada@example.com",), None)
    assert RedactionFilter().filter(record)
    assert record.getMessage() == "mailed […]"
