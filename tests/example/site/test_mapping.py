from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from example_project.accounts.mapping import FIELDS, FIELDS_AT_CONVERSION, profile
from example_project.accounts.models import Company, Interest, Member, NewsletterConsent, Topic
from mktg_integration.models import Connection, Contact
from mktg_integration.profile import ConsentStatus
from mktg_integration.records import ContactStatus
from mktg_integration.signals import contact_unsubscribed


@pytest.fixture
def kit(db: None) -> Connection:
    return Connection.objects.get(name="kit")


def test_everything_that_is_known_of_a_member(member: Member, topics: list[Topic], kit: Connection) -> None:
    member.city, member.plan = "Oslo", "pro"
    member.company = Company.objects.create(name="Blue", domain="blue.example")
    member.say(NewsletterConsent.GRANTED, who="the person", how="signup form")
    member.save()
    Interest.objects.create(member=member, topic=topics[0])
    member.user.groups.add(Group.objects.create(name="VIP"))
    told = profile(member.user, kit)
    assert told is not None
    assert (told.email, told.first_name) == ("Jane@example.com", "Jane")
    assert told.fields == {"city": "Oslo", "plan": "pro", "job_title": "", "signup_source": ""}
    assert set(told.tags) == {"VIP", topics[0].name}
    assert told.company is not None
    assert (told.company.name, told.company.domain) == ("Blue", "blue.example")
    assert (told.consent.status, told.consent.how) == (ConsentStatus.GRANTED, "signup form")


def test_conversion_is_told_only_fields_that_every_account_defines(member: Member) -> None:
    told = profile(member.user, Connection.objects.get(name="conversion"))
    assert told is not None
    assert set(told.fields) == FIELDS_AT_CONVERSION < FIELDS


@pytest.mark.parametrize("change", [{"email": ""}, {"is_active": False}])
def test_who_is_told_to_nobody(member: Member, kit: Connection, change: dict[str, Any]) -> None:
    User.objects.update(**change)
    assert profile(User.objects.get(), kit) is None


@pytest.mark.parametrize(("setting", "expected"), [("", ConsentStatus.UNKNOWN), ("granted", ConsentStatus.GRANTED)])
def test_a_user_made_without_a_word_on_consent(
    kit: Connection, settings: Any, setting: str, expected: ConsentStatus
) -> None:
    settings.EXAMPLE_CONSENT = setting
    told = profile(User.objects.create_user("script", "script@example.com"), kit)
    assert told is not None
    assert told.consent.status == expected


def test_that_setting_overrules_no_refusal(member: Member, kit: Connection, settings: Any) -> None:
    settings.EXAMPLE_CONSENT = "granted"
    member.say(NewsletterConsent.REFUSED, who="the person", how="profile page")
    member.save()
    told = profile(member.user, kit)
    assert told is not None
    assert told.consent.status == ConsentStatus.REFUSED


def test_a_thousand_people_cost_three_statements(
    kit: Connection, topics: list[Topic], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    company, group = Company.objects.create(name="Blue"), Group.objects.create(name="VIP")
    users = User.objects.bulk_create(User(username=f"u{n}", email=f"u{n}@example.com") for n in range(1000))
    members = Member.objects.bulk_create(Member(user=user, company=company) for user in users[:900])
    Interest.objects.bulk_create(Interest(member=member, topic=topics[0]) for member in members)
    group.user_set.set(users[:500])
    with django_assert_num_queries(3):
        told = [profile(user, kit) for user in profile.prepare(User.objects.all())]  # type: ignore[attr-defined]
    assert len([one for one in told if one and set(one.tags) == {"VIP", topics[0].name}]) == 500


def test_an_unsubscribe_at_a_service_shows_on_the_profile(member: Member, kit: Connection) -> None:
    member.say(NewsletterConsent.GRANTED, who="the person", how="signup form")
    member.save()
    contact = Contact(connection=kit, key=f"{kit.pk}:1", remote_id="1", seen_at=timezone.now())
    contact_unsubscribed.send(
        sender=Connection, connection=kit, contact=contact, user=member.user, source="push",
        status=ContactStatus.UNSUBSCRIBED,
    )  # fmt: skip
    member.refresh_from_db()
    assert member.newsletter == NewsletterConsent.REFUSED
    assert (member.newsletter_said_by, member.newsletter_said_how) == ("kit", "unsubscribed there")
