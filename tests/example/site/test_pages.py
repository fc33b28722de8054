from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.core.signing import dumps
from django.test import Client

from example_project.accounts.confirmation import SALT
from example_project.accounts.forms import SignupForm
from example_project.accounts.models import Company, Member, NewsletterConsent, Topic
from mktg_integration.mirror import optouts
from mktg_integration.models import ExplicitActs, Lane, Lead, OptOut, OptOutKind, OutboxRow
from tests.example.site.conftest import PASSWORD

SERVICES = {"kit", "conversion", "convertloop"}


def marked() -> set[tuple[str, str]]:
    """Who has to be told of to whom."""
    return set(OutboxRow.objects.values_list("connection__name", "subject"))


def profile_form(**changes: Any) -> dict[str, Any]:
    return {"first_name": "Jane", "last_name": "", "city": "", "job_title": "", "company_name": "", **changes}


@pytest.mark.parametrize("path", ["/", "/signup/", "/login/"])
def test_every_field_of_a_page_has_a_label(client: Client, db: None, path: str) -> None:
    page = client.get(path).content.decode()
    fields = set(re.findall(r'<input type="(?!hidden)[^>]* id="([^"]+)"', page))
    assert fields
    assert fields <= set(re.findall(r'<label for="([^"]+)"', page))


def test_a_signup_is_marked_for_all_three_services(sign_up: Callable[..., Any], topics: list[Topic]) -> None:
    answer = sign_up(newsletter="on", city="Oslo", company_name="Blue", topics=[topics[0].pk])
    assert (answer.status_code, answer["Location"]) == (302, "/profile/")
    user = User.objects.get()
    assert (user.username, user.email) == ("jane@example.com", "Jane@example.com")
    assert (user.member.city, user.member.company.name) == ("Oslo", "Blue")
    assert list(user.member.topics.all()) == [topics[0]]
    assert marked() == {(name, f"user:{user.pk}") for name in SERVICES}


def test_a_ticked_box_is_consent_with_its_evidence(sign_up: Callable[..., Any]) -> None:
    sign_up(newsletter="on")
    member = Member.objects.get()
    assert member.newsletter == NewsletterConsent.GRANTED
    assert (member.newsletter_said_by, member.newsletter_said_how) == ("the person", "signup form")
    assert member.newsletter_said_at is not None


def test_an_empty_box_is_no_refusal(sign_up: Callable[..., Any]) -> None:
    sign_up()
    assert Member.objects.get().newsletter == NewsletterConsent.UNKNOWN


def test_nobody_brings_back_an_address_that_opted_out_by_typing_it_into_the_form(sign_up: Callable[..., Any]) -> None:
    optouts.opt_out("jane@example.com", kind=OptOutKind.UNSUBSCRIBED, source="kit", scope=None)
    sign_up(newsletter="on")
    assert OptOut.objects.count() == 1
    assert not ExplicitActs.objects.exists()


def test_the_source_of_a_signup_is_kept(client: Client, sign_up: Callable[..., Any]) -> None:
    assert 'value="spring-fair"' in client.get("/signup/?source=spring-fair").content.decode()
    sign_up(source="spring-fair")
    assert Member.objects.get().signup_source == "spring-fair"


def test_an_address_has_one_account(sign_up: Callable[..., Any]) -> None:
    sign_up()
    assert "There is an account with this address" in sign_up(email="JANE@example.com").content.decode()
    assert User.objects.count() == 1


