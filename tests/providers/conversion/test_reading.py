"""Reading: one contact by its address (v1), the exports of accounts that have them, and whether the key is taken."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import responses

from mktg_integration.exceptions import Action, MalformedAnswerError, ServiceError, UnsupportedError
from mktg_integration.providers.conversion import ConversionClient, ConversionProvider
from mktg_integration.records import ContactRecord, ContactStatus

from .people import V1, V2

BASE = "https://pub-api.conversion.ai/api"
EXPORTS = f"{BASE}/v2/exports/contacts"
BY_EMAIL = f"{BASE}/v1/contacts/by-email/jane%40example.com"
NOBODY = f"{BASE}/v1/contacts/by-email/nobody%40example.invalid"
JANE = ContactRecord(remote_id="v2-id", email="jane@example.com", company={"company_name": "Acme"})
NOT_FOUND = {"success": False, "error": {"code": "NOT_FOUND", "message": "Contact not found"}}
REFUSED = {"error": {"code": "unauthorized", "message": "missing or invalid"}}


@pytest.fixture
def client() -> ConversionClient:
    return ConversionClient("sk_live_1_secret")


@responses.activate
def test_a_contact_is_read_anew_under_the_id_it_is_known_by(
    provider: ConversionProvider, client: ConversionClient
) -> None:
    data = {"id": "v1-id", "email": "Jane@example.com", "variables": {"plan": "pro"}, "subscriptionStatus": "BOUNCED"}
    responses.get(BY_EMAIL, json={"success": True, "data": data})
    found = provider.look_up(JANE, client, V2)
    assert found is not None
    assert (found.remote_id, found.status, found.values) == ("v2-id", ContactStatus.BOUNCED, {"plan": "pro"})
    assert found.company == JANE.company, "v1 does not tell it, so it is not lost"


@responses.activate
def test_a_contact_that_is_gone(provider: ConversionProvider, client: ConversionClient) -> None:
    responses.get(BY_EMAIL, json=NOT_FOUND, status=404)
    assert provider.look_up(JANE, client, V2) is None


@responses.activate
def test_anothers_contact_is_no_answer(provider: ConversionProvider, client: ConversionClient) -> None:
    data = {"id": "v1-id", "email": "joan@example.com", "subscriptionStatus": None}
    responses.get(BY_EMAIL, json={"success": True, "data": data})
    with pytest.raises(MalformedAnswerError):
        provider.look_up(JANE, client, V2)


@responses.activate
@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_key_that_may_not_use_v1_says_which_option_to_set(
    provider: ConversionProvider, client: ConversionClient, status: int
) -> None:
    responses.get(BY_EMAIL, json={"message": "no"}, status=status)
    with pytest.raises(UnsupportedError, match="READ_STATUS"):
        provider.look_up(JANE, client, V2)
    with pytest.raises(UnsupportedError, match="READ_STATUS"):
        provider.look_up(JANE, client, replace(V2, read_status=False))
    assert len(responses.calls) == 1, "with READ_STATUS off nothing is asked"


@responses.activate
def test_in_v1_a_refused_key_is_a_refused_key(provider: ConversionProvider, client: ConversionClient) -> None:
    responses.get(BY_EMAIL, json=REFUSED, status=401)
    with pytest.raises(ServiceError) as raised:
        provider.look_up(JANE, client, V1)
    assert raised.value.action is Action.RECONNECT


def test_only_an_account_with_exports_lists_its_contacts(provider: ConversionProvider) -> None:
    with_exports = replace(V2, exports=True)
    assert [spec.name for spec in provider.streams(with_exports)] == ["contacts"]
    assert provider.introduction(with_exports) == ("contacts",)
    assert (provider.streams(V2), provider.introduction(V2)) == ((), ())


@responses.activate
def test_an_export_is_read_page_by_page(provider: ConversionProvider, client: ConversionClient) -> None:
    v2 = {"cnvContactId": "c1", "email": "a@example.com", "subscriptionStatus": "UNSUBSCRIBED", "fields": {"plan": ""}}
    v1 = {"id": "c2", "email": "b@example.com", "variables": {"plan": "pro"}}
    responses.post(EXPORTS, json={"data": {"contacts": [v2, v1]}, "pagination": {"nextCursor": "n"}})
    responses.post(EXPORTS, json={"data": {"contacts": []}, "pagination": {"nextCursor": None}})
    first = provider.read("contacts", None, client)
    one, two = first.records
    assert isinstance(one, ContactRecord)
    assert isinstance(two, ContactRecord)
    assert (one.remote_id, one.status, one.values) == ("c1", ContactStatus.UNSUBSCRIBED, {"plan": None})
    assert (two.remote_id, two.status, two.values) == ("c2", ContactStatus.UNREAD, {"plan": "pro"})
    last = provider.read("contacts", first.cursor, client)
    assert (first.cursor, last.records, last.cursor) == ("n", [], None)


@responses.activate
@pytest.mark.parametrize(
    "contact",
    [{"email": "a@example.com"}, {"id": "c1"}, {"id": "c1", "email": "a@example.com", "fields": ["plan"]}],
)
def test_an_exported_contact_in_an_unknown_form_is_no_row(
    provider: ConversionProvider, client: ConversionClient, contact: dict[str, Any]
) -> None:
    responses.post(EXPORTS, json={"data": {"contacts": [contact]}, "pagination": {"nextCursor": None}})
    with pytest.raises(MalformedAnswerError) as raised:
        provider.read("contacts", None, client)
    assert "a@example.com" not in str(raised.value)


def test_nothing_else_is_listed(provider: ConversionProvider, client: ConversionClient) -> None:
    with pytest.raises(UnsupportedError, match="companies"):
        provider.read("companies", None, client)


# Whether the key is taken


@responses.activate
@pytest.mark.parametrize(
    ("v1", "said"),
    [
        ((404, NOT_FOUND), "v2 and v1 take the key"),
        ((401, REFUSED), "set READ_STATUS to False"),
    ],
)
def test_verifying_changes_nothing(
    provider: ConversionProvider, client: ConversionClient, v1: tuple[int, dict[str, Any]], said: str
) -> None:
    missing = {"error": {"code": "missing_identifier", "message": "Neither email nor cnvContactId"}}
    responses.post(f"{BASE}/v2/contacts", json=missing, status=400)
    responses.get(NOBODY, status=v1[0], json=v1[1])
    assert said in provider.verify(client, V2)
    assert b"email" not in (responses.calls[0].request.body or b"")


@responses.activate
@pytest.mark.parametrize("options", [V2, V1])
def test_a_refused_key_is_told(provider: ConversionProvider, client: ConversionClient, options: Any) -> None:
    responses.post(f"{BASE}/v2/contacts", json=REFUSED, status=401)
    responses.get(NOBODY, json=REFUSED, status=401)
    with pytest.raises(ServiceError) as raised:
        provider.verify(client, options)
    assert raised.value.action is Action.RECONNECT
