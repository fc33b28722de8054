"""What a plan carries, in how many calls; and that it comes to rest, whatever it meets."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from math import ceil
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mktg_integration.exceptions import ConfigurationError, ProfileError
from mktg_integration.profile import Company, Consent, Profile
from mktg_integration.providers import base
from mktg_integration.providers.base import Catalogue, Event, Intent, Person
from mktg_integration.providers.conversion import ConversionOptions, ConversionProvider
from mktg_integration.providers.values import is_same
from mktg_integration.records import ContactStatus
from mktg_integration.testing.rounds import settle

from .people import V1, V2, person, record, snapshot
from .service import Account

BOTH = pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
ACME = Company(external_id="7", name="Acme", domain="acme.example", fields={"industry": "Tools"})


def many(count: int, consent: str, **more: Any) -> list[Person]:
    return [person(snapshot(f"p{n}@example.com", consent), key=f"user:{n}", **more) for n in range(count)]


# Normal form


def test_a_profile_in_normal_form(provider: ConversionProvider) -> None:
    profile = Profile(
        email="ann@example.com",
        first_name="Ann",
        fields={"since": date(2026, 1, 2), "score": Decimal("1.50"), "vip": True, "title": ""},
        tags={"b", "a"},
        company=ACME,
        consent=Consent.granted(how="form"),
    )
    v2 = provider.snapshot(profile, user_id="5", options=replace(V2, tags_field="tags"))
    assert v2.values == {
        "first_name": "Ann",
        "last_name": None,
        "since": "2026-01-02",
        "score": 1.5,
        "vip": True,
        "title": None,
        "tags": "a, b",
    }
    assert v2.company == {"company_name": "Acme", "website": "acme.example", "industry": "Tools", "id": "7"}
    assert not v2.tags
    v1 = provider.snapshot(profile, user_id="5", options=V1)
    assert v1.values["externalContact"] == {"id": "5"}
    assert v1.values["company_name"] == "Acme"
    assert v1.company == {"id": "7", "baseDomain": "acme.example", "company_name": "Acme", "industry": "Tools"}


def test_a_number_that_json_has_not_is_refused_by_name(provider: ConversionProvider) -> None:
    profile = Profile(email="ann@example.com", fields={"score": float("nan")})
    with pytest.raises(ProfileError, match="'score' is not a finite number"):
        provider.snapshot(profile, user_id="5", options=V2)


# What differs


@BOTH
@pytest.mark.parametrize(
    ("wanted", "sent", "known", "told"),
    [
        ("b", "a", "a", "b"),  # changed here
        ("a", "a", "b", None),  # changed there: drift
        ("b", "a", "b", None),  # changed in both alike
        ("c", "a", "b", "c"),  # changed in both: ours is sent
        (None, "a", "a", None),  # emptied here
        (1, True, True, 1),  # not the same JSON
    ],
)
def test_the_three_way_difference(
    provider: ConversionProvider, options: ConversionOptions, wanted: Any, sent: Any, known: Any, told: Any
) -> None:
    account = Account()
    kept = account.add("ann@example.com", plan=known)
    one = person(
        snapshot(consent="unknown", values={"plan": wanted}),
        sent=snapshot(consent="unknown", values={"plan": sent}),
        known=record(kept),
    )
    plan = provider.plan([one], Catalogue(), options)
    if told is None and wanted is not None:
        assert not plan.calls
        return
    contact = plan.calls[0].items["user:1"]["contact"]
    assert contact.get("fields", contact.get("variables")) == {"plan": told}


def test_what_the_mapping_does_not_name_is_not_touched(provider: ConversionProvider, account: Account) -> None:
    kept = account.add("ann@example.com", plan="pro", title="Dr")
    sent = snapshot(consent="unknown", values={"title": "Dr", "plan": "pro"})
    one = person(snapshot(consent="unknown", values={"plan": "max"}), sent=sent, known=record(kept))
    settle(provider, [one], account, V2)
    assert kept.fields == {"plan": "max", "title": "Dr"}


def test_v2_tells_the_whole_company_when_a_part_of_it_changed(provider: ConversionProvider, account: Account) -> None:
    kept = account.add("ann@example.com")
    sent = snapshot(consent="unknown", values={}, company={"company_name": "Acme", "industry": "Tools", "size": "1-10"})
    wanted = replace(sent, company={"company_name": "Bolt", "industry": "Tools", "size": None})
    settled = settle(provider, [person(wanted, sent=sent, known=record(kept))], account, V2)
    assert settled.calls[0].items["user:1"]["contact"] == {
        "cnvContactId": kept.id,
        "companyFields": {"company_name": "Bolt", "industry": "Tools", "size": None},
    }


def test_v1_sends_each_company_once_for_all_its_people(provider: ConversionProvider, account: Account) -> None:
    people = [
        person(
            snapshot(f"p{n}@example.com", "unknown", company={"id": str(n % 250), "baseDomain": None, "size": "1-10"}),
            key=f"user:{n}",
        )
        for n in range(600)
    ]
    settle(provider, people, account, V1)
    assert account.requests == {"v1_upsert_contacts": 3, "v1_upsert_companies": 2}
    assert account.companies["7"] == {"id": "7", "variables": {"size": "1-10"}}


@BOTH
@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.LEAVE])
def test_our_tags_are_taken_out_of_their_field(
    provider: ConversionProvider, account: Account, options: ConversionOptions, intent: Intent
) -> None:
    kept = account.add("ann@example.com", tags="a, b", plan="pro")
    sent = snapshot(values={"tags": "a, b", "plan": "pro"})
    one = person(intent=intent, sent=sent, known=record(kept))
    settle(provider, [one], account, replace(options, tags_field="tags"))
    assert kept.fields == {"tags": None, "plan": "pro"}
    assert kept.status == ("UNSUBSCRIBED" if intent is Intent.LEAVE else None)


def test_the_options_of_v2_go_with_each_upsert(provider: ConversionProvider) -> None:
    options = replace(V2, sync_to_crm=True, preserve_existing_fields=True, update_only=True)
    plan = provider.plan(many(2, "unknown"), Catalogue(), options)
    assert plan.calls[0].common == {"updateOnly": True, "syncToCRM": True, "preserveExistingFields": True}


# In how many calls


@pytest.mark.parametrize("count", [1, 1000, 1001, 2500])
def test_v2_people_of_unknown_consent_go_a_thousand_a_call(
    provider: ConversionProvider, account: Account, count: int
) -> None:
    settled = settle(provider, many(count, "unknown"), account, V2)
    assert len(settled.calls) == ceil(count / 1000)
    assert len(account.contacts) == count
    assert {kept.status for kept in account.contacts.values()} == {None}


def test_v2_a_granted_consent_of_new_people_is_one_call_more(provider: ConversionProvider, account: Account) -> None:
    settle(provider, many(2000, "granted"), account, V2)
    assert account.requests == {"upsert_contacts": 4}


def test_a_batch_mixes_the_new_and_the_known_and_keeps_the_urgent_apart(
    provider: ConversionProvider, account: Account
) -> None:
    known = record(account.add("k@example.com", "SUBSCRIBED"), ContactStatus.ACTIVE)
    people = [
        *many(3, "unknown"),
        person(snapshot("k@example.com"), key="known", known=known),
        person(snapshot("r@example.com", "refused"), key="refused"),
        person(email="f@example.com", intent=Intent.FORGET, key="forgotten"),
    ]
    plan = provider.plan(people, Catalogue(), V2)
    said = {(call.operation, call.urgent): set(call.items) for call in plan.calls}
    assert said == {
        ("upsert", False): {"user:0", "user:1", "user:2", "known"},
        ("upsert", True): {"refused"},
        ("erase", True): {"forgotten"},
    }


def test_one_field_that_is_missing_fails_only_who_has_it(provider: ConversionProvider) -> None:
    account = Account(known_fields=frozenset({"first_name"}))
    wrong = person(snapshot("w@example.com", "unknown", values={"colour": "red"}), key="wrong")
    settled = settle(provider, [*many(5, "unknown"), wrong], account, V2)
    assert set(settled.ended) == {"wrong"}
    assert settled.ended["wrong"].code == "invalid_field"
    assert "'colour'" in settled.ended["wrong"].reason
    assert len(account.contacts) == 5


# Events


@BOTH
def test_an_event_names_the_person_by_the_last_known_address(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    kept = account.add("old@example.com")
    event = Event(key="order-1", name="ordered", occurred_at="2026-11-01T10:00:00Z", data={"total": 5})
    call = provider.plan_event(person(snapshot("new@example.com"), known=record(kept)), event, options)
    (item,) = call.items.values()
    assert "old@example.com" in item.values()
    assert call.repeatable == (options is V2)


# Whatever is met


STATUSES = [None, "NO_STATUS", "SUBSCRIBED", "UNSUBSCRIBED", "BOUNCED", "COMPLAINED", "PENDING", "SUPPRESSED"]
FIELDS = st.dictionaries(st.sampled_from(["plan", "score", "vip"]), st.sampled_from([None, "a", "b", 1, True]))
CONSENTS = st.sampled_from(["granted", "refused", "unknown"])
EVIDENCE = st.sampled_from(["e1", "e2"])


@st.composite
def situations(draw: st.DrawFn) -> tuple[Account, list[Person], set[str]]:
    """An account and its people: known, once known, gone, renamed, each with whatever was said before."""
    account = Account(lets_into_v1=True)
    people, explicit = [], set()
    for n in range(draw(st.integers(1, 6))):
        email, other = f"p{n}@example.com", f"q{n}@example.com"
        intent = draw(st.sampled_from([Intent.SYNC, Intent.SYNC, Intent.SYNC, *Intent]))
        was_sent = draw(st.none() | st.tuples(FIELDS, CONSENTS, EVIDENCE, st.sampled_from([email, other])))
        sent = None
        if was_sent is not None:
            values, consent, evidence, address = was_sent
            sent = snapshot(address, consent, values=values, evidence=evidence)
        known = None
        if draw(st.booleans()):
            kept = account.add(sent.email if sent else email, draw(st.sampled_from(STATUSES)), **draw(FIELDS))
            # A status that the site believes is one that it has read, or none.
            read = {"SUBSCRIBED": "active", None: "inactive", "NO_STATUS": "inactive"}.get(kept.status, "unread")
            known = record(kept, ContactStatus(draw(st.sampled_from(["unread", read]))))
            if draw(st.integers(0, 5)) == 0:
                del account.contacts[kept.id]
        if draw(st.integers(0, 3)) == 0 and account.at(email) is None:
            account.add(email, draw(st.sampled_from(STATUSES)), **draw(FIELDS))
        wanted = None
        if intent is Intent.SYNC:
            wanted = snapshot(email, draw(CONSENTS), values=draw(FIELDS), evidence=draw(EVIDENCE))
        is_explicit = draw(st.booleans())
        if is_explicit:
            explicit.add(email)
        people.append(
            person(wanted, key=str(n), email=email, intent=intent, explicit=is_explicit, sent=sent, known=known)
        )
    return account, people, explicit


@BOTH
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(situation=situations(), lets_into_v1=st.booleans())
def test_it_comes_to_rest_and_nobody_comes_back(
    provider: ConversionProvider,
    options: ConversionOptions,
    situation: tuple[Account, list[Person], set[str]],
    lets_into_v1: bool,
) -> None:
    account, people, explicit = situation
    account.lets_into_v1 = lets_into_v1 or options is V1
    settled = settle(provider, people, account, options)
    ended = set(settled.ended) | set(settled.verdicts)
    rest = [one for key, one in settled.people.items() if key not in ended]
    again = provider.plan(rest, Catalogue(), options)
    assert not again.calls
    assert not again.verdicts
    for kept in account.contacts.values():
        assert not kept.brought_back or kept.email in explicit
    for one in rest:
        _check_end(one, account)


def _check_end(one: Person, account: Account) -> None:
    if one.intent is Intent.FORGET:
        assert account.at(one.email) is None
    # A contact that is gone is not missed before there is something to tell it.
    kept = account.contacts.get(one.known.remote_id) if one.known is not None else None
    if one.wanted is None or kept is None:
        return
    assert kept.email == one.wanted.email
    for name, value in one.wanted.values.items():
        said = one.sent.values.get(name) if one.sent is not None else None
        assert is_same(said, value) or is_same(kept.fields.get(name), value)


# Options and credentials


def account_of(**options: Any) -> base.Account:
    return base.Account(name="conversion", base_url="", credentials={"API_KEY": "k"}, options=options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"DIALECT": "v3"}, "DIALECT must be 'v2' or 'v1'"),
        ({"UPDATE_ONLY": "yes"}, "UPDATE_ONLY must be True or False"),
        ({"UPDATE_ONLY": True, "DIALECT": "v1"}, "UPDATE_ONLY exists in Conversion's v2 only"),
        ({"BATCH_SIZE": 1001}, "BATCH_SIZE must be a whole number from 1 to 1000"),
        ({"TAGS_FIELD": 1}, "TAGS_FIELD must be text"),
        ({"REQUESTS_PER_SECOND": 0}, "REQUESTS_PER_SECOND must be a whole number"),
    ],
)
def test_a_wrong_option_is_named(provider: ConversionProvider, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        provider.options(account_of(**options))


def test_options_by_default(provider: ConversionProvider) -> None:
    assert provider.options(account_of()) == V2
    assert provider.options(account_of(DIALECT="v1")) == V1
    assert provider.rate_slots(account_of()) is None
    assert provider.rate_slots(account_of(REQUESTS_PER_SECOND=10)) == (10, 1.0)


def test_a_missing_key_is_named(provider: ConversionProvider) -> None:
    with pytest.raises(ConfigurationError, match="API_KEY"):
        provider.check_credentials({})
