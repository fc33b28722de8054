"""``me/``: one's own subscription and data, for whoever has shown that the address is theirs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from rest_framework.test import APIClient

from mktg_integration import shortcuts
from mktg_integration.models import AuditEntry, Contact, ExplicitActs, Lead, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from mktg_integration.shortcuts import Product
from tests.api_people.conftest import API, contact_of
from tests.push.conftest import person, send

SignUp = Callable[..., Any]
Site = Callable[..., Any]
ADA = "ada@example.com"
VERIFIED = "tests.testapp.models.address_is_verified"
ME, EXPORT = f"{API}me/", f"{API}me/export/"


@pytest.fixture
def sign_in(sign_up: SignUp) -> Callable[..., tuple[Any, APIClient]]:
    def make(name: str = "ada", *, verified: bool = True, **given: Any) -> tuple[Any, APIClient]:
        user = sign_up(name, **given)
        user.preference.address_verified = verified
        user.preference.save()
        client = APIClient()
        client.force_authenticate(user)
        return user, client

    return make


SignIn = Callable[..., tuple[Any, APIClient]]


def test_who_is_signed_in_reads_and_changes_their_own(site: Site, sign_in: SignIn, mktg_sandbox: Sandbox) -> None:
    connected = site("convertloop", EMAIL_VERIFIED=VERIFIED)["convertloop"]
    user, client = sign_in(newsletter=False)
    send(connected)
    before = client.get(ME).json()
    assert (before["subscribed"], before["hints"]) == (False, [])
    assert before["topics"] == [
        {"key": "news", "label": "News, once a month", "on": False},
        {"key": "offers", "label": "Offers", "on": False},
    ]

    answer = client.patch(ME, {"subscribed": True, "topics": {"news": True}}, format="json")

    assert answer.status_code == 200
    assert answer.json()["subscribed"] is True
    assert [topic["on"] for topic in answer.json()["topics"]] == [True, False]
    assert [hint["hint"] for hint in answer.json()["hints"]] == ["pending"]
    acts = ExplicitActs.objects.get()
    assert (acts.subject, acts.consent_who, acts.consent_how) == (f"user:{user.pk}", "the person", "API")
    assert acts.tags == {"Newsletter": True}
    assert {(one.action, one.via, one.actor) for one in AuditEntry.objects.all()} == {
        ("subscribed", "api", user),
        ("tagged", "api", user),
    }


def test_no_topics_are_offered_where_no_service_has_tags(site: Site, sign_in: SignIn) -> None:
    site("conversion", EMAIL_VERIFIED=VERIFIED)
    assert sign_in()[1].get(ME).json()["topics"] == []


def test_a_topic_is_switched_beside_a_service_without_tags(site: Site, sign_in: SignIn, mktg_sandbox: Sandbox) -> None:
    connected = site("kit", "conversion", EMAIL_VERIFIED=VERIFIED)
    _, client = sign_in(newsletter=True)
    send(connected["kit"])
    for wanted, tags in ((True, ["Newsletter"]), (False, [])):
        answer = client.patch(ME, {"topics": {"news": wanted}}, format="json")
        assert answer.json()["topics"][0]["on"] is wanted
        send(connected["kit"])
        assert person(mktg_sandbox, "kit", ADA)["tags"] == tags
        assert client.get(ME).json()["topics"][0]["on"] is wanted


def test_an_unsubscribe_reaches_the_service(site: Site, sign_in: SignIn, mktg_sandbox: Sandbox) -> None:
    connected = site("kit", EMAIL_VERIFIED=VERIFIED)["kit"]
    _, client = sign_in(newsletter=True)
    send(connected)
    assert client.patch(ME, {"subscribed": False}, format="json").json()["subscribed"] is False
    send(connected)
    assert person(mktg_sandbox, "kit", ADA)["state"] == "cancelled"


def test_a_service_that_cannot_reactivate_is_named(site: Site, sign_in: SignIn) -> None:
    connected = site("kit", EMAIL_VERIFIED=VERIFIED)["kit"]
    _, client = sign_in(newsletter=True)
    send(connected)
    client.patch(ME, {"subscribed": False}, format="json")
    send(connected)
    (hint,) = client.patch(ME, {"subscribed": True}, format="json").json()["hints"]
    assert (hint["service"], hint["hint"]) == ("Kit", "out")


@pytest.mark.parametrize("hook", [VERIFIED, ""])
def test_an_address_that_was_not_verified_opens_nothing(hook: str, site: Site, sign_in: SignIn) -> None:
    site("kit", EMAIL_VERIFIED=hook)
    _, client = sign_in(verified=False)
    OutboxRow.objects.all().delete()
    for answer in (client.get(ME), client.patch(ME, {"subscribed": False}, format="json"), client.get(EXPORT)):
        assert answer.status_code == 403
        assert answer.json()["code"] == "unverified"
        assert "confirmed first" in answer.json()["detail"]
    assert not OutboxRow.objects.exists()


def test_nobody_is_nobody(site: Site) -> None:
    site("kit", EMAIL_VERIFIED=VERIFIED)
    for answer in (APIClient().get(ME), APIClient().patch(ME, {}), APIClient().get(EXPORT)):
        assert answer.status_code in (401, 403)


@pytest.mark.parametrize("body", [{"topics": {"else": True}}, {"topics": ["news"]}, {"subscribed": "perhaps"}])
def test_what_cannot_be_chosen_is_named(body: dict[str, Any], site: Site, sign_in: SignIn) -> None:
    site("kit", EMAIL_VERIFIED=VERIFIED)
    _, client = sign_in()
    answer = client.patch(ME, body, format="json")
    assert answer.status_code == 400
    assert next(iter(body)) in answer.json()["errors"]
    assert not ExplicitActs.objects.exists()


# One's own data


def test_the_export_holds_all_that_the_tables_have(site: Site, sign_in: SignIn) -> None:
    connected = site("kit", EMAIL_VERIFIED=VERIFIED)["kit"]
    shortcuts.subscribe(ADA, who="the person", how="newsletter form", first_name="Ada")
    user, client = sign_in(newsletter=True, plan="gold", groups=("VIP",))
    user.save()
    shortcuts.add_tag(user, "Extra")
    shortcuts.record_purchase(
        user,
        transaction_id="T-1",
        currency="EUR",
        products=[Product(name="Book", product_id="B1", unit_price=Decimal(5))],
    )
    send(connected)
    shortcuts.unsubscribe(user, who="the person", how="by phone")
    OutboxRow.objects.filter(kind="profile").update(attempts=3)

    answer = client.get(EXPORT)

    told = answer.json()
    assert answer["Content-Disposition"] == 'attachment; filename="personal-data.json"'
    assert answer["Cache-Control"] == "no-store"
    assert told["people"] == [f"lead:{Lead.objects.get().pk}", f"user:{user.pk}"]
    (contact,) = told["contacts"]
    assert (contact["email"], contact["first_name"]) == (ADA, "Ada")
    assert {one["tag"] for one in contact["tags"]} == {"VIP", "Extra"}
    assert told["leads"][0]["email"] == ADA
    assert {one["consent_how"] for one in told["said"]} >= {"by phone"}
    assert told["opt_outs"][0]["kind"] == "unsubscribed"
    assert told["sent"][0]["sent"]["values"]
    assert [one["items"][0]["name"] for one in told["purchases"]] == ["Book"]
    assert told["to_be_sent"][0]["attempts"] == 3
    assert AuditEntry.objects.get(action="exported").subject == f"user:{user.pk}"


def test_the_export_tells_nothing_of_others(site: Site, sign_in: SignIn, sign_up: SignUp) -> None:
    connected = site("kit", EMAIL_VERIFIED=VERIFIED)["kit"]
    other = sign_up("bob", newsletter=True)
    send(connected)
    contact_of(connected, "77", email=ADA, subject=f"user:{other.pk}", first_name="Bob's own")
    _, client = sign_in()

    told = client.get(EXPORT).content.decode()

    assert "bob" not in told.casefold()
    assert Contact.objects.filter(first_name="Bob's own").exists()


def test_what_waits_encrypted_is_told_in_clear(site: Site, sign_in: SignIn) -> None:
    site("convertloop", EMAIL_VERIFIED=VERIFIED)
    user, client = sign_in()
    shortcuts.track(user, "bought", {"thing": "a red hat"})
    (event,) = [one for one in client.get(EXPORT).json()["to_be_sent"] if one["kind"] == "event"]
    assert event["payload"]["data"] == {"thing": "a red hat"}
