"""The link in a mail: what it opens, what it never tells, and that an unsubscribe is always honoured."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.template import Context, Template
from django.test import Client
from django.utils import timezone

from mktg_integration import preference_links, shortcuts
from mktg_integration.exceptions import ConfigurationError, ProfileError
from mktg_integration.mirror import optouts
from mktg_integration.models import AuditEntry, ExplicitActs, Lead, OptOut, OutboxRow
from mktg_integration.sandbox.server import Sandbox
from tests.api_people.conftest import PUBLIC_URL
from tests.push.conftest import Connect, person, send

SignUp = Callable[..., Any]
Site = Callable[..., Any]
ONE_CLICK = {"List-Unsubscribe": "One-Click"}
SAID = {"who": "the person", "how": "newsletter form"}
ADA = "ada@example.com"


@pytest.fixture
def browser() -> Client:
    """As it comes from a mail: no session, no cookie, and Django's CSRF check on."""
    return Client(enforce_csrf_checks=True)


def path_of(someone: Any) -> str:
    return shortcuts.preference_url(someone).removeprefix(PUBLIC_URL)


def save(browser: Client, path: str, *topics: str, subscribed: bool, was: bool, was_on: tuple[str, ...] = ()) -> Any:
    """The page's form as a browser sends it."""
    given: dict[str, Any] = {"action": "save", "topic": list(topics), "was_on": list(was_on)}
    given |= {"subscribed": "1"} if subscribed else {}
    given |= {"was_subscribed": "1"} if was else {}
    return browser.post(path, given)


# The link


def test_the_link_holds_no_address(site: Site, sign_up: SignUp) -> None:
    site("kit")
    url = shortcuts.preference_url(sign_up("ada"))
    assert url.startswith("https://example.org/marketing/preferences/")
    link = preference_links.read(url.rstrip("/").rpartition("/")[2])
    assert link is not None
    assert "ada" not in f"{url} {link}"


def test_the_headers_are_those_of_rfc_8058(site: Site, sign_up: SignUp) -> None:
    site("kit")
    user = sign_up("ada")
    with time_machine.travel(timezone.now(), tick=False):
        headers, url = shortcuts.unsubscribe_headers(user), shortcuts.preference_url(user)
    assert headers == {"List-Unsubscribe": f"<{url}>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"}
    sent = EmailMultiAlternatives("News", "Hello", to=[user.email], headers=headers).message()
    # A mail may fold the line between "<" and ">" nowhere but where it is unfolded to the same.
    assert "".join(sent["List-Unsubscribe"].split()) == f"<{url}>"


def test_a_template_puts_the_link_at_the_end_of_a_mail(site: Site, sign_up: SignUp) -> None:
    site("kit")
    text = Template("{% load preferences %}{% preference_url user %}").render(Context({"user": sign_up("ada")}))
    assert text.startswith("https://example.org/marketing/preferences/")


def test_an_address_without_an_account_has_a_link(site: Site, browser: Client) -> None:
    site("kit")
    shortcuts.subscribe("guest@example.com", **SAID)
    page = browser.get(path_of("guest@example.com")).content.decode()
    assert "You are subscribed." in page
    assert "guest@" not in page


def test_no_link_without_a_public_address_or_an_address(site: Site, sign_up: SignUp) -> None:
    site("kit", PUBLIC_URL="")
    user = sign_up("ada")
    with pytest.raises(ConfigurationError, match="PUBLIC_URL"):
        shortcuts.preference_url(user)
    user.email = ""
    with pytest.raises(ProfileError, match="email"):
        shortcuts.preference_url(user)


@pytest.mark.parametrize("token", ["nonsense", "{}x", "x{}"])
def test_a_link_that_this_site_did_not_sign_opens_nothing(
    token: str, site: Site, sign_up: SignUp, browser: Client
) -> None:
    site("kit")
    path = path_of(sign_up("ada"))
    wrong = f"/marketing/preferences/{token.format(path.rstrip('/').rpartition('/')[2])}/"
    OutboxRow.objects.all().delete()
    for answer in (browser.get(wrong), browser.post(wrong, ONE_CLICK), browser.post(wrong, {"action": "leave"})):
        assert answer.status_code == 404
        assert "This link is not valid" in answer.content.decode()
    assert not OutboxRow.objects.exists()
    assert not OptOut.objects.exists()


# The page


