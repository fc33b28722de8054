"""What Kit is sent, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Catalogue, Intent, Person, Snapshot, VerdictKind
from mktg_integration.providers.kit import steps
from mktg_integration.providers.kit.options import KitOptions
from mktg_integration.records import ContactRecord, ContactStatus
from tests.providers.kit.fake import PROVIDER, FakeKit, Stored, settle

GRANTED, REFUSED, UNKNOWN = ConsentStatus.GRANTED, ConsentStatus.REFUSED, ConsentStatus.UNKNOWN
ADA = "ada@example.com"


def snapshot(
    consent: ConsentStatus = GRANTED, *, email: str = ADA, tags: tuple[str, ...] = (), **values: Any
) -> Snapshot:
    named = {key.replace("__", "."): value for key, value in {"first_name": "Ada", **values}.items()}
    return Snapshot(email=email, values=named, tags=frozenset(tags), consent=consent, evidence="e1")


def person(wanted: Snapshot | None = None, **values: Any) -> Person:
    values.setdefault("email", ADA)
    return Person(key="user:1", wanted=wanted, **values)


def known(kit: FakeKit, stored: Stored, **values: Any) -> dict[str, Any]:
    """What the engine knows of a contact that it has read."""
    return {"known": kit.record(stored), **values}


@pytest.fixture
def kit() -> FakeKit:
    return FakeKit()


# New people


@pytest.mark.parametrize(
    ("consent", "fields", "is_oauth", "log", "state"),
    [
        (GRANTED, {}, True, ["upsert"], "active"),
        (GRANTED, {}, False, ["upsert"], "active"),
        (GRANTED, {"fields__city": "Paris"}, True, ["upsert"], "active"),
        (UNKNOWN, {}, True, ["upsert"], "inactive"),
        (UNKNOWN, {"fields__city": "Paris"}, False, ["upsert"], "inactive"),
        (REFUSED, {}, True, ["find"], None),
        (REFUSED, {"fields__city": "Paris"}, False, ["find"], None),
    ],
)
def test_a_new_person_is_one_call(
    consent: ConsentStatus, fields: dict[str, Any], is_oauth: bool, log: list[str], state: str | None
) -> None:
    kit = FakeKit(is_oauth=is_oauth, fields={"city": "City"})
    settle([person(snapshot(consent, **fields))], kit)
    assert kit.log == log
    stored = kit.by_email(ADA)
    assert (stored.state if stored else None) == state
    if stored and fields:
        assert stored.fields == {"city": "Paris"}


def test_granted_names_go_in_bulk_and_others_do_not(kit: FakeKit) -> None:
    people = [
        replace(person(snapshot(consent, email=f"{consent}{number}@x.org")), key=f"{consent}{number}")
        for consent in (GRANTED, UNKNOWN, REFUSED)
        for number in range(2)
    ]
    settle(people, kit)
    assert sorted(kit.log) == ["bulk_upsert", "find", "find", "upsert", "upsert"]
    assert {one.email: one.state for one in kit.subscribers.values()} == {
        "granted0@x.org": "active",
        "granted1@x.org": "active",
        "unknown0@x.org": "inactive",
        "unknown1@x.org": "inactive",
    }


def test_missing_fields_and_tags_are_created_first_as_the_site_writes_them(kit: FakeKit) -> None:
    wanted = replace(
        snapshot(tags=("vip", "gold"), fields__t_shirt_size="M"),
        labels={"vip": "VIP", "gold": "Gold", "fields.t_shirt_size": "T-Shirt size"},
    )
    settled = settle([person(wanted)], kit)
    assert (set(kit.log[:2]), kit.log[2:]) == ({"bulk_create_tags", "create_field"}, ["upsert", "bulk_tag"])
    assert set(kit.tags.values()) == {"VIP", "Gold"}
    assert kit.fields == {"t_shirt_size": "T-Shirt size"}
    stored = kit.by_email(ADA)
    assert stored is not None
    assert stored.fields == {"t_shirt_size": "M"}
    assert kit.tag_names(stored) == {"vip", "gold"}
    assert settled.people["user:1"].owned_tags == {"vip", "gold"}


def test_by_key_each_tag_is_a_call(kit: FakeKit) -> None:
    kit.is_oauth = False
    settle([person(snapshot(tags=("vip", "gold")))], kit)
    assert sorted(kit.log) == ["create_tag", "create_tag", "tag", "tag", "upsert"]


def test_what_may_not_be_created_is_left_out_and_told(kit: FakeKit) -> None:
    options = KitOptions(is_oauth=True, create_fields=False, create_tags=False)
    settled = settle([person(snapshot(tags=("vip",), fields__city="Paris"))], kit, options=options)
    assert kit.log == ["upsert"]
    assert "'city'" in settled.notes["user:1"]
    assert "'vip'" in settled.notes["user:1"]
    assert "fields.city" not in (settled.people["user:1"].sent or snapshot()).values


def test_a_tag_that_exists_unknown_to_us_is_looked_up(kit: FakeKit) -> None:
    kit.is_oauth = False
    kit.tags_exist_as_422 = True
    kit.tag_id("VIP")
    settle([person(snapshot(tags=("vip",)))], kit, catalogue=Catalogue())
    assert sorted(kit.log) == ["create_tag", "list_tags", "tag", "upsert"]


def test_a_field_that_exists_unknown_to_us_is_looked_up(kit: FakeKit) -> None:
    kit.fields["city"] = "City"
    settle([person(snapshot(fields__city="Paris"))], kit, catalogue=Catalogue())
    assert kit.log == ["create_field", "list_fields", "upsert"]


@pytest.mark.parametrize("label", ["City", "city", "CITY "])
def test_a_field_is_found_by_label_or_key(kit: FakeKit, label: str) -> None:
    kit.fields["city"] = label
    settle([person(snapshot(fields__city="Paris"))], kit)
    assert kit.log == ["upsert"]


def test_an_existing_subscriber_unknown_to_us_keeps_its_state(kit: FakeKit) -> None:
    stored = kit.add(ADA, state="cancelled")
    settled = settle([person(snapshot())], kit)
    assert (kit.log, stored.state) == (["upsert"], "cancelled")
    now = settled.people["user:1"].known
    assert now is not None
    assert now.status is ContactStatus.UNSUBSCRIBED


# People who are there


@pytest.mark.parametrize("state", ["active", "inactive", "cancelled", "bounced", "complained"])
@pytest.mark.parametrize("consent", [GRANTED, UNKNOWN, REFUSED])
@pytest.mark.parametrize("sent", [None, "same", "old"])
def test_consent_of_a_known_contact(kit: FakeKit, state: str, consent: ConsentStatus, sent: str | None) -> None:
    """Wanted x sent x known: the only word of consent that Kit can be told of a contact is an unsubscribe."""
    stored = kit.add(ADA, state=state, first_name="Ada")
    before = {None: None, "same": snapshot(consent), "old": replace(snapshot(GRANTED), evidence="e0")}[sent]
    settle([person(snapshot(consent), sent=before, **known(kit, stored))], kit)
    is_due = consent is REFUSED and state in ("active", "inactive")
    assert kit.log == (["unsubscribe"] if is_due else [])
    assert stored.state == ("cancelled" if is_due else state)


@pytest.mark.parametrize(
    ("wanted", "sent", "there", "is_sent"),
    [
        ("new", None, None, True),
        ("new", None, "old", True),
        ("new", None, "new", False),
        ("new", "old", "old", True),
        ("new", "old", "drift", True),
        ("new", "old", "new", False),
        ("new", "new", "drift", False),
        ("new", "new", "new", False),
        (None, "old", "old", True),
        (None, "old", None, False),
        (None, None, "theirs", False),  # nothing was sent and nothing is wanted: what is there is not ours
    ],
)
def test_a_value_is_sent_where_we_changed_it(
    kit: FakeKit, wanted: str | None, sent: str | None, there: str | None, is_sent: bool
) -> None:
    kit.fields["city"] = "City"
    stored = kit.add(ADA, first_name="Ada", fields={"city": there})
    before = None if sent is None else snapshot(fields__city=sent)
    settle([person(snapshot(fields__city=wanted), sent=before, **known(kit, stored))], kit)
    assert kit.log == (["update"] if is_sent else [])
    assert stored.fields["city"] == (wanted if is_sent else there)


def test_only_named_fields_are_written(kit: FakeKit) -> None:
    kit.fields |= {"city": "City", "notes": "Notes"}
    stored = kit.add(ADA, first_name="Augusta", fields={"notes": "theirs"})
    settle([person(snapshot(fields__city="Paris"), **known(kit, stored))], kit)
    assert (stored.first_name, stored.fields) == ("Ada", {"city": "Paris", "notes": "theirs"})


@pytest.mark.parametrize(
    ("consent", "state", "log"),
    [
        (GRANTED, "active", ["bulk_upsert"]),
        (UNKNOWN, "active", ["update", "update"]),
        (GRANTED, "inactive", ["update", "update"]),
        (GRANTED, "cancelled", ["update", "update"]),
    ],
)
def test_first_names_of_mailable_people_are_changed_in_bulk(
    kit: FakeKit, consent: ConsentStatus, state: str, log: list[str]
) -> None:
    people = []
    for email in ("a@x.org", "b@x.org"):
        stored = kit.add(email, state=state, first_name="Old")
        people.append(replace(person(snapshot(consent, email=email), **known(kit, stored)), key=email))
    settle(people, kit)
    assert kit.log == log
    assert {one.first_name for one in kit.subscribers.values()} == {"Ada"}


def test_tags_are_ours_or_left_alone(kit: FakeKit) -> None:
    ids = {name: kit.tag_id(name) for name in ("theirs", "ours", "dropped", "wanted", "drifted")}
    stored = kit.add(ADA, first_name="Ada", tags={ids["theirs"], ids["ours"], ids["dropped"]})
    before = snapshot(tags=("ours", "drifted"))
    someone = person(
        snapshot(tags=("wanted", "drifted")),
        sent=before,
        owned_tags=frozenset({"ours", "drifted"}),
        drop_tags=frozenset({"dropped"}),
        **known(kit, stored),
    )
    settled = settle([someone], kit)
    assert kit.tag_names(stored) == {"theirs", "wanted"}
    assert sorted(kit.log) == ["tag", "untag", "untag"]
    assert settled.people["user:1"].drop_tags == frozenset()


def test_a_tag_that_the_contact_had_does_not_become_ours(kit: FakeKit) -> None:
    stored = kit.add(ADA, first_name="Ada", tags={kit.tag_id("vip")})
    settled = settle([person(snapshot(tags=("vip",)), **known(kit, stored))], kit)
    assert kit.log == ["tag"]
    assert settled.people["user:1"].owned_tags == frozenset()
    kit.log.clear()
    settle([person(snapshot(tags=("vip",)), known_tags=frozenset({"vip"}), **known(kit, stored))], kit)
    assert kit.log == []


def test_an_opted_out_contact_is_kept_in_step_and_not_brought_back(kit: FakeKit) -> None:
    kit.fields["city"] = "City"
    stored = kit.add(ADA, state="cancelled")
    settle([person(snapshot(tags=("vip",), fields__city="Paris"), **known(kit, stored))], kit)
    assert (stored.state, stored.first_name, stored.fields["city"]) == ("cancelled", "Ada", "Paris")
    assert kit.tag_names(stored) == {"vip"}


@pytest.mark.parametrize(
    ("state", "note"),
    [("active", None), ("inactive", steps.NEEDS_CONFIRMATION), ("cancelled", steps.CANNOT_RESUBSCRIBE)],
)
def test_an_explicit_subscribe_never_pretends(kit: FakeKit, state: str, note: str | None) -> None:
    stored = kit.add(ADA, state=state, first_name="Ada")
    settled = settle([person(snapshot(), explicit=True, **known(kit, stored))], kit)
    assert kit.log == []
    assert settled.notes.get("user:1") == note


def test_a_status_that_was_not_told_is_read_before_consent_is_judged(kit: FakeKit) -> None:
    stored = kit.add(ADA, state="inactive", first_name="Ada")
    record = replace(kit.record(stored), status=ContactStatus.UNREAD)
    settled = settle([person(snapshot(), known=record)], kit)
    assert kit.log == ["read"]
    assert settled.notes["user:1"] == steps.NEEDS_CONFIRMATION


def test_a_contact_that_vanished_is_made_anew_and_not_activated_again(kit: FakeKit) -> None:
    gone = ContactRecord(remote_id="7", email=ADA, status=ContactStatus.ACTIVE, values={"first_name": "Old"})
    settle([person(snapshot(), sent=replace(snapshot(), values={"first_name": "Old"}), known=gone)], kit)
    assert kit.log == ["update", "upsert"]
    assert [(one.email, one.state) for one in kit.subscribers.values()] == [(ADA, "inactive")]


# Identity


def test_a_new_address_is_told_to_the_same_contact(kit: FakeKit) -> None:
    stored = kit.add("old@example.com", first_name="Ada")
    settle([person(snapshot(), sent=snapshot(email="old@example.com"), **known(kit, stored))], kit)
    assert (kit.log, stored.email, len(kit.subscribers)) == (["update"], ADA, 1)


def test_an_address_changed_at_kit_is_left_alone(kit: FakeKit) -> None:
    stored = kit.add("theirs@example.com", first_name="Old")
    settle([person(snapshot(), sent=replace(snapshot(), values={"first_name": "Old"}), **known(kit, stored))], kit)
    assert (kit.log, stored.email, stored.first_name) == (["update"], "theirs@example.com", "Ada")


def test_case_alone_is_no_new_address(kit: FakeKit) -> None:
    stored = kit.add("ADA@example.com", first_name="Ada")
    settle([person(snapshot(), sent=snapshot(email="ADA@example.com"), **known(kit, stored))], kit)
    assert kit.log == []


@pytest.mark.parametrize(
    ("old_state", "new_state", "explicit", "ends"),
    [
        ("active", "active", False, "active"),
        ("active", "cancelled", False, "cancelled"),
        ("cancelled", "active", False, "cancelled"),
        ("bounced", "inactive", False, "cancelled"),
        ("cancelled", "cancelled", False, "cancelled"),
        ("cancelled", "active", True, "active"),
    ],
)
def test_a_taken_address_links_and_keeps_the_stricter_consent(
    kit: FakeKit, old_state: str, new_state: str, explicit: bool, ends: str
) -> None:
    ours, theirs = kit.tag_id("ours"), kit.tag_id("theirs")
    old = kit.add("old@example.com", state=old_state, first_name="Ada", tags={ours, theirs})
    new = kit.add(ADA, state=new_state, first_name="A.")
    sent = replace(snapshot(email="old@example.com", tags=("ours",)), evidence="e0" if explicit else "e1")
    someone = person(
        snapshot(tags=("ours",)), sent=sent, owned_tags=frozenset({"ours"}), explicit=explicit, **known(kit, old)
    )
    settled = settle([someone], kit)
    assert (old.email, old.state, kit.tag_names(old)) == ("old@example.com", old_state, {"theirs"})
    assert (new.email, new.state, new.first_name, kit.tag_names(new)) == (ADA, ends, "Ada", {"ours"})
    assert settled.notes["user:1"].startswith("the new address belonged to another")
    now = settled.people["user:1"]
    assert now.known is not None
    assert now.known.remote_id == str(new.id)
    kit.log.clear()
    settle([now], kit)
    assert kit.log == []


def test_a_taken_address_that_is_not_listed_yet_is_tried_again_later(kit: FakeKit) -> None:
    old = kit.add("old@example.com", first_name="Ada")
    someone = person(snapshot(), sent=snapshot(email="old@example.com"), taken=True, **known(kit, old))
    settled = settle([someone], kit)
    assert settled.failed == {"user:1"}
    assert settled.people["user:1"].known == someone.known


# Going


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.FORGET])
@pytest.mark.parametrize("is_known", [True, False])
def test_who_leaves_is_unsubscribed_without_our_tags(kit: FakeKit, intent: Intent, is_known: bool) -> None:
    ours, theirs = kit.tag_id("ours"), kit.tag_id("theirs")
    stored = kit.add(ADA, tags={ours, theirs})
    told = known(kit, stored) if is_known else {}
    someone = person(intent=intent, sent=snapshot(tags=("ours",)), owned_tags=frozenset({"ours"}), **told)
    settled = settle([someone], kit)
    assert kit.log == [*([] if is_known else ["find"]), "unsubscribe", "untag"]
    assert (stored.state, kit.tag_names(stored)) == ("cancelled", {"theirs"})
    if intent is Intent.FORGET:
        assert settled.verdicts["user:1"].kind is VerdictKind.NEEDS_PERSON
    else:
        assert settled.verdicts == {}


@pytest.mark.parametrize("intent", [Intent.LEAVE, Intent.FORGET])
def test_who_was_never_there_is_not_created_to_leave(kit: FakeKit, intent: Intent) -> None:
    settled = settle([person(intent=intent)], kit)
    assert (kit.log, settled.verdicts, kit.subscribers) == (["find"], {}, {})


def test_unsubscribing_comes_first(kit: FakeKit) -> None:
    stored = kit.add(ADA)
    plan = PROVIDER.plan([person(snapshot(REFUSED), **known(kit, stored))], kit.catalogue(), KitOptions())
    assert [call.urgent for call in plan.calls] == [True]


def test_withdrawing_takes_our_tags_and_says_nothing_more(kit: FakeKit) -> None:
    ours, theirs = kit.tag_id("ours"), kit.tag_id("theirs")
    stored = kit.add(ADA, tags={ours, theirs})
    someone = person(intent=Intent.WITHDRAW, sent=snapshot(), owned_tags=frozenset({"ours"}), **known(kit, stored))
    settle([someone], kit)
    assert (kit.log, stored.state, kit.tag_names(stored)) == (["untag"], "active", {"theirs"})
    kit.log.clear()
    settle([person(intent=Intent.WITHDRAW)], kit)
    assert kit.log == []


def test_a_contact_already_gone_needs_no_more(kit: FakeKit) -> None:
    gone = ContactRecord(remote_id="7", email=ADA, status=ContactStatus.ACTIVE)
    settled = settle([person(intent=Intent.LEAVE, known=gone, owned_tags=frozenset({"ours"}))], kit)
    assert (kit.log, settled.failed, settled.rejected) == (["unsubscribe"], set(), {})
