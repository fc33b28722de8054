"""Changed addresses, addresses that another contact has, contacts that went away, and erasure."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Catalogue, Intent, Person, VerdictKind
from mktg_integration.providers.conversion import ConversionOptions, ConversionProvider
from mktg_integration.records import ContactStatus
from mktg_integration.testing.rounds import settle

from .people import V1, V2, person, record, snapshot
from .service import OUT, Account

OLD, NEW = "old@example.com", "new@example.com"
BOTH = pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])


def test_v2_changes_the_address_of_the_same_contact(provider: ConversionProvider, account: Account) -> None:
    kept = account.add(OLD, "SUBSCRIBED", first_name="Ann")
    one = person(snapshot(NEW), sent=snapshot(OLD), known=record(kept, ContactStatus.ACTIVE))
    settled = settle(provider, [one], account, V2)
    assert list(account.contacts) == [kept.id]
    assert kept.email == NEW
    assert settled.calls[0].items["user:1"]["contact"] == {"cnvContactId": kept.id, "email": NEW}
    assert settled.people["user:1"].sent == snapshot(NEW)


def test_v2_finds_a_forgotten_id_before_the_address_changes(provider: ConversionProvider, account: Account) -> None:
    kept = account.add(OLD, "SUBSCRIBED", first_name="Ann")
    settle(provider, [person(snapshot(NEW), sent=snapshot(OLD))], account, V2)
    assert list(account.contacts) == [kept.id]
    assert kept.email == NEW


@pytest.mark.parametrize("ours", [None, "SUBSCRIBED", "UNSUBSCRIBED", "BOUNCED"])
@pytest.mark.parametrize("theirs", [None, "SUBSCRIBED", "UNSUBSCRIBED", "COMPLAINED"])
def test_v2_links_to_the_contact_that_has_the_address_with_the_stricter_consent(
    provider: ConversionProvider, account: Account, ours: str | None, theirs: str | None
) -> None:
    options = replace(V2, tags_field="site_tags")
    kept = account.add(OLD, ours, first_name="Ann", site_tags="vip")
    other = account.add(NEW, theirs)
    values = {"first_name": "Ann", "site_tags": "vip"}
    status = {None: ContactStatus.INACTIVE, "SUBSCRIBED": ContactStatus.ACTIVE}.get(ours, ContactStatus.UNSUBSCRIBED)
    one = person(snapshot(NEW, values=values), sent=snapshot(OLD, values=values), known=record(kept, status))
    settled = settle(provider, [one], account, options)

    linked = settled.people["user:1"]
    assert linked.known is not None
    assert linked.known.remote_id == other.id
    assert linked.sent is not None
    assert linked.sent.email == NEW
    assert other.fields == values
    assert kept.fields["site_tags"] is None
    assert not other.brought_back
    if ours in OUT:
        assert other.status in OUT
    assert "merge or delete" in settled.notes["user:1"]
    assert not provider.plan([linked], Catalogue(), options).calls


def test_v2_an_upsert_that_fails_on_a_free_address_is_tried_again(
    provider: ConversionProvider, account: Account
) -> None:
    """``upsert_failed`` is also said where nobody has the address: then nobody is linked and nobody made."""
    kept = account.add(OLD)
    one = person(snapshot(NEW), sent=snapshot(OLD), known=record(kept), taken=True)
    settled = settle(provider, [one], account, V2)
    assert settled.ended["user:1"].code == "address_not_changed"
    assert list(account.contacts) == [kept.id]


@pytest.mark.parametrize("theirs", ["nobody", None, "SUBSCRIBED", "UNSUBSCRIBED", "BOUNCED"])
@pytest.mark.parametrize("ours", [None, "SUBSCRIBED", "UNSUBSCRIBED", "COMPLAINED"])
@pytest.mark.parametrize("told", ["granted", "unknown", "refused"])
@pytest.mark.parametrize("known", ["unread", "active"])
def test_v1_makes_the_new_contact_no_less_strict_then_removes_the_old(
    provider: ConversionProvider, account: Account, theirs: str | None, ours: str | None, told: str, known: str
) -> None:
    kept = account.add(OLD, ours, first_name="Ann")
    if theirs != "nobody":
        account.add(NEW, theirs)
    one = person(snapshot(NEW), sent=snapshot(OLD, told), known=record(kept, ContactStatus(known)))
    settled = settle(provider, [one], account, V1)
    new = account.at(NEW)
    assert new is not None
    assert new.fields == {"first_name": "Ann"}
    assert not new.brought_back
    assert account.removed == [OLD]
    made, removed = settled.operations.index("v1_upsert"), settled.operations.index("v1_remove")
    assert made < removed
    # "active" is what was read a moment ago, unless it is what our own SUBSCRIBED made of it.
    is_out = ours in OUT and (known == "unread" or told == "granted")
    if told == "refused" or is_out or theirs in OUT:
        assert new.status in OUT
    else:
        assert new.status == "SUBSCRIBED"
    done = settled.people["user:1"]
    assert done.sent is not None
    assert done.sent.email == NEW
    assert done.known is not None
    assert (done.known.remote_id, done.known.email) == (new.id, NEW)
    assert not provider.plan([done], Catalogue(), V1).calls


def test_v1_an_opt_out_is_said_of_the_new_contact_before_the_old_one_goes(
    provider: ConversionProvider, account: Account
) -> None:
    kept = account.add(OLD, "UNSUBSCRIBED")
    one = person(snapshot(NEW), sent=snapshot(OLD), known=record(kept, ContactStatus.UNSUBSCRIBED))
    settled = settle(provider, [one], account, V1)
    assert settled.operations == ["v1_upsert", "v1_status", "v1_remove"]
    new = account.at(NEW)
    assert new is not None
    assert new.status == "UNSUBSCRIBED"


def test_v1_without_reading_a_renamed_contact_is_not_subscribed_anew(
    provider: ConversionProvider, account: Account
) -> None:
    kept = account.add(OLD, "UNSUBSCRIBED")
    one = person(snapshot(NEW), sent=snapshot(OLD), known=record(kept, ContactStatus.ACTIVE))
    settled = settle(provider, [one], account, replace(V1, read_status=False))
    new = account.at(NEW)
    assert new is not None
    assert new.status is None
    assert "could not be read" in settled.notes["user:1"]


@BOTH
def test_a_contact_that_is_gone_is_made_again_with_all_that_is_wanted(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    kept = account.add(OLD, None, first_name="Ann")
    del account.contacts[kept.id]
    values = {"first_name": "Anna", "plan": "pro"}
    sent = snapshot(OLD, "unknown", values={"first_name": "Ann", "plan": "pro"})
    settle(provider, [person(snapshot(OLD, "unknown", values=values), sent=sent, known=record(kept))], account, options)
    (made,) = account.contacts.values()
    assert made.fields == values


@BOTH
def test_a_refused_person_whose_contact_is_gone_is_not_made_again(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    kept = account.add(OLD)
    del account.contacts[kept.id]
    one = person(snapshot(OLD, "refused"), sent=snapshot(OLD), known=record(kept))
    settled = settle(provider, [one], account, options)
    assert not account.contacts
    assert not settled.ended


@BOTH
@pytest.mark.parametrize("is_known", [True, False])
def test_forget_deletes_by_address(
    provider: ConversionProvider, account: Account, options: ConversionOptions, is_known: bool
) -> None:
    kept = account.add(OLD, "SUBSCRIBED")
    one = person(intent=Intent.FORGET, email=OLD, known=record(kept) if is_known else None)
    settled = settle(provider, [one, person(key="user:2", email=NEW, intent=Intent.FORGET)], account, options)
    assert not account.contacts
    assert not settled.verdicts
    assert all(call.urgent for call in settled.calls)


@pytest.mark.parametrize("options", [V2, replace(V2, read_status=False), replace(V1, read_status=False)])
def test_forget_unsubscribes_and_asks_for_a_person_where_v1_may_not_be_used(
    provider: ConversionProvider, options: ConversionOptions
) -> None:
    account = Account(lets_into_v1=options.dialect == "v1")
    kept = account.add(OLD, "SUBSCRIBED")
    one = person(intent=Intent.FORGET, email=OLD, known=record(kept))
    settled = settle(provider, [one], account, options)
    assert kept.status == "UNSUBSCRIBED"
    assert settled.verdicts["user:1"].kind is VerdictKind.NEEDS_PERSON
    assert OLD not in settled.verdicts["user:1"].reason


def test_v1_an_erasure_in_the_middle_of_a_renaming_removes_both(provider: ConversionProvider, account: Account) -> None:
    account.add(OLD, "SUBSCRIBED")
    new = account.add(NEW)
    one = person(intent=Intent.FORGET, email=NEW, sent=snapshot(OLD), known=record(new))
    settle(provider, [one], account, V1)
    assert not account.contacts


@pytest.mark.parametrize(
    "one",
    [
        person(snapshot(OLD, "refused")),
        person(intent=Intent.LEAVE, email=OLD),
        person(intent=Intent.FORGET, email=OLD, barred=True),
    ],
    ids=["refused", "leaves", "forgotten"],
)
def test_v2_a_contact_deleted_and_imported_anew_is_unsubscribed_all_the_same(
    provider: ConversionProvider, account: Account, one: Person
) -> None:
    kept = account.add(OLD, "SUBSCRIBED")
    del account.contacts[kept.id]
    anew = account.add(OLD, "SUBSCRIBED")
    settle(provider, [replace(one, known=record(kept, ContactStatus.ACTIVE), sent=snapshot(OLD))], account, V2)
    assert anew.status == "UNSUBSCRIBED"


def test_update_only_makes_nobody_and_says_so(provider: ConversionProvider, account: Account) -> None:
    settled = settle(provider, [person(snapshot())], account, replace(V2, update_only=True))
    assert not account.contacts
    assert not settled.ended
    assert not settled.verdicts
    assert "UPDATE_ONLY" in settled.notes["user:1"]


@BOTH
def test_refused_and_never_seen_makes_nobody(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    settled = settle(provider, [person(snapshot(consent="refused"))], account, options)
    assert not account.contacts
    assert not settled.ended
    assert len(settled.calls) == 1


def test_v2_somebody_refused_who_was_there_is_unsubscribed_first_and_then_kept_in_step(
    provider: ConversionProvider, account: Account
) -> None:
    kept = account.add("ann@example.com", "SUBSCRIBED")
    settled = settle(provider, [person(snapshot(consent="refused"))], account, V2)
    assert (kept.status, kept.fields) == ("UNSUBSCRIBED", {"first_name": "Ann"})
    unsubscribe, update = settled.calls
    assert unsubscribe.urgent
    assert unsubscribe.common == {"updateOnly": True}
    assert unsubscribe.items["user:1"]["contact"] == {
        "email": "ann@example.com",
        "subscriptionStatus": "UNSUBSCRIBED",
    }
    assert not update.urgent
    told = settled.people["user:1"].sent
    assert told is not None
    assert told.consent is ConsentStatus.REFUSED


@pytest.mark.parametrize("to", [OLD, "third@example.com"], ids=["swap", "chain"])
@pytest.mark.parametrize("known", ["unread", "active"])
def test_v1_two_who_take_over_each_others_addresses_both_stay(
    provider: ConversionProvider, account: Account, to: str, known: str
) -> None:
    ann, bob = account.add(OLD, "SUBSCRIBED", first_name="Ann"), account.add(NEW, "SUBSCRIBED", first_name="Bob")
    # One of them is a round ahead.
    people = [
        person(snapshot(NEW), sent=snapshot(OLD), known=record(ann, ContactStatus(known))),
        person(
            snapshot(to, "unknown", values={"first_name": "Bob"}),
            key="user:2",
            sent=snapshot(NEW, "unknown", values={"first_name": "Bob"}),
            known=record(bob, ContactStatus.ACTIVE),
        ),
    ]
    settled = settle(provider, people, account, V1)
    assert {one.email: one.fields["first_name"] for one in account.contacts.values()} == {NEW: "Ann", to: "Bob"}
    assert not provider.plan(list(settled.people.values()), Catalogue(), V1).calls


def test_v1_an_address_held_by_somebody_of_another_batch_is_left_alone(
    provider: ConversionProvider, account: Account
) -> None:
    kept = account.add(OLD, "SUBSCRIBED")
    one = person(snapshot(NEW), sent=snapshot(OLD), known=record(kept), held=frozenset({OLD}))
    settled = settle(provider, [one], account, V1)
    assert not account.removed
    assert settled.people["user:1"].sent is not None
    assert settled.people["user:1"].sent.email == NEW
