"""What is sent of a person, who is put into segments, and what is left to a person's hands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mktg_integration.exceptions import ConfigurationError, ProfileError
from mktg_integration.profile import Consent, ConsentStatus, Profile
from mktg_integration.providers.base import (
    Account,
    Call,
    Catalogue,
    Event,
    Intent,
    Person,
    Plan,
    Snapshot,
    Verb,
    VerdictKind,
)
from mktg_integration.providers.convertloop import RESERVED_KEYS, ConvertLoopOptions, ConvertLoopProvider
from mktg_integration.records import ContactRecord, ContactStatus
from mktg_integration.testing.rounds import settle

OPTIONS = ConvertLoopOptions()
EMAIL = "ann@example.com"


@dataclass
class Service:
    """Takes whatever the document lets it take, and remembers it."""

    bodies: list[dict[str, Any]] = field(default_factory=list)

    def identify(self, person: Mapping[str, Any]) -> None:
        assert {"user_id", "pid", "email"} & set(person)
        self.bodies.append(dict(person))


def snapshot(consent: str = "granted", *, email: str = EMAIL, tags: str = "", **values: Any) -> Snapshot:
    return Snapshot(
        email=email,
        values={"user_id": "1", **values},
        tags=frozenset(tags.split()),
        consent=ConsentStatus(consent),
        evidence="e1" if consent != "unknown" else "",
    )


def person(wanted: Snapshot | None = None, **more: Any) -> Person:
    return Person(key="user:1", email=EMAIL, wanted=wanted, **more)


def record(status: ContactStatus = ContactStatus.UNREAD, **values: Any) -> ContactRecord:
    return ContactRecord(remote_id="1", email=EMAIL, status=status, values={"user_id": "1", **values})


def plan(provider: ConvertLoopProvider, one: Person) -> Plan:
    return provider.plan([one], Catalogue(), OPTIONS)


def bodies(provider: ConvertLoopProvider, one: Person) -> list[dict[str, Any]]:
    service = Service()
    settle(provider, [one], service, OPTIONS)
    return service.bodies


# Normal form


def test_a_profile_in_normal_form(provider: ConvertLoopProvider) -> None:
    profile = Profile(
        email=EMAIL,
        first_name="Ann",
        fields={"plan": "pro"},
        tags={"vip"},
        pid="p-1",
        consent=Consent.granted(how="form"),
        first_seen_at=datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=timezone(timedelta(hours=2))),
    )
    assert provider.snapshot(profile, user_id="5", options=OPTIONS) == Snapshot(
        email=EMAIL,
        values={
            "user_id": "5",
            "pid": "p-1",
            "first_name": "Ann",
            "last_name": None,
            "plan": "pro",
            "first_seen_at": "2026-01-02T01:04:05Z",
        },
        tags=frozenset({"vip"}),
        consent=ConsentStatus.GRANTED,
        evidence=profile.consent.evidence,
    )


@pytest.mark.parametrize("key", sorted(RESERVED_KEYS))
def test_a_reserved_key_is_no_custom_attribute(provider: ConvertLoopProvider, key: str) -> None:
    with pytest.raises(ProfileError, match=f"'{key}'"):
        provider.snapshot(Profile(email=EMAIL, fields={key: "x"}), user_id="5", options=OPTIONS)


def test_the_profiles_own_user_id_goes_before_the_primary_key(provider: ConvertLoopProvider) -> None:
    profile = Profile(email=EMAIL, user_id="account-5")
    assert provider.snapshot(profile, user_id="5", options=OPTIONS).values["user_id"] == "account-5"


# What differs


def test_a_new_person_goes_in_one_call(provider: ConvertLoopProvider) -> None:
    wanted = snapshot(tags="vip beta", plan="pro", title=None, last_seen_at="2026-01-01T00:00:00Z")
    assert bodies(provider, person(wanted)) == [
        {
            "user_id": "1",
            "email": EMAIL,
            "plan": "pro",
            "last_seen_at": "2026-01-01T00:00:00Z",
            "add_to_segments": ["beta", "vip"],
        }
    ]


def test_everything_that_changed_goes_in_one_call(provider: ConvertLoopProvider) -> None:
    sent = snapshot(tags="a b", plan="pro", title="Dr", kept="same")
    wanted = snapshot(email="new@example.com", tags="b c", plan="max", title=None, kept="same")
    one = person(wanted, sent=sent, known=record(), owned_tags=frozenset({"a", "b"}))
    assert bodies(provider, one) == [
        {
            "user_id": "1",
            "email": "new@example.com",
            "plan": "max",
            "title": None,
            "add_to_segments": ["c"],
            "remove_from_segments": ["a"],
        }
    ]


def test_a_visit_alone_is_not_worth_a_call_and_goes_along_with_one(provider: ConvertLoopProvider) -> None:
    sent = snapshot(plan="pro", last_seen_at="2026-01-01T00:00:00Z")
    seen = snapshot(plan="pro", last_seen_at="2026-02-01T00:00:00Z")
    assert bodies(provider, person(seen, sent=sent, known=record())) == []
    changed = replace(seen, values={**seen.values, "plan": "max"})
    (body,) = bodies(provider, person(changed, sent=sent, known=record()))
    assert (body["plan"], body["last_seen_at"]) == ("max", "2026-02-01T00:00:00Z")


def test_a_segment_taken_away_there_is_not_given_again(provider: ConvertLoopProvider) -> None:
    one = person(snapshot(tags="vip"), sent=snapshot(tags="vip"), known=record(), known_tags=frozenset())
    assert bodies(provider, one) == []


def test_segments_of_others_are_not_ours_to_remove(provider: ConvertLoopProvider) -> None:
    one = person(snapshot(), sent=snapshot(), known=record(), known_tags=frozenset({"theirs"}))
    assert bodies(provider, one) == []


def test_an_explicit_removal_is_sent_once_and_again_only_after_it_was_added(provider: ConvertLoopProvider) -> None:
    dropped = frozenset({"theirs"})
    service = Service()
    one = person(snapshot(), sent=snapshot(), known=record(), drop_tags=dropped)
    one = settle(provider, [one], service, OPTIONS).people["user:1"]
    # The act stays with the person, so each later plan is given it again.
    one = settle(provider, [replace(one, drop_tags=dropped)], service, OPTIONS).people["user:1"]
    assert [body.get("remove_from_segments") for body in service.bodies] == [["theirs"]]
    added = replace(one, wanted=snapshot(tags="theirs"), drop_tags=frozenset())
    one = settle(provider, [added], service, OPTIONS).people["user:1"]
    settle(provider, [replace(one, wanted=snapshot(), drop_tags=dropped)], service, OPTIONS)
    assert [body.get("remove_from_segments") for body in service.bodies] == [["theirs"], None, ["theirs"]]


# Consent: every combination. i: identified, +: put into the segment, R: resubscribed, x: taken out, P: needs a person.

GRIDS = {
    "granted": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      i+    +       +       +         -             -        -
    unknown      i+    +       +       +         -             -        -
    granted      i+    +       +       +         -             -        -
    """,
    "explicit": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      i+R   +R      +R      +R        +R            +R       +R
    unknown      i+R   +R      +R      +R        +R            +R       +R
    granted      i+    +       +       +         -             -        -
    """,
    "unknown": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      i     -       -       -         -             -        -
    unknown      i     -       -       -         -             -        -
    granted      i     -       -       -         -             -        -
    """,
    "refused": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      -     xP      xP      xP        x             x        x
    unknown      ixP   xP      xP      xP        x             x        x
    granted      ixP   xP      xP      xP        x             x        x
    """,
}


def cells() -> list[tuple[str, str, str, str]]:
    found = []
    for wanted, grid in GRIDS.items():
        head, *rows = [line.split() for line in grid.strip().splitlines()]
        for sent, *said in rows:
            found += [(wanted, sent, known, code) for known, code in zip(head, said, strict=True)]
    return found


def test_the_grids_are_whole() -> None:
    knowns = ["none", "unread", "active", "inactive", "unsubscribed", "bounced", "complained"]
    assert {(w, s, k) for w, s, k, _ in cells()} == set(product(GRIDS, ["nothing", "unknown", "granted"], knowns))


@pytest.mark.parametrize(("wanted", "sent", "known", "code"), cells())
def test_consent(provider: ConvertLoopProvider, wanted: str, sent: str, known: str, code: str) -> None:
    consent = "granted" if wanted == "explicit" else wanted
    one = person(snapshot(consent, tags="new", plan="pro"), explicit=wanted == "explicit")
    if sent != "nothing":
        # The contact that is not known is told its attributes anew; one that is has them.
        values = {"plan": "pro"} if known != "none" else {}
        one = replace(one, sent=snapshot(sent, tags="ours", **values))
    if known != "none":
        one = replace(one, known=record(ContactStatus(known), plan="pro"))
    one = replace(one, owned_tags=frozenset({"ours"}) if wanted == "refused" else frozenset())
    if (sent, known) == ("nothing", "none"):
        one = replace(one, owned_tags=frozenset())

    service = Service()
    settled = settle(provider, [one], service, OPTIONS)
    assert len(service.bodies) <= 1
    body = service.bodies[0] if service.bodies else {}
    said = {
        "i": "plan" in body,
        "+": body.get("add_to_segments") == ["new"],
        "R": body.get("resubscribe") is True,
        "x": body.get("remove_from_segments") == ["ours"],
        "P": "user:1" in settled.verdicts,
    }
    assert "".join(letter for letter, is_said in said.items() if is_said) == (code if code != "-" else "")
    if "P" in code:
        verdict = settled.verdicts["user:1"]
        assert (verdict.kind, verdict.code) == (VerdictKind.NEEDS_PERSON, "unsubscribe_by_hand")
        assert EMAIL not in verdict.reason


def test_resubscribe_is_said_once(provider: ConvertLoopProvider) -> None:
    service = Service()
    one = person(snapshot(), explicit=True, sent=snapshot("unknown"), known=record(ContactStatus.UNSUBSCRIBED))
    one = settle(provider, [one], service, OPTIONS).people["user:1"]
    assert one.known is not None
    assert one.known.status is ContactStatus.ACTIVE
    settle(provider, [replace(one, wanted=snapshot(plan="max"))], service, OPTIONS)
    assert [body.get("resubscribe") for body in service.bodies] == [True, None]


# Those who go


@pytest.mark.parametrize(
    ("intent", "codes"),
    [(Intent.WITHDRAW, []), (Intent.LEAVE, ["unsubscribe_by_hand"]), (Intent.FORGET, ["delete_by_hand"])],
)
@pytest.mark.parametrize("owned", [frozenset(), frozenset({"ours"})])
def test_going(provider: ConvertLoopProvider, intent: Intent, codes: list[str], owned: frozenset[str]) -> None:
    one = person(intent=intent, sent=snapshot(tags="ours theirs", pid="p-1"), known=record(), owned_tags=owned)
    service = Service()
    settled = settle(provider, [one], service, OPTIONS)
    body = {"user_id": "1", "pid": "p-1", "email": EMAIL, "remove_from_segments": ["ours"]}
    assert service.bodies == ([body] if owned else [])
    assert [verdict.code for verdict in settled.verdicts.values()] == codes
    assert all(call.urgent == bool(codes) for call in settled.calls)


@pytest.mark.parametrize("intent", [Intent.WITHDRAW, Intent.LEAVE, Intent.FORGET])
def test_of_somebody_who_never_was_there_nothing_is_left_to_do(provider: ConvertLoopProvider, intent: Intent) -> None:
    assert plan(provider, person(intent=intent)) == Plan()


def test_somebody_refused_is_kept_in_step_before_a_person_is_asked(provider: ConvertLoopProvider) -> None:
    one = person(snapshot("refused", plan="max"), sent=snapshot(plan="pro"), known=record(plan="pro"))
    first = plan(provider, one)
    assert [call.items["user:1"]["plan"] for call in first.calls] == ["max"]
    assert not first.verdicts


# Events, options


def test_an_event_names_the_person_by_all_that_is_known(provider: ConvertLoopProvider) -> None:
    event = Event(key="o-1", name="ordered", occurred_at="2026-11-01T10:00:00Z", data={"total": 5})
    options = ConvertLoopOptions(event_time_key="occured_at")
    call = provider.plan_event(person(sent=snapshot(pid="p-1", plan="pro")), event, options)
    assert isinstance(call, Call)
    assert call.items["user:1"] == {
        "name": "ordered",
        "occured_at": "2026-11-01T10:00:00Z",
        "person": {"user_id": "1", "pid": "p-1", "email": EMAIL},
        "metadata": {"total": 5},
    }
    assert not call.repeatable


def account(**options: Any) -> Account:
    return Account(name="loop", base_url="", credentials={}, options=options)


def test_options(provider: ConvertLoopProvider) -> None:
    assert provider.options(account()).event_time_key == "ocurred_at"
    assert provider.rate_slots(account()) is None
    assert provider.rate_slots(account(REQUESTS_PER_SECOND=5)) == (5, 1.0)
    for key in ("", "person", 5):
        with pytest.raises(ConfigurationError, match="EVENT_TIME_KEY"):
            provider.options(account(EVENT_TIME_KEY=key))


def test_credentials(provider: ConvertLoopProvider) -> None:
    with pytest.raises(ConfigurationError, match="API_KEY"):
        provider.check_credentials({"APP_ID": "a"})


def test_capabilities_say_what_a_person_has_to_do(provider: ConvertLoopProvider) -> None:
    told = {capability.name: capability for capability in provider.capabilities()}
    assert not told[Verb.UNSUBSCRIBE].supported
    assert "by a person" in told[Verb.UNSUBSCRIBE].note
    assert told[Verb.SYNC].supported


# Whatever is met

TAGS = st.frozensets(st.sampled_from("abcd"))
VALUES: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["plan", "title", "last_seen_at"]), st.sampled_from([None, "x", "y", 1, True])
)


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    made = snapshot(draw(st.sampled_from(["granted", "refused", "unknown"])), **draw(VALUES))
    address = draw(st.sampled_from([EMAIL, "other@example.com"]))
    return replace(made, email=address, tags=draw(TAGS), evidence=draw(st.sampled_from(["e1", "e2"])))


@settings(max_examples=200, deadline=None)
@given(
    intent=st.sampled_from([Intent.SYNC, Intent.SYNC, *Intent]),
    wanted=snapshots(),
    explicit=st.booleans(),
    sent=st.none() | snapshots(),
    known=st.none() | st.builds(record, st.sampled_from(ContactStatus)),
    owned=TAGS,
    dropped=TAGS,
    known_tags=st.none() | TAGS,
)
def test_one_call_at_most_and_then_rest(
    provider: ConvertLoopProvider,
    intent: Intent,
    wanted: Snapshot,
    explicit: bool,
    sent: Snapshot | None,
    known: ContactRecord | None,
    owned: frozenset[str],
    dropped: frozenset[str],
    known_tags: frozenset[str] | None,
) -> None:
    one = person(
        wanted if intent is Intent.SYNC else None,
        intent=intent,
        explicit=explicit,
        sent=sent,
        known=known,
        owned_tags=owned,
        drop_tags=dropped,
        known_tags=known_tags,
    )
    service = Service()
    settled = settle(provider, [one], service, OPTIONS, most_rounds=1)
    assert not plan(provider, settled.people["user:1"]).calls
    for body in service.bodies:
        is_granted = intent is Intent.SYNC and wanted.consent is ConsentStatus.GRANTED
        assert is_granted or not {"add_to_segments", "resubscribe"} & set(body)
        assert explicit or "resubscribe" not in body
        assert not set(body.get("add_to_segments", ())) & set(body.get("remove_from_segments", ()))
        is_out = known is not None and known.status.opted_out
        assert not is_out or explicit or "add_to_segments" not in body
