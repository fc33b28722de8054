"""Every combination of what is wanted, last sent and held at the service: what a push may say of consent."""

from __future__ import annotations

import itertools

import pytest

from mktg_integration.profile import ConsentStatus
from mktg_integration.providers.base import Intent, Person, Snapshot
from mktg_integration.providers.consent import Step, consent_step, may_be_mailed
from mktg_integration.records import ContactRecord, ContactStatus

GRANTED, REFUSED, UNKNOWN = ConsentStatus.GRANTED, ConsentStatus.REFUSED, ConsentStatus.UNKNOWN
ACTIVE, INACTIVE, UNREAD = ContactStatus.ACTIVE, ContactStatus.INACTIVE, ContactStatus.UNREAD
OUT = (ContactStatus.UNSUBSCRIBED, ContactStatus.BOUNCED, ContactStatus.COMPLAINED)
SENT = (None, "unknown", "granted before", "granted the same", "refused")


def person(
    wanted: ConsentStatus | None,
    sent: str | None,
    known: ContactStatus | None,
    *,
    explicit: bool = False,
    intent: Intent = Intent.SYNC,
    absent: bool = False,
) -> Person:
    said = {
        "unknown": Snapshot(email="ada@example.com"),
        "granted before": Snapshot(email="ada@example.com", consent=GRANTED, evidence="old"),
        "granted the same": Snapshot(email="ada@example.com", consent=GRANTED, evidence="new"),
        "refused": Snapshot(email="ada@example.com", consent=REFUSED, evidence="no"),
    }
    return Person(
        key="user:1",
        email="ada@example.com",
        intent=intent,
        wanted=Snapshot(email="ada@example.com", consent=wanted, evidence="new") if wanted else None,
        explicit=explicit,
        sent=said[sent] if sent else None,
        known=ContactRecord(remote_id="7", email="ada@example.com", status=known) if known else None,
        absent=absent,
    )


@pytest.mark.parametrize(("sent", "known"), list(itertools.product(SENT, OUT)))
@pytest.mark.parametrize("wanted", [GRANTED, UNKNOWN, REFUSED])
def test_nobody_who_opted_out_comes_back_without_subscribe(
    wanted: ConsentStatus, sent: str | None, known: ContactStatus
) -> None:
    someone = person(wanted, sent, known)

    assert consent_step(someone) is Step.NONE
    assert not may_be_mailed(someone)


@pytest.mark.parametrize("sent", [None, "unknown", "granted before", "refused"])
@pytest.mark.parametrize("known", [None, ACTIVE, INACTIVE, UNREAD, *OUT])
def test_an_explicit_subscribe_is_said_whatever_the_service_holds(
    sent: str | None, known: ContactStatus | None
) -> None:
    someone = person(GRANTED, sent, known, explicit=True)

    assert consent_step(someone) is Step.RESUBSCRIBE
    assert may_be_mailed(someone)


@pytest.mark.parametrize("known", [None, ACTIVE, INACTIVE, UNREAD, *OUT])
@pytest.mark.parametrize("explicit", [True, False])
def test_the_same_evidence_is_said_once(known: ContactStatus | None, explicit: bool) -> None:
    assert consent_step(person(GRANTED, "granted the same", known, explicit=explicit)) is Step.NONE


@pytest.mark.parametrize(
    ("sent", "known", "step"),
    [
        (None, None, Step.SUBSCRIBE),
        (None, INACTIVE, Step.SUBSCRIBE),
        (None, UNREAD, Step.SUBSCRIBE),
        (None, ACTIVE, Step.NONE),
        ("unknown", INACTIVE, Step.SUBSCRIBE),
        ("granted before", ACTIVE, Step.NONE),
        ("granted before", UNREAD, Step.SUBSCRIBE),
        ("refused", None, Step.NONE),
        ("refused", UNREAD, Step.NONE),
        ("refused", ACTIVE, Step.NONE),
    ],
)
def test_a_granted_consent(sent: str | None, known: ContactStatus | None, step: Step) -> None:
    assert consent_step(person(GRANTED, sent, known)) is step


@pytest.mark.parametrize("sent", SENT)
@pytest.mark.parametrize("known", [None, ACTIVE, INACTIVE, UNREAD, *OUT])
def test_unknown_says_nothing(sent: str | None, known: ContactStatus | None) -> None:
    assert consent_step(person(UNKNOWN, sent, known)) is Step.NONE


@pytest.mark.parametrize(
    ("sent", "known", "absent", "step"),
    [
        (None, None, False, Step.UNSUBSCRIBE),
        (None, None, True, Step.NONE),
        (None, ACTIVE, False, Step.UNSUBSCRIBE),
        (None, INACTIVE, False, Step.UNSUBSCRIBE),
        ("granted before", UNREAD, False, Step.UNSUBSCRIBE),
        ("granted before", ACTIVE, False, Step.UNSUBSCRIBE),
        ("refused", UNREAD, False, Step.NONE),
        ("refused", None, False, Step.NONE),
        ("refused", ACTIVE, False, Step.UNSUBSCRIBE),
    ],
)
@pytest.mark.parametrize("why", ["refused", "left", "forgotten"])
def test_a_refusal_is_carried_through(
    why: str, sent: str | None, known: ContactStatus | None, absent: bool, step: Step
) -> None:
    intent = {"refused": Intent.SYNC, "left": Intent.LEAVE, "forgotten": Intent.FORGET}[why]
    wanted = REFUSED if why == "refused" else None

    assert consent_step(person(wanted, sent, known, intent=intent, absent=absent)) is step


def test_a_person_withdrawn_by_the_mapping_is_told_nothing() -> None:
    assert consent_step(person(None, "granted before", ACTIVE, intent=Intent.WITHDRAW)) is Step.NONE
