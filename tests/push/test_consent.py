"""What the site wants said of consent: refusal wins, and only subscribe() undoes it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from mktg_integration.models import ExplicitActs, OptOut
from mktg_integration.profile import UNKNOWN, Consent, ConsentStatus
from mktg_integration.push.consent import Resolved, is_forgotten, resolve

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
GRANTED, REFUSED = ConsentStatus.GRANTED, ConsentStatus.REFUSED


def act(consent: ConsentStatus, hours: int) -> ExplicitActs:
    return ExplicitActs(consent=consent.value, consent_who="the person", consent_when=NOON + timedelta(hours=hours))


def optout(hours: int, kind: str = "unsubscribed") -> OptOut:
    return OptOut(kind=kind, at=NOON + timedelta(hours=hours), scope="*")


def said(consent: ConsentStatus, hours: int) -> Consent:
    return Consent(consent, "form", NOON + timedelta(hours=hours), "signup")


def resolved(mapped: Consent, *acts: ExplicitActs, out: OptOut | None = None, unknown: bool = False) -> Resolved:
    return resolve(mapped, acts, out, unknown_as_granted=unknown)


@pytest.mark.parametrize(
    ("mapped", "acts", "out", "status", "explicit"),
    [
        (UNKNOWN, [], None, ConsentStatus.UNKNOWN, False),
        (said(GRANTED, 0), [], None, GRANTED, False),
        (said(REFUSED, 0), [], None, REFUSED, False),
        (said(GRANTED, 5), [], optout(0), REFUSED, False),
        (said(GRANTED, 0), [act(GRANTED, 2)], optout(1), GRANTED, True),
        (said(GRANTED, 0), [act(GRANTED, 1)], optout(2), REFUSED, False),
        (said(GRANTED, 9), [act(REFUSED, 1)], None, REFUSED, False),
        (said(GRANTED, 0), [act(REFUSED, 1), act(GRANTED, 2)], None, GRANTED, True),
        (said(GRANTED, 0), [act(GRANTED, 1), act(REFUSED, 2)], None, REFUSED, False),
        (said(REFUSED, 0), [act(GRANTED, 1)], None, GRANTED, True),
        (said(REFUSED, 2), [act(GRANTED, 1)], None, REFUSED, False),
        (Consent(REFUSED), [act(GRANTED, 1)], None, REFUSED, False),
        (UNKNOWN, [act(GRANTED, 1)], None, GRANTED, True),
    ],
)
def test_which_consent_holds(
    mapped: Consent, acts: list[ExplicitActs], out: OptOut | None, status: ConsentStatus, explicit: bool
) -> None:
    answer = resolved(mapped, *acts, out=out)

    assert (answer.status, answer.explicit) == (status, explicit)


def test_unknown_counts_as_granted_only_where_the_site_says_so() -> None:
    assert resolved(UNKNOWN, unknown=True).status is GRANTED
    assert resolved(said(REFUSED, 0), unknown=True).status is REFUSED


def test_each_new_word_of_the_person_is_new_evidence() -> None:
    first, second = resolved(UNKNOWN, act(GRANTED, 1)), resolved(UNKNOWN, act(GRANTED, 2))

    assert first.evidence != second.evidence
    assert resolved(UNKNOWN, act(GRANTED, 1)).evidence == first.evidence


def test_a_forgotten_address_stays_forgotten_until_subscribe() -> None:
    assert is_forgotten([], optout(0, "forgotten"))
    assert not is_forgotten([act(GRANTED, 1)], optout(0, "forgotten"))
    assert is_forgotten([act(GRANTED, -1)], optout(0, "forgotten"))


@pytest.mark.parametrize(("hours", "status"), [(2, GRANTED), (-2, REFUSED)])
def test_a_mapping_that_gives_a_time_without_a_zone_means_the_sites(hours: int, status: ConsentStatus) -> None:
    mapped = Consent.refused(when=timezone.make_naive(NOON))

    assert resolved(mapped, act(GRANTED, hours)).status is status


def test_a_refusal_without_a_date_is_not_lifted_by_subscribe() -> None:
    """It may have been said after the subscribe(): nobody can tell, so the no stands as long as the mapping says it."""
    assert resolved(Consent.refused(), act(GRANTED, 2)).status is REFUSED
    assert resolved(Consent.refused(when=NOON), act(GRANTED, 2)).status is GRANTED
