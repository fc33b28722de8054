"""Every combination of what is wanted, last sent and known: what is said of consent, in both dialects."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from mktg_integration.providers.base import Call, Catalogue, Intent, Person
from mktg_integration.providers.conversion import ConversionOptions, ConversionProvider, Dialect
from mktg_integration.records import ContactStatus
from mktg_integration.testing.rounds import settle

from .people import V1, V2, person, record, snapshot
from .service import OUT, Account

# S: SUBSCRIBED, U: UNSUBSCRIBED, r: the status is read, w: written without a status, -: nothing is sent.
# "none": no contact is known. "e0" and "e1" are the evidence of the consent that was sent; "e1" is the wanted one's.
GRIDS = {
    "granted": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      w     r       -       S         -             -        -
    unknown      w     r       -       S         -             -        -
    refused      -     -       -       S         -             -        -
    granted-e0   w     r       -       S         -             -        -
    granted-e1   -     -       -       -         -             -        -
    """,
    "explicit": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      S     S       S       S         S             S        S
    unknown      S     S       S       S         S             S        S
    refused      S     S       S       S         S             S        S
    granted-e0   S     S       S       S         S             S        S
    granted-e1   -     -       -       -         -             -        -
    """,
    "refused": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      U     U       U       U         -             -        -
    unknown      U     U       U       U         -             -        -
    refused      -     -       U       U         -             -        -
    granted-e0   U     U       U       U         -             -        -
    granted-e1   U     U       U       U         -             -        -
    """,
    "unknown": """
                 none  unread  active  inactive  unsubscribed  bounced  complained
    nothing      w     -       -       -         -             -        -
    unknown      -     -       -       -         -             -        -
    refused      -     -       -       -         -             -        -
    granted-e0   -     -       -       -         -             -        -
    granted-e1   -     -       -       -         -             -        -
    """,
}
KEPT_AS = {
    "unread": None,
    "active": "SUBSCRIBED",
    "inactive": "NO_STATUS",
    "unsubscribed": "UNSUBSCRIBED",
    "bounced": "BOUNCED",
    "complained": "COMPLAINED",
}


def cells() -> list[tuple[str, str, str, str]]:
    found = []
    for wanted, grid in GRIDS.items():
        head, *rows = [line.split() for line in grid.strip().splitlines()]
        for sent, *said in rows:
            found += [(wanted, sent, known, code) for known, code in zip(head, said, strict=True)]
    return found


def make(wanted: str, sent: str, known: str, account: Account) -> Person:
    consent = "granted" if wanted == "explicit" else wanted
    one = person(snapshot(consent=consent), explicit=wanted == "explicit")
    if sent != "nothing":
        status, _, evidence = sent.partition("-")
        one = replace(one, sent=snapshot(consent=status, evidence=evidence))
    if known != "none":
        kept = account.add("ann@example.com", KEPT_AS[known], first_name="Ann")
        one = replace(one, known=record(kept, ContactStatus(known)))
    return one


def said(calls: tuple[Call, ...]) -> str:
    """The code of the grid for what these calls say of the one person."""
    if not calls:
        return "-"
    (call,) = calls
    ((_, item),) = call.items.items()
    if call.operation == "read":
        return "r"
    status = item.get("contact", item).get("subscriptionStatus")
    return {"SUBSCRIBED": "S", "UNSUBSCRIBED": "U", None: "w"}[status]


def test_the_grids_are_whole() -> None:
    sents = ["nothing", "unknown", "refused", "granted-e0", "granted-e1"]
    knowns = ["none", *KEPT_AS]
    assert {(w, s, k) for w, s, k, _ in cells()} == set(product(GRIDS, sents, knowns))


@pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
@pytest.mark.parametrize(("wanted", "sent", "known", "code"), cells())
def test_what_is_said_first(
    provider: ConversionProvider, options: ConversionOptions, wanted: str, sent: str, known: str, code: str
) -> None:
    one = make(wanted, sent, known, Account())
    if options.dialect is Dialect.V1 and (wanted, known, code) == ("explicit", "none", "S"):
        code = "w"  # v1 says a status of a contact that is there: it is made first
    plan = provider.plan([one], Catalogue(), options)
    assert said(plan.calls) == code
    assert not plan.verdicts


@pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
@pytest.mark.parametrize(("wanted", "sent", "known", "code"), cells())
@pytest.mark.parametrize("status", [None, "SUBSCRIBED", "UNSUBSCRIBED", "BOUNCED", "COMPLAINED"])
def test_nobody_who_opted_out_comes_back_without_an_explicit_act(
    provider: ConversionProvider,
    options: ConversionOptions,
    wanted: str,
    sent: str,
    known: str,
    code: str,
    status: str | None,
) -> None:
    """Whatever the account really holds where the site has not read it."""
    account = Account()
    one = make(wanted, sent, known, account)
    if known in ("none", "unread") and status is not None:
        kept = account.at("ann@example.com") or account.add("ann@example.com")
        kept.status = status
    before = account.at("ann@example.com")
    was_out = before is not None and before.status in OUT
    settle(provider, [one], account, options)
    after = account.at("ann@example.com")
    if wanted != "explicit":
        assert after is None or not after.brought_back
    elif sent != "granted-e1":
        assert after is not None
        assert after.status == "SUBSCRIBED"
        assert after.brought_back == was_out
    if wanted == "refused" and after is not None and not (sent == "refused" and known in ("none", "unread")):
        assert after.status in OUT
    if wanted == "refused" and before is None:
        assert after is None


@pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
def test_consent_given_later_is_sent_once(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    first = settle(provider, [person(snapshot(consent="unknown"))], account, options)
    kept = account.at("ann@example.com")
    assert kept is not None
    assert kept.status is None
    now = replace(first.people["user:1"], wanted=snapshot(), fresh=False)
    second = settle(provider, [now], account, options)
    assert kept.status == "SUBSCRIBED"
    kept.status = "UNSUBSCRIBED"
    renamed = replace(second.people["user:1"], wanted=snapshot(values={"first_name": "Anna"}))
    settle(provider, [renamed], account, options)
    assert (kept.status, kept.fields["first_name"]) == ("UNSUBSCRIBED", "Anna")


@pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
def test_somebody_who_was_there_and_had_not_opted_out_is_subscribed_after_a_look(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    kept = account.add("ann@example.com", "NO_STATUS")
    settle(provider, [person(snapshot())], account, options)
    assert kept.status == "SUBSCRIBED"
    assert account.requests["v1_contact"] == 1


@pytest.mark.parametrize("options", [V2, replace(V2, read_status=False)], ids=["refused by v1", "READ_STATUS off"])
def test_where_the_status_cannot_be_read_it_is_left_and_said(
    provider: ConversionProvider, options: ConversionOptions
) -> None:
    account = Account(lets_into_v1=False)
    there = [account.add(f"p{n}@example.com", "UNSUBSCRIBED") for n in range(3)]
    people = [person(snapshot(kept.email), key=f"user:{n}") for n, kept in enumerate(there)]
    settled = settle(provider, people, account, options)
    assert [kept.status for kept in there] == ["UNSUBSCRIBED"] * 3
    assert [kept.fields for kept in there] == [{"first_name": "Ann"}] * 3
    assert all("could not be read" in settled.notes[one.key] for one in people)
    assert not settled.ended
    # A key that v1 refuses is refused for everybody, so it is tried once.
    assert account.requests["v1_contact"] == (1 if options.read_status else 0)


def test_a_status_that_no_document_names_is_taken_for_an_opt_out(
    provider: ConversionProvider, account: Account
) -> None:
    kept = account.add("ann@example.com", "SUPPRESSED")
    settled = settle(provider, [person(snapshot())], account, V2)
    assert kept.status == "SUPPRESSED"
    assert "could not be read" in settled.notes["user:1"]


def test_an_account_declared_empty_takes_consent_with_the_first_write(
    provider: ConversionProvider, account: Account
) -> None:
    people = [person(snapshot(f"p{n}@example.com"), key=f"user:{n}") for n in range(1500)]
    settled = settle(provider, people, account, replace(V2, existing_contacts=False))
    assert account.requests == {"upsert_contacts": 2}
    assert {kept.status for kept in account.contacts.values()} == {"SUBSCRIBED"}
    assert not settled.notes


@pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
@pytest.mark.parametrize("status", [None, "SUBSCRIBED", "COMPLAINED"])
def test_leaving_unsubscribes_and_creates_nobody(
    provider: ConversionProvider, account: Account, options: ConversionOptions, status: str | None
) -> None:
    kept = account.add("ann@example.com", status)
    people = [
        person(intent=Intent.LEAVE, known=record(kept), sent=snapshot()),
        person(key="user:2", email="ben@example.com", intent=Intent.LEAVE),
    ]
    settled = settle(provider, people, account, options)
    assert len(account.contacts) == 1
    assert kept.status in OUT
    assert settled.calls[0].urgent
    assert len(settled.calls) == 1


@pytest.mark.parametrize("options", [V2, V1], ids=["v2", "v1"])
def test_a_withdrawn_mapping_says_nothing(
    provider: ConversionProvider, account: Account, options: ConversionOptions
) -> None:
    kept = account.add("ann@example.com", "SUBSCRIBED")
    one = person(intent=Intent.WITHDRAW, known=record(kept), sent=snapshot())
    assert not settle(provider, [one], account, options).calls


def test_an_account_declared_empty_may_hold_who_was_tried_before(
    provider: ConversionProvider, account: Account
) -> None:
    """The answer was lost, and the person has unsubscribed since."""
    ann, ben = account.add("ann@example.com", "UNSUBSCRIBED"), account.add("ben@example.com")
    people = [person(snapshot(kept.email), key=f"user:{kept.id}", tried=True) for kept in (ann, ben)]
    people.append(person(snapshot("cy@example.com"), key="user:c3", tried=True))
    settle(provider, people, account, replace(V2, existing_contacts=False))
    assert {kept.email: kept.status for kept in account.contacts.values()} == {
        "ann@example.com": "UNSUBSCRIBED",
        "ben@example.com": "SUBSCRIBED",
        "cy@example.com": "SUBSCRIBED",
    }
    assert not ann.brought_back
