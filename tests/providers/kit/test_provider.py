"""Kit's normal form, its options and credentials, and its lists as records."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import responses
from hypothesis import given
from hypothesis import strategies as st
from responses import matchers

from mktg_integration.exceptions import ConfigurationError, MalformedAnswerError, ProfileError, UnsupportedError
from mktg_integration.http import StaticToken, Unlimited
from mktg_integration.profile import Consent, Profile
from mktg_integration.providers.base import Account, Snapshot
from mktg_integration.providers.kit import KitClient
from mktg_integration.providers.kit.normal import field_key
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.providers.registry import get_provider
from mktg_integration.records import ContactRecord, ContactStatus, CustomFieldRecord, TaggingRecord, TagRecord
from tests.providers.kit.fake import PROVIDER


def snapshot(**values: Any) -> Snapshot:
    values.setdefault("email", "ada@example.com")
    return PROVIDER.snapshot(Profile(**values), user_id="1", options=KitOptions())


def account(credentials: dict[str, str] | None = None, **options: Any) -> Account:
    given = {"API_KEY": "kit_key"} if credentials is None else credentials
    return Account(name="kit", base_url="", credentials=given, options=options)


@pytest.mark.parametrize(
    ("label", "key"),
    [
        ("Last name", "last_name"),
        (" How did you hear about us? ", "how_did_you_hear_about_us"),
        ("Postal-Code", "postal_code"),
        ("Größe", "grosse"),
        ("last_name", "last_name"),
        ("Straße №1", "strasse_no1"),
        ("名前", ""),
    ],
)
def test_the_key_of_a_label(label: str, key: str) -> None:
    assert field_key(label) == key


@given(st.text())
def test_a_key_stays_as_it_is(label: str) -> None:
    assert field_key(field_key(label)) == field_key(label)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("Paris", "Paris"),
        ("", None),
        (None, None),
        (True, "true"),
        (False, "false"),
        (3, "3"),
        (2.5, "2.5"),
        (1e20, "100000000000000000000"),
        (Decimal("10.50"), "10.50"),
        (date(2023, 2, 17), "2023-02-17"),
        (datetime(2023, 2, 17, 12, tzinfo=timezone(timedelta(hours=2))), "2023-02-17T10:00:00Z"),
        ("nul\x00", "nul"),
    ],
)
def test_values_are_text(value: Any, stored: str | None) -> None:
    values = snapshot(fields={"City": value}).values
    assert values == {"first_name": None, "fields.last_name": None, "fields.city": stored}


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"score": float("nan")}, "'score'"),
        ({"seen": datetime(2023, 2, 17)}, "'seen'"),
        ({"名前": "x"}, "'名前'"),
        ({"Last name": "x", "last_name": "y"}, "'last_name'"),
        ({f"f{number}": "x" for number in range(141)}, "140"),
    ],
)
def test_what_kit_cannot_take_is_named(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ProfileError, match=named):
        snapshot(fields=fields)


def test_a_last_name_goes_to_the_custom_field() -> None:
    assert snapshot(first_name="Ada", last_name="Lovelace").values == {
        "first_name": "Ada",
        "fields.last_name": "Lovelace",
    }
    assert snapshot(last_name="").values["fields.last_name"] is None
    assert snapshot(last_name="Lovelace", fields={"Last name": "Byron"}).values["fields.last_name"] == "Byron"


def test_tags_are_compared_without_case_and_made_as_written() -> None:
    made = snapshot(tags=["VIP", " Gold "], consent=Consent.granted(how="form"))
    assert made.tags == {"vip", "gold"}
    assert (made.labels["vip"], made.labels["gold"]) == ("VIP", "Gold")
    assert PROVIDER.normal_tag(" VIP ") == "vip"
    assert made.evidence == Consent.granted(how="form").evidence


@pytest.mark.parametrize(
    ("credentials", "is_oauth", "rate"),
    [
        ({"API_KEY": "k"}, False, (120, 60.0)),
        ({"ACCESS_TOKEN": "t"}, True, (600, 60.0)),
        ({"API_KEY": "k", "ACCESS_TOKEN": "t"}, True, (600, 60.0)),
    ],
)
def test_a_token_can_do_more_than_a_key(credentials: dict[str, str], is_oauth: bool, rate: tuple[int, float]) -> None:
    here = account(credentials)
    PROVIDER.check_credentials(credentials)
    assert PROVIDER.options(here).is_oauth is is_oauth
    assert PROVIDER.rate_slots(here) == rate
    assert PROVIDER.client(here, limiter=Unlimited()).is_oauth is is_oauth


def test_an_injected_token_source_is_used() -> None:
    client = PROVIDER.client(account({"API_KEY": "k"}), limiter=Unlimited(), tokens=StaticToken("fresh"))
    assert client.is_oauth


def test_no_credential_is_a_clear_error() -> None:
    with pytest.raises(ConfigurationError, match=r"API_KEY .* ACCESS_TOKEN"):
        PROVIDER.check_credentials({"CLIENT_ID": "x"})


def test_options_are_checked() -> None:
    assert PROVIDER.options(account(CREATE_TAGS=False)).create_tags is False
    with pytest.raises(ConfigurationError, match="CREATE_FIELDS"):
        PROVIDER.options(account(CREATE_FIELDS="yes"))


def test_the_registry_has_it() -> None:
    assert get_provider("kit").name == "kit"
    assert {capability.name: capability.supported for capability in PROVIDER.capabilities()}["forget"]


# Lists


@pytest.fixture
def client() -> KitClient:
    return KitClient(api_key="k", limiter=Unlimited())


def page(end: str | None, **items: Any) -> dict[str, Any]:
    pagination = {"has_previous_page": False, "has_next_page": bool(end), "start_cursor": "s", "end_cursor": end}
    return {**items, "pagination": pagination}


MEMBER = {
    "id": 7,
    "first_name": "",
    "email_address": "ada@example.com",
    "state": "cancelled",
    "created_at": "2023-02-17T11:43:55Z",
    "tagged_at": "2023-02-18T00:00:00Z",
    "fields": {"city": "", "role": "x"},
}


@pytest.mark.parametrize(
    ("stream", "path", "query", "items", "record"),
    [
        (
            "contacts",
            "subscribers",
            {"status": "all", "per_page": "1000"},
            {"subscribers": [MEMBER]},
            ContactRecord(
                remote_id="7",
                email="ada@example.com",
                status=ContactStatus.UNSUBSCRIBED,
                values={"first_name": None, "fields.city": None, "fields.role": "x"},
                created_at=datetime(2023, 2, 17, 11, 43, 55, tzinfo=UTC),
                raw={**MEMBER},
            ),
        ),
        (
            "tags",
            "tags",
            {"per_page": "1000"},
            {"tags": [{"id": 5, "name": "VIP", "created_at": None}]},
            TagRecord(remote_id="5", name="VIP", raw={"id": 5, "name": "VIP", "created_at": None}),
        ),
        (
            "custom_fields",
            "custom_fields",
            {"per_page": "1000"},
            {"custom_fields": [{"id": 1, "name": "ck_1", "key": "city", "label": "City"}]},
            CustomFieldRecord(
                remote_id="1",
                key="city",
                label="City",
                raw={"id": 1, "name": "ck_1", "key": "city", "label": "City", "created_at": None},
            ),
        ),
        (
            "taggings:5",
            "tags/5/subscribers",
            {"status": "all", "per_page": "1000"},
            {"subscribers": [MEMBER]},
            TaggingRecord(contact="7", tag="5", tagged_at=datetime(2023, 2, 18, tzinfo=UTC)),
        ),
    ],
)
def test_lists_are_read_in_every_state(
    client: KitClient, stream: str, path: str, query: dict[str, str], items: dict[str, Any], record: Any
) -> None:
    with responses.RequestsMock() as mock:
        url = f"https://api.kit.com/v4/{path}"
        mock.get(url, json=page("next", **items), match=[matchers.query_param_matcher(query)])
        mock.get(url, json=page(None, **items), match=[matchers.query_param_matcher({**query, "after": "next"})])
        first = PROVIDER.read(stream, None, client)
        last = PROVIDER.read(stream, first.cursor, client)
    assert (first.records, first.cursor, last.cursor) == ([record], "next", None)


def test_a_list_that_leads_nowhere_is_an_error(client: KitClient) -> None:
    with responses.RequestsMock() as mock:
        mock.get("https://api.kit.com/v4/tags", json=page("same", tags=[]))
        with pytest.raises(MalformedAnswerError, match="end_cursor"):
            PROVIDER.read("tags", "same", client)


@pytest.mark.parametrize("stream", ["companies", "taggings:", "taggings:../account"])
def test_other_streams_are_not_supported(client: KitClient, stream: str) -> None:
    with pytest.raises(UnsupportedError, match="it has account"):
        PROVIDER.read(stream, None, client)