def test_of_two_signups_at_the_same_moment_one_is_told_so(
    sign_up: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if both had asked before either was stored.
    monkeypatch.setattr(SignupForm, "clean_email", lambda form: form.cleaned_data["email"])
    sign_up()
    answer = sign_up()
    assert answer.status_code == 200
    assert "There is an account with this address" in answer.content.decode()
    assert User.objects.count() == 1


def test_a_name_is_never_markup(sign_up: Callable[..., Any]) -> None:
    page = sign_up(first_name="<script>", password2="x").content.decode()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_one_logs_in_with_the_address_in_any_case(client: Client, member: Member) -> None:
    answer = client.post("/login/", {"username": "JANE@EXAMPLE.COM", "password": PASSWORD})
    assert answer["Location"] == "/profile/"
    assert client.post("/logout/")["Location"] == "/"


def test_the_profile_is_for_who_is_logged_in(client: Client, db: None) -> None:
    assert client.get("/profile/")["Location"] == "/login/?next=/profile/"


def test_ticking_the_box_on_the_profile_is_an_explicit_act(browser: Client, member: Member) -> None:
    browser.post("/profile/", profile_form(newsletter="on"))
    act = ExplicitActs.objects.get()
    assert (act.subject, act.consent, act.consent_how) == (f"user:{member.user_id}", "granted", "profile page")
    member.refresh_from_db()
    assert member.newsletter == NewsletterConsent.GRANTED


def test_unticking_it_goes_before_all_other_work(browser: Client, member: Member) -> None:
    browser.post("/profile/", profile_form(newsletter="on"))
    browser.post("/profile/", profile_form())
    assert ExplicitActs.objects.get().consent == "refused"
    assert set(OutboxRow.objects.values_list("lane", flat=True)) == {Lane.URGENT}
    member.refresh_from_db()
    assert member.newsletter == NewsletterConsent.REFUSED


def test_saving_the_profile_says_nothing_of_a_box_that_stays_as_it_is(browser: Client, member: Member) -> None:
    browser.post("/profile/", profile_form(city="Oslo"))
    assert not ExplicitActs.objects.exists()
    member.refresh_from_db()
    assert (member.city, member.newsletter) == ("Oslo", NewsletterConsent.UNKNOWN)


def test_topics_are_chosen_and_left(browser: Client, member: Member, topics: list[Topic]) -> None:
    browser.post("/profile/", profile_form(topics=[topics[0].pk, topics[1].pk]))
    OutboxRow.objects.all().delete()
    browser.post("/profile/", profile_form(topics=[topics[1].pk, topics[2].pk]))
    assert list(member.topics.all()) == topics[1:]
    assert marked() == {(name, f"user:{member.user_id}") for name in SERVICES}


def test_a_user_without_a_member_row_gets_one(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_user("script", "script@example.com"))
    client.post("/profile/", profile_form(city="Rome"))
    assert Member.objects.get().city == "Rome"


def test_a_company_that_is_renamed_marks_its_people(member: Member) -> None:
    member.company = Company.objects.create(name="Old")
    member.save()
    OutboxRow.objects.all().delete()
    member.company.name = "New"
    member.company.save()
    assert marked() == {(name, f"user:{member.user_id}") for name in SERVICES}


def test_the_newsletter_needs_no_account(client: Client, db: None) -> None:
    answer = client.post("/newsletter/", {"email": "Ann@Example.com", "first_name": "Ann"}, follow=True)
    assert "You are on the list" in answer.content.decode()
    lead = Lead.objects.get()
    assert (lead.email, lead.first_name) == ("Ann@example.com", "Ann")
    assert marked() == {(name, f"lead:{lead.pk}") for name in SERVICES}


def test_a_malformed_address_is_told_so(client: Client, db: None) -> None:
    answer = client.post("/newsletter/", {"email": "ann@"})
    assert answer.status_code == 400
    assert "errorlist" in answer.content.decode()
    assert not Lead.objects.exists()


def link_in_mail() -> str:
    found = re.search(r"http://[^/]+(/confirm/\S+)", str(mail.outbox[-1].body))
    assert found
    return found[1]


def test_the_link_in_the_mail_confirms_the_address(client: Client, sign_up: Callable[..., Any]) -> None:
    sign_up()
    assert mail.outbox[-1].to == ["Jane@example.com"]
    client.get(link_in_mail())
    assert Member.objects.get().email_confirmed_at is not None


def test_a_link_is_worth_nothing_for_another_address(client: Client, sign_up: Callable[..., Any]) -> None:
    sign_up()
    User.objects.update(email="other@example.com")
    assert "not valid" in client.get(link_in_mail(), follow=True).content.decode()
    assert Member.objects.get().email_confirmed_at is None


def test_a_forged_link_is_worth_nothing(client: Client, sign_up: Callable[..., Any]) -> None:
    sign_up()
    token = dumps([User.objects.get().pk, "Jane@example.com"], salt=SALT, key="guessed")
    client.get(f"/confirm/{token}/")
    assert Member.objects.get().email_confirmed_at is None


def test_the_admin_opens(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    for path in ("", "accounts/member/", "mktg_integration/connection/", "mktg_integration/contact/"):
        assert client.get(f"/admin/{path}").status_code == 200


def test_the_style_sheet_is_served(client: Client) -> None:
    assert b"color-scheme" in b"".join(client.get("/static/accounts/site.css"))