def test_the_page_says_how_the_person_stands(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    user = sign_up("ada", newsletter=True, groups=("Offers",))
    page = browser.get(path_of(user)).content.decode()
    assert "You are subscribed." in page
    assert "News, once a month" in page
    assert 'value="offers" checked' in page
    assert 'value="news" checked' not in page


def test_the_page_leaves_no_trace(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    answer = browser.get(path_of(sign_up("ada")))
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex, nofollow"
    assert answer["X-Frame-Options"] == "DENY"
    assert not answer.cookies


def test_following_the_link_changes_nothing(site: Site, sign_up: SignUp, browser: Client) -> None:
    """Scanners of mails follow links."""
    site("kit")
    path = path_of(sign_up("ada"))
    OutboxRow.objects.all().delete()
    for _ in range(3):
        assert browser.get(path, ONE_CLICK).status_code == 200
        assert browser.head(path).status_code == 200
        assert browser.get(path, {"action": "leave"}).status_code == 200
    assert not OutboxRow.objects.exists()
    assert not ExplicitActs.objects.exists()
    assert not OptOut.objects.exists()


def test_topics_chosen_on_the_page_reach_the_service(
    site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True, groups=("Offers",))
    send(connected)

    answer = save(browser, path_of(user), "news", subscribed=True, was=True, was_on=("offers",))
    send(connected)

    assert 'role="status">Saved.</p>' in answer.content.decode()
    assert person(mktg_sandbox, "kit", ADA)["tags"] == ["Newsletter"]
    page = browser.get(path_of(user)).content.decode()
    assert 'value="news" checked' in page
    assert 'value="offers" checked' not in page


def test_who_unticks_the_box_is_unsubscribed_at_the_service(
    site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True)
    send(connected)

    answer = save(browser, path_of(user), subscribed=False, was=True)
    send(connected)

    assert "You are unsubscribed" in answer.content.decode()
    assert "You are not subscribed." in answer.content.decode()
    assert person(mktg_sandbox, "kit", ADA)["state"] == "cancelled"


def test_who_ticks_the_box_gives_evidence(site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox) -> None:
    connected = site("conversion")["conversion"]
    user = sign_up("ada", newsletter=False)
    send(connected)

    answer = save(browser, path_of(user), subscribed=True, was=False)
    send(connected)

    acts = ExplicitActs.objects.get()
    assert (acts.consent, acts.consent_who, acts.consent_how) == ("granted", "the person", "preference link")
    assert "You are subscribed." in answer.content.decode()
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.via, entry.actor, entry.subject) == ("subscribed", "link", None, f"user:{user.pk}")
    assert ADA not in str(entry.detail)


def test_a_form_sent_twice_is_one_consent(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    path = path_of(sign_up("ada", newsletter=None))
    save(browser, path, subscribed=True, was=False)
    first = ExplicitActs.objects.get().consent_when
    save(browser, path, subscribed=True, was=False)
    assert ExplicitActs.objects.get().consent_when == first


def test_a_page_that_was_left_open_brings_nobody_back(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    path = path_of(sign_up("ada", newsletter=True))
    browser.post(path, ONE_CLICK)
    answer = save(browser, path, "news", subscribed=True, was=True)
    assert ExplicitActs.objects.get().consent == "refused"
    assert "You are not subscribed." in answer.content.decode()


def test_a_service_that_cannot_reactivate_is_named(
    site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True)
    send(connected)
    browser.post(path_of(user), ONE_CLICK)
    send(connected)

    answer = save(browser, path_of(user), subscribed=True, was=False)
    send(connected)

    page = answer.content.decode()
    assert "You unsubscribed at Kit" in page
    assert "You have asked for our mails." in page
    assert "You are subscribed." not in page
    assert person(mktg_sandbox, "kit", ADA)["state"] == "cancelled"


def test_a_mapping_that_fails_hides_the_page_from_nobody(
    site: Site, sign_up: SignUp, browser: Client, marketing: Callable[..., None]
) -> None:
    site("kit")
    marketing(PROFILE="tests.api_people.test_preference_links.failing")
    assert browser.get(path_of(sign_up("ada"))).status_code == 200


def failing(user: Any, connection: Any) -> None:
    raise LookupError(user.email)


# The one click


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_one_click_reaches_the_service(
    content_type: str, site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True)
    send(connected)
    body = "List-Unsubscribe=One-Click"
    if "multipart" in content_type:
        body = '--x\r\nContent-Disposition: form-data; name="List-Unsubscribe"\r\n\r\nOne-Click\r\n--x--\r\n'

    answer = browser.post(path_of(user), body, content_type=content_type, headers={"accept": "application/json"})
    send(connected)

    assert (answer.status_code, answer.content) == (200, b"You are unsubscribed.")
    assert not answer.cookies
    assert person(mktg_sandbox, "kit", ADA)["state"] == "cancelled"
    acts = ExplicitActs.objects.get()
    assert (acts.consent_who, acts.consent_how) == ("the person", "one-click unsubscribe")


def test_a_click_again_says_nothing_new(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    path = path_of(sign_up("ada", newsletter=True))
    browser.post(path, ONE_CLICK)
    first = ExplicitActs.objects.get().consent_when
    browser.post(path, ONE_CLICK)
    assert ExplicitActs.objects.get().consent_when == first
    assert AuditEntry.objects.count() == 1


def test_what_is_no_unsubscribe_and_no_choice_is_refused(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    path = path_of(sign_up("ada"))
    for body in ({}, {"List-Unsubscribe": "no"}, {"action": "subscribe"}):
        assert browser.post(path, body).status_code == 400
    assert not ExplicitActs.objects.exists()


# Old links


def old(user: Any, days: int = 400) -> str:
    with time_machine.travel(timezone.now() - timedelta(days=days), tick=False):
        return path_of(user)


def the_page_tells_nothing(browser: Client, path: str) -> None:
    page = browser.get(path)
    assert page.status_code == 200
    assert "This link can unsubscribe, and nothing else" in page.content.decode()
    assert "subscribed." not in page.content.decode()
    assert "checkbox" not in page.content.decode()
    assert save(browser, path, "news", subscribed=True, was=False).status_code == 400
    assert not ExplicitActs.objects.exists()


def test_an_old_link_unsubscribes_and_nothing_else(
    site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True)
    send(connected)
    path = old(user)
    the_page_tells_nothing(browser, path)

    assert browser.post(path, ONE_CLICK).status_code == 200
    send(connected)
    assert person(mktg_sandbox, "kit", ADA)["state"] == "cancelled"


def test_a_link_to_a_former_address_tells_nothing_and_unsubscribes(
    site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True)
    send(connected)
    path = path_of(user)
    user.email = "lovelace@example.com"
    user.save()
    send(connected)
    the_page_tells_nothing(browser, path)

    answer = browser.post(path, {"action": "leave"})
    send(connected)

    assert "You are unsubscribed." in answer.content.decode()
    assert "lovelace" not in answer.content.decode()
    assert person(mktg_sandbox, "kit", "lovelace@example.com")["state"] == "cancelled"
    assert ADA in optouts.optouts_for([ADA], connected.pk)


@pytest.mark.parametrize("policy", ["keep", "unsubscribe"])
def test_a_person_who_is_gone_here_can_still_unsubscribe(
    policy: str, site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit", ON_USER_DELETE=policy)["kit"]
    user = sign_up("ada", newsletter=True)
    send(connected)
    path = path_of(user)
    user.delete()
    send(connected)
    the_page_tells_nothing(browser, path)

    assert browser.post(path, ONE_CLICK).status_code == 200
    send(connected)

    assert person(mktg_sandbox, "kit", ADA)["state"] == "cancelled"
    assert ADA in optouts.optouts_for([ADA], connected.pk)


def test_the_unsubscribe_of_somebody_gone_holds_for_who_comes_with_that_address(
    site: Site, sign_up: SignUp, browser: Client, mktg_sandbox: Sandbox
) -> None:
    connected = site("kit")["kit"]
    user = sign_up("ada", newsletter=True)
    path = path_of(user)
    OutboxRow.objects.all().delete()
    type(user).objects.filter(pk=user.pk).delete()
    OutboxRow.objects.all().delete()

    browser.post(path, ONE_CLICK)
    sign_up("ada2", newsletter=True, email=ADA)
    send(connected)

    assert [row for row in mktg_sandbox.people("kit") if row["state"] == "active"] == []


def test_the_link_of_a_lead_is_that_of_the_user_they_became(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit")
    path = path_of("new@example.com")
    Lead.objects.update(user=sign_up("ann", email="new@example.com", newsletter=True))
    assert "You are subscribed." in browser.get(path).content.decode()


# Too often


def test_a_link_is_throttled_by_itself(site: Site, sign_up: SignUp, browser: Client) -> None:
    site("kit", API={"THROTTLE_RATES": {"mktg-link": "2/min"}})
    first, second = path_of(sign_up("ada")), path_of(sign_up("bob"))
    answers = [browser.get(first).status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    # A mail service that unsubscribes many people does so from one address.
    assert browser.post(second, ONE_CLICK).status_code == 200


def test_who_guesses_links_is_throttled_by_address(site: Site, connect: Connect, browser: Client) -> None:
    site("kit", API={"THROTTLE_RATES": {"mktg-link": "2/min"}})
    answers = [browser.get(f"/marketing/preferences/guess{number}/").status_code for number in range(3)]
    assert answers == [404, 404, 429]
