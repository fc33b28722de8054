"""What Conversion and ConvertLoop cost in calls, and what a refused batch costs; and that nothing of theirs is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.sites import site
from django.contrib.auth import get_user_model

from mktg_integration.admin.mirror import ContactAdmin
from mktg_integration.models import Contact, DeadRow, OutboxRow, Tag
from mktg_integration.people import user_subject
from mktg_integration.profile import UNKNOWN, Consent, Profile
from mktg_integration.pull.refresh import refresh_contacts
from mktg_integration.push import outbox
from mktg_integration.sandbox.server import Sandbox
from tests.push.conftest import Connect, emails, send

SignUp = Callable[..., Any]
BAD = (17, 500, 999)


def granted(user: Any, connection: Any) -> Profile | None:
    """Everybody agreed."""
    consent = Consent.granted(who="the person", when=user.date_joined, how="form")
    return Profile(email=user.email, first_name=user.first_name, consent=consent)


def unasked(user: Any, connection: Any) -> Profile | None:
    """Nobody was asked."""
    return Profile(email=user.email, first_name=user.first_name, consent=UNKNOWN)


def tagged(user: Any, connection: Any) -> Profile | None:
    profile = granted(user, connection)
    return profile and Profile(email=profile.email, tags={"Beta"}, consent=profile.consent)


GRANTED, UNASKED, TAGGED = (f"tests.push.test_provider_costs.{name}" for name in ("granted", "unasked", "tagged"))


def people(number: int) -> None:
    users = get_user_model().objects
    users.bulk_create(
        [users.model(username=f"p{n}", email=f"p{n}@example.com", first_name=f"P{n}") for n in range(number)],
        batch_size=1000,
    )
    outbox.mark([user_subject(pk) for pk in users.values_list("pk", flat=True)])


@pytest.fixture
def refuses_whole_batches(mktg_sandbox: Sandbox) -> Callable[[], None]:
    """Makes Conversion refuse a batch for one bad address in it, in both dialects."""

    def switch() -> None:
        world = mktg_sandbox.dump()
        world["conversion"]["settings"] |= {"v1_refuse_whole_batch": True, "v2_refuse_whole_batch": True}
        mktg_sandbox.load(world)

    return switch


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mapping", "options", "calls"),
    [
        (UNASKED, {}, 10),
        (GRANTED, {"EXISTING_CONTACTS": False}, 10),
        # Somebody of them may have been there and opted out: who is new is learned first, and subscribed then.
        (GRANTED, {}, 20),
    ],
)
def test_ten_thousand_people_to_conversion(
    mapping: str, options: dict[str, Any], calls: int, connect: Connect, mktg_sandbox: Sandbox
) -> None:
    crm = connect("conversion", options={"PROFILE": mapping, **options})["conversion"]
    people(10_000)

    report = send(crm)

    assert (report.done, report.calls) == (10_000, calls)
    assert len(mktg_sandbox.people("conversion")) == 10_000
    assert mktg_sandbox.undocumented() == []
    subscribed = sum(
        row["subscription_status"] == "SUBSCRIBED" for row in mktg_sandbox.dump()["conversion"]["contacts"]
    )
    assert subscribed == (0 if mapping == UNASKED else 10_000)


@pytest.mark.parametrize("bad", range(4))
def test_nobody_dies_for_another(
    bad: int, refuses_whole_batches: Callable[[], None], connect: Connect, mktg_sandbox: Sandbox
) -> None:
    """One person alone is refused in the answer, and not by a failed call: the search must not go on without them."""
    crm = connect("conversion", options={"PROFILE": UNASKED})["conversion"]
    refuses_whole_batches()
    people(4)
    user = get_user_model().objects.get(username=f"p{bad}")
    get_user_model().objects.filter(pk=user.pk).update(email="pé@example.com")

    report = send(crm)

    assert (report.done, report.rejected) == (3, 1)
    assert DeadRow.objects.get().subject == f"user:{user.pk}"


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["v2", "v1"])
def test_three_bad_addresses_in_a_batch_of_a_thousand_that_is_refused_whole(
    dialect: str, refuses_whole_batches: Callable[[], None], connect: Connect, mktg_sandbox: Sandbox
) -> None:
    options = {"PROFILE": UNASKED, "DIALECT": dialect, "BATCH_SIZE": 1000}
    crm = connect("conversion", options=options)["conversion"]
    refuses_whole_batches()
    people(1_000)
    for number in BAD:
        # RFC 6531 has such addresses; the service knows none.
        get_user_model().objects.filter(username=f"p{number}").update(email=f"pé{number}@example.com")

    report = send(crm)

    assert (report.done, report.rejected) == (997, 3)
    assert len(emails(mktg_sandbox, "conversion")) == 997
    assert set(DeadRow.objects.values_list("subject", flat=True)) == {
        f"user:{user.pk}" for user in get_user_model().objects.filter(username__in=[f"p{n}" for n in BAD])
    }
    assert all(DeadRow.objects.values_list("reason", flat=True))
    assert not OutboxRow.objects.exists()
    assert report.calls <= 3 * (math.ceil(math.log2(1000)) + 1) + 1


# What cannot be read


def test_segments_are_tags_and_the_admin_says_sent_and_not_seen(
    connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox
) -> None:
    loop = connect("convertloop", options={"PROFILE": TAGGED})["convertloop"]
    sign_up("ada")
    send(loop)

    assert list(Contact.objects.with_tag("Beta").values_list("email", flat=True)) == ["ada@example.com"]
    assert [(tag.name, tag.connection) for tag in Tag.objects.all()] == [("Beta", loop)]
    contact = Contact.objects.get()
    shown = ContactAdmin(Contact, site)
    assert shown.last_seen(contact) is None
    assert contact.last_pushed_at is not None


def test_what_a_service_told_is_seen(connect: Connect, sign_up: SignUp, mktg_sandbox: Sandbox) -> None:
    crm = connect("conversion")["conversion"]
    sign_up("ada")
    send(crm)
    assert ContactAdmin(Contact, site).last_seen(Contact.objects.get()) is None
    refresh_contacts(crm, per_second=1000)
    assert ContactAdmin(Contact, site).last_seen(Contact.objects.get()) is not None
