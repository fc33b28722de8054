"""The three providers hold to the contract."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from mktg_integration.providers.conversion import ConversionProvider
from mktg_integration.providers.convertloop import ConvertLoopProvider
from mktg_integration.providers.kit import KitProvider
from mktg_integration.sandbox import credentials
from mktg_integration.testing.contract import Pages, ProviderContract
from mktg_integration.testing.standin import Canned, StandIn

from .services import Conversion, ConvertLoop, Kit


def _subscribers(*ids: int, cursor: str | None) -> Canned:
    rows: list[dict[str, Any]] = [
        {
            "id": number,
            "first_name": None,
            "email_address": f"p{number}@example.com",
            "state": "active",
            "created_at": "2026-01-01T00:00:00Z",
            "fields": {},
        }
        for number in ids
    ]
    pagination = {
        "has_previous_page": False,
        "has_next_page": cursor is not None,
        "start_cursor": None,
        "end_cursor": cursor,
        "per_page": 1000,
    }
    return Canned(200, {"subscribers": rows, "pagination": pagination})


def _contacts(*ids: str, cursor: str | None) -> Canned:
    rows = [{"cnvContactId": one, "email": f"{one}@example.com", "subscriptionStatus": "SUBSCRIBED"} for one in ids]
    return Canned(200, {"data": {"contacts": rows}, "pagination": {"nextCursor": cursor}})


class TestKitByToken(ProviderContract):
    provider = KitProvider()
    credentials = {"ACCESS_TOKEN": credentials.KIT_ACCESS_TOKEN}
    unauthorized = Canned(401, {"errors": ["The access token is invalid"]})
    rate_limited = Canned(429, body="Retry later")
    invalid = Canned(422, {"errors": ["Email address is invalid"]})
    pages = {
        "contacts": Pages(_subscribers(cursor=None), _subscribers(1, 2, cursor="WzFd"), _subscribers(3, cursor=None))
    }

    def stand_in(self) -> StandIn:
        return Kit()


class TestKitByKey(TestKitByToken):
    credentials = {"API_KEY": credentials.KIT_API_KEY}

    def most_calls(self, people: int) -> int:
        return people


class TestConversion(ProviderContract):
    provider = ConversionProvider()
    credentials = {"API_KEY": credentials.CONVERSION_API_KEY}
    options: ClassVar[Mapping[str, Any]] = {"TAGS_FIELD": "title"}
    unauthorized = Canned(401, {"error": {"code": "unauthorized", "message": "Authentication failed."}})
    invalid = Canned(400, {"error": {"code": "invalid_email", "message": "The email address is malformed."}})

    def stand_in(self) -> StandIn:
        return Conversion()

    def most_calls(self, people: int) -> int:
        # They may have been there: who is new is learned first, and then subscribed.
        return 2 * math.ceil(people / 1000)


class TestConversionWithExports(TestConversion):
    options = {"EXISTING_CONTACTS": False, "EXPORTS": True}
    pages = {
        "contacts": Pages(_contacts(cursor=None), _contacts("c1", "c2", cursor="n2"), _contacts("c3", cursor=None))
    }

    def most_calls(self, people: int) -> int:
        return math.ceil(people / 1000)


class TestConversionV1(TestConversion):
    options = {"DIALECT": "v1"}
    unauthorized = Canned(401, {"success": False, "error": {"code": "UNAUTHORIZED", "message": "Invalid API key"}})
    rate_limited = Canned(200, {"success": False, "error": {"code": "RATE_LIMIT_EXCEEDED"}})
    invalid = Canned(400, {"success": False, "error": {"code": "VALIDATION_ERROR", "message": "Invalid email"}})

    def most_calls(self, people: int) -> int:
        return 2 * math.ceil(people / 200)


class TestConvertLoop(ProviderContract):
    provider = ConvertLoopProvider()
    credentials = {"APP_ID": credentials.CONVERTLOOP_APP_ID, "API_KEY": credentials.CONVERTLOOP_API_KEY}
    unauthorized = Canned(401)
    invalid = Canned(422, {"error": "email is malformed"})

    def stand_in(self) -> StandIn:
        return ConvertLoop()
